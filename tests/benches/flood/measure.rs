//! One measurement: a flood, calls meanwhile, and what was counted.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use siplb_lab::{
    Sipp, Tally,
    interrupt::pause,
    sipp::{complaints, setup_times_ms},
    topology::VIP,
};
use siplb_load::{Account, Messages, Offered, Pace, Stat, within};

use crate::{
    FLOOD_CPU, OTHERS_CPU,
    kind::Flood,
    scene::{CALLS, RATE, Scene},
};

/// The flood begins so long before the calls, and ends after the last.
const BEFORE: Duration = Duration::from_millis(300);
/// Calls, talking, and a moment.
const FLOODED: Duration = Duration::from_millis(CALLS as u64 * 1_000 / RATE as u64 + 1_200);
/// What is still on its way when the flood ends.
const AFTER: Duration = Duration::from_millis(300);
/// How long it is waited for calm, at most.
const CALM_LOOKS: usize = 8;
const LOOK: Duration = Duration::from_millis(500);
/// What comes at all times: answers to checks.
const CHECKS: &str = "backend-to-node";
/// Name of sipp's run.
const RUN: &str = "flooded";

/// What became of the calls, and of the flood.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) offered: Offered,
    pub(crate) tally: Tally,
    /// Of the calls that were set up.
    pub(crate) setup_ms: Vec<f64>,
    /// Packets that siplb counted meanwhile, by reason.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Frames that the node's receive ring had no room for: siplb never saw them.
    pub(crate) ring_full: u64,
    /// Datagrams that the servers' sockets had no room for.
    pub(crate) turned_away: u64,
    /// Servers that siplb took for dead in the end, because checks found their sockets full.
    pub(crate) dead: u64,
    /// How busy the CPU of servers and sipp was, from 0 to 1.
    pub(crate) others_busy: f64,
}

impl Outcome {
    /// Completed calls, in percent.
    pub(crate) fn completed(&self) -> f64 {
        self.tally.count("completed") as f64 / f64::from(CALLS) * 100.0
    }

    /// The time that a part of the calls were set up within, in milliseconds.
    pub(crate) fn setup_within(&self, part: f64) -> Option<f64> {
        within(&self.setup_ms, part)
    }

    /// What became of the flood, which siplb counts under a reason.
    pub(crate) fn account(&self, reason: &str) -> Account {
        let counted = self.reasons.get(reason).copied().unwrap_or(0);
        Account { sent: self.offered.sent, counted, ring_full: self.ring_full }
    }
}

/// Has everybody called while the flood comes.
pub(crate) fn calls_during(scene: &mut Scene, flood: Flood) -> Result<Outcome> {
    scene.ensure_running()?;
    calm(scene)?;
    scene.restore()?;
    let pace = match flood.kind() {
        None => None,
        Some(kind) => {
            let messages = Messages::all(kind, &scene.ends);
            let client = &scene.lab.topology().client;
            scene.programs.aim(client, "eth0", &messages, flood.users(), 1, &[VIP])?;
            scene.programs.begin(false)?;
            Some(pace(flood))
        }
    };
    let (before, full, ring) = (reasons(scene)?, scene.turned_away()?, scene.ring_full()?);
    let stat = Stat::of_cpu(OTHERS_CPU)?;
    let Scene { programs, lab, users, .. } = scene;
    let client = &lab.topology().client;
    let (offered, tally, busy) = thread::scope(|scope| -> Result<_> {
        let flooding = pace.map(|pace| scope.spawn(move || programs.offer(client, FLOOD_CPU, pace, FLOODED)));
        pause(BEFORE)?;
        let tally = Sipp::start_timed(lab, RUN, users, RATE)?.finish(|_| ());
        let busy = (Stat::of_cpu(OTHERS_CPU)? - stat).share();
        let offered = flooding.map(|thread| thread.join().map_err(|_| anyhow!("the generator panicked"))?);
        let tally = tally.with_context(|| complaints(lab, RUN))?;
        Ok((offered.transpose()?.unwrap_or_default(), tally, busy))
    })?;
    let dead = scene.dead()?;
    pause(AFTER)?;
    let after = reasons(scene)?;
    let reasons = after
        .iter()
        .map(|(reason, packets)| (reason.clone(), packets - before.get(reason).copied().unwrap_or(0)));
    let reasons = reasons.filter(|(_, packets)| *packets > 0).collect();
    let outcome = Outcome {
        offered,
        tally,
        setup_ms: setup_times_ms(&scene.lab, RUN)?,
        reasons,
        turned_away: scene.turned_away()? - full,
        ring_full: scene.ring_full()? - ring,
        dead,
        others_busy: busy,
    };
    if let Some((reason, _)) = flood.reason() {
        let account = outcome.account(reason);
        ensure!(
            account.seen_percent() > 99.0,
            "{} of {} packets were neither counted as {reason} nor turned away by the ring: {:?}",
            account.missing(),
            account.sent,
            outcome.reasons
        );
    }
    Ok(outcome)
}

/// One by one when they are few; otherwise bursts as a network card collects them.
fn pace(flood: Flood) -> Pace {
    match flood {
        Flood::Rate(_, per_second) => {
            Pace::Rate { per_second, burst: (per_second / 10_000.0).max(1.0) as u32 }
        }
        _ => Pace::Highest,
    }
}

/// Waits until nothing more is sent again for calls that failed, but not for ever: telephones do for half a minute.
fn calm(scene: &Scene) -> Result<()> {
    let mut last = BTreeMap::new();
    for _ in 0..CALM_LOOKS {
        let now: BTreeMap<_, _> =
            reasons(scene)?.into_iter().filter(|(reason, _)| reason != CHECKS).collect();
        if now == last {
            break;
        }
        last = now;
        pause(LOOK)?;
    }
    Ok(())
}

/// Packets by reason, since siplb was started.
fn reasons(scene: &Scene) -> Result<BTreeMap<String, u64>> {
    let status = scene.siplb.ask(&["status"])?;
    let counted = status["reasons"].as_object().context("`siplb status` has no reasons")?;
    let packets = |counted: &Value| counted["packets"].as_u64().or_else(|| counted.as_u64());
    counted
        .iter()
        .map(|(reason, counted)| {
            Ok((reason.clone(), packets(counted).with_context(|| format!("{reason} is no number"))?))
        })
        .collect()
}
