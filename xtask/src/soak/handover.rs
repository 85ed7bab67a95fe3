//! Users are handed over while their phones ring: what stands, and what happens, in its order.

use std::time::Duration;

use anyhow::Result;
use siplb_lab::handover::{Changes, Outcome, PATIENT_CHECKS, Trial, Windows, moments};
use siplb_lab::siplb::{self, Service};
use siplb_lab::sipp::Load;
use siplb_lab::{Lab, Siplb};

use super::Args;
use crate::process;
use crate::progress::Progress;

/// The lab's name.
const LAB: &str = "siplb-soak";
const SERVERS: u8 = 4;
/// Registrations for so many calls.
const CALLS_PER_REGISTRATION: u32 = 10;
/// Before the first change, so that phones ring.
const WARMING_UP: Duration = Duration::from_secs(5);
/// A message or its answer is lost 4 times of 100, so that one in ten million is never answered; and all that is sent is sent
/// within 7.5 seconds, where by RFC 3261 it would be 32.
const REPEATS: u32 = 4;

/// Sets everything up, plays it through, and counts.
pub(super) fn play(args: &Args) -> Result<Outcome> {
    let seed = args.seed();
    let load = Load {
        calls: args.rate,
        registrations: args.rate.div_ceil(CALLS_PER_REGISTRATION),
        ring: args.ring,
        repeats: REPEATS,
        seed,
    };
    let windows = if args.off { Windows::NONE } else { Windows::for_load(&load) };
    let progress = Progress::new("soak");
    progress.step(&format!(
        "{} calls a second for {} s, {} changes, seed {seed}",
        args.rate,
        args.seconds(),
        args.changes
    ));
    let lab = Lab::create(LAB, SERVERS)?;
    progress.step("starting four Kamailio servers");
    let servers = Trial::servers(&lab)?;
    progress.step("starting siplb with native XDP");
    let service = Service { pool: PATIENT_CHECKS, handover: Some(windows), ..Service::default() };
    let binary = process::target_dir().join("release/siplb");
    let siplb = Siplb::start(&lab, &binary, &siplb::config_for(&lab, &service))?;
    for host in &lab.topology().backends {
        siplb.wait_for(&host.name, true)?;
    }

    progress.step("beginning to call");
    let mut trial = Trial::begin(&lab, &siplb, &servers, load)?;
    let whole = Duration::from_secs(args.seconds());
    let moments = moments(seed, args.changes as usize, WARMING_UP.min(whole), whole);
    let changes = Changes::new(&lab.topology().backends, seed);
    for (number, (moment, change)) in (1..).zip(moments.into_iter().zip(changes)) {
        let next = format!("change {number} of {}: {change}", args.changes);
        trial.go_on_until(moment, |trial| {
            let left = moment.saturating_sub(trial.elapsed()).as_secs();
            progress.show(format!("{} calls; in {left} s {next}", trial.calls()));
        })?;
        let made = trial.make(&change, false)?;
        let during =
            made.during.map_or(String::new(), |phase| format!(", while another handover is {phase}"));
        progress.step(&format!("after {:.0} s {next}{during}", made.at_s));
    }
    progress.step("waiting for the last handover to be over");
    // One that is under way, one that waits for it, and then as much.
    let limit = windows.together() * 4 + Duration::from_secs(30);
    trial.settle(limit, |trial| progress.show(format!("{} calls; the last handover", trial.calls())))?;
    progress.step("letting the last calls come to their end");
    let outcome = trial.finish(windows)?;
    progress.finish();
    Ok(outcome)
}
