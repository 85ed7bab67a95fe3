//! What happens in a dialog reaches the servers that are in it: proxies that name themselves by an alias, as docs/backends.md
//! has it. Contacts have users that are nobody's, so that nothing passes by luck.
//!
//! The proxies are the judges: each counts what belongs to no dialog of its own (`tests/kamailio/proxy.cfg`).

use anyhow::{Context, Result, ensure};
use siplb_lab::siplb::Service;
use siplb_lab::sipp::{Scenario, complaints};
use siplb_lab::{Family, Naming, Proxy, Seat, Shape, Sipp, Tally};

use crate::stage::{Stage, all_complete, on_stage, users};

const SERVERS: u8 = 4;
const USERS: u32 = 40;
/// Calls a second.
const RATE: u32 = 40;
/// Requests with a To tag that the proxies get for one call, where caller and callee have one proxy: PRACK, UPDATE, REFER,
/// NOTIFY and BYE, two re-INVITEs, and three ACKs.
const IN_A_DIALOG: u64 = 10;
/// Two NOTIFYs and a SUBSCRIBE.
const IN_A_SUBSCRIPTION: u64 = 3;

/// Callers and callees of one place each, and the stage that they are on.
pub(crate) struct Parties<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) callers: Seat,
    pub(crate) callees: Seat,
}

impl<'a> Parties<'a> {
    /// Both among the clients.
    pub(crate) fn clients(stage: &'a Stage, family: Family) -> Self {
        let seat = Seat::client(&stage.lab, family);
        Self { stage, callers: seat.clone(), callees: seat }
    }

    /// Registers the callees, all of whom must succeed.
    pub(crate) fn register(&self, users: &[String]) -> Result<()> {
        let calls = users.len() as u64;
        let scenario = Scenario::RegisterDevice;
        let run = Sipp::start_at(&self.stage.lab, &self.callees, "register", scenario, users, (calls, RATE))?;
        let tally = run.finish(|_| ())?;
        ensure!(tally.count("registered") == calls, "of {calls} users not all registered: {tally:?}");
        Ok(())
    }

    /// Plays `scenario` once with each of `users`, whatever comes of it.
    pub(crate) fn try_all(&self, scenario: Scenario, users: &[String]) -> Result<Tally> {
        let lab = &self.stage.lab;
        let _phones = Sipp::answer_at(lab, &self.callees, "answer", scenario)?;
        let calls = (users.len() as u64, RATE);
        Sipp::start_at(lab, &self.callers, "call", scenario, users, calls)?.finish(|_| ())
    }

    /// The same, and all must be complete.
    pub(crate) fn all(&self, scenario: Scenario, users: &[String]) -> Result<()> {
        let tally = self.try_all(scenario, users)?;
        all_complete(&tally).with_context(|| {
            let complaints = complaints(&self.stage.lab, "call");
            format!("{scenario:?}; the proxies counted {}; the callers say:\n{complaints}", told(self.stage))
        })
    }
}

/// What the proxies counted, for messages.
fn told(stage: &Stage) -> String {
    let count = |what: &&str| format!("{what} {:?}", stage.counts(what).unwrap_or_default());
    ["in_dialog", "misrouted", "stray_replies", "from_peers"].iter().map(count).collect::<Vec<_>>().join(", ")
}

/// Every request of a dialog, of which there were `expected`, and every reply, came to a proxy that knew it.
pub(crate) fn nothing_went_astray(stage: &Stage, expected: std::ops::RangeInclusive<u64>) -> Result<()> {
    let sum = |what| anyhow::Ok(stage.counts(what)?.into_iter().sum::<u64>());
    println!("the proxies counted {}", told(stage));
    ensure!(sum("misrouted")? == 0 && sum("stray_replies")? == 0, "astray: {}", told(stage));
    // Else the proxies would have had nothing to judge. Some may have been sent twice.
    ensure!(expected.contains(&sum("in_dialog")?), "expected {expected:?} in dialogs: {}", told(stage));
    Ok(())
}

/// As many, and some that may have been sent twice.
pub(crate) fn about(count: u64) -> std::ops::RangeInclusive<u64> {
    count..=count + count / 4 + 4
}

/// Dialogs, cancelled calls and subscriptions, all through the VIP.
fn everything_in_a_dialog(stage: &mut Stage, service: &Service<'_>) -> Result<()> {
    let proxy = Proxy::by_alias(service.family);
    stage.start_proxies(proxy, service)?;
    let users = users(USERS);
    let parties = Parties::clients(stage, service.family);
    parties.register(&users)?;
    for scenario in [Scenario::Dialog(0), Scenario::Cancel, Scenario::Subscribe] {
        parties.all(scenario, &users)?;
    }
    nothing_went_astray(stage, about(u64::from(USERS) * (IN_A_DIALOG + IN_A_SUBSCRIPTION)))?;
    let shares = stage.counts("in_dialog")?;
    ensure!(shares.iter().all(|&share| share > 0), "a proxy was in no dialog: {shares:?}");
    ensure!(stage.packets("response-unnamed")? == 0, "a response named nobody");
    ensure!(stage.packets("dialog-unnamed")? == 0, "a request in a dialog named nobody");
    Ok(())
}

#[test]
fn a_dialog_stays_with_its_proxy() {
    on_stage("dialogs", SERVERS, |stage| {
        everything_in_a_dialog(stage, &Service { naming: Some(Naming::Alias), ..Service::default() })
    });
}

#[test]
fn a_dialog_stays_with_its_proxy_over_ipv6() {
    on_stage("dialogs6", SERVERS, |stage| {
        let service = Service { family: Family::V6, naming: Some(Naming::Alias), ..Service::default() };
        everything_in_a_dialog(stage, &service)
    });
}

/// Without the aliases, to see that the proxies would have told.
#[test]
fn proxies_tell_of_what_goes_astray() {
    on_stage("astray", SERVERS, |stage| {
        stage.start_proxies(Proxy::by_alias(Family::V4), &Service::default())?;
        let users = users(12);
        let parties = Parties::clients(stage, Family::V4);
        parties.register(&users)?;
        let tally = parties.try_all(Scenario::Subscribe, &users)?;
        let astray: u64 = stage.counts("misrouted")?.iter().sum();
        ensure!(
            tally.failed > 0 && astray > 0,
            "without aliases nothing went astray: {tally:?}, {}",
            told(stage)
        );
        ensure!(stage.packets("response-unnamed")? > 0, "and every response named its proxy");
        Ok(())
    });
}

/// The one network of node, backends and clients' router, with so many backends.
pub(crate) fn lan(backends: u8) -> Shape {
    Shape { has_lan: true, ..Shape::from(backends) }
}
