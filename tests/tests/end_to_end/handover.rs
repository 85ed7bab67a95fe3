//! Users who are moved while their phones ring, over a network that loses packets: by a handover no request comes to a
//! server that doesn't know its transaction, and without one many do. `cargo xtask soak handover` is the same for longer.

use std::time::Duration;

use anyhow::{Result, ensure};
use siplb_lab::handover::{Change, Outcome, PATIENT_CHECKS, Trial, Verb, Windows};
use siplb_lab::siplb::{self, Service};
use siplb_lab::sipp::Load;

use crate::stage::{Stage, on_stage};

const SERVERS: u8 = 4;
/// More than there can be under way: two handovers, one of which has got another aim meanwhile.
const SETTLED: Duration = Duration::from_secs(40);

const LOAD: Load = Load { calls: 200, registrations: 40, ring: Duration::from_secs(3), repeats: 2, seed: 4 };

fn drain(backend: &str) -> Change {
    Change { verb: Verb::Drain, backend: backend.to_owned() }
}

fn ready(backend: &str) -> Change {
    Change { verb: Verb::Ready, backend: backend.to_owned() }
}

fn weight(backend: &str, weight: u32) -> Change {
    Change { verb: Verb::Weight(weight), backend: backend.to_owned() }
}

fn remove(backend: &str) -> Change {
    Change { verb: Verb::Remove, backend: backend.to_owned() }
}

/// Lets phones ring while `changes` are made, and tells what came of it.
fn under_load(
    stage: &mut Stage,
    windows: Windows,
    changes: impl FnOnce(&mut Trial<'_>) -> Result<()>,
) -> Result<Outcome> {
    let servers = Trial::servers(&stage.lab)?;
    let service = Service { pool: PATIENT_CHECKS, handover: Some(windows), ..Service::default() };
    stage.start_siplb(&siplb::config_for(&stage.lab, &service))?;
    for host in &stage.lab.topology().backends {
        stage.siplb().wait_for(&host.name, true)?;
    }
    let mut trial = Trial::begin(&stage.lab, stage.siplb(), &servers, LOAD)?;
    changes(&mut trial)?;
    let outcome = trial.finish(windows)?;
    println!("{outcome:#?}");
    Ok(outcome)
}

fn at(trial: &mut Trial<'_>, seconds: u64, change: &Change) -> Result<()> {
    trial.go_on_until(Duration::from_secs(seconds), |_| ())?;
    trial.make(change, false)?;
    Ok(())
}

#[test]
fn no_transaction_is_lost_when_users_are_handed_over() {
    on_stage("handover", SERVERS, |stage| {
        let outcome = under_load(stage, Windows::for_load(&LOAD), |trial| {
            at(trial, 2, &drain("b1"))?;
            // Another aim, while transactions are being recorded.
            at(trial, 3, &weight("b2", 50))?;
            // While they finish: it waits.
            at(trial, 8, &remove("b3"))?;
            trial.settle(SETTLED, |_| ())?;
            trial.make(&ready("b1"), false)?;
            trial.settle(SETTLED, |_| ())
        })?;
        let broken = outcome.broken_promises();
        ensure!(broken.is_empty(), "{}", broken.join("; "));
        ensure!(outcome.handovers == 3, "{} handovers", outcome.handovers);
        let during: Vec<_> = outcome.changes.iter().map(|made| made.during.as_deref()).collect();
        ensure!(during == [None, Some("recording"), Some("finishing"), None], "{during:?}");
        Ok(())
    });
}

/// The judge can say no: `--now` does what a handover is there to prevent.
#[test]
fn users_who_are_moved_at_once_lose_what_they_have_under_way() {
    on_stage("no-handover", SERVERS, |stage| {
        let outcome = under_load(stage, Windows::for_load(&LOAD), |trial| {
            for (seconds, change) in [(4, drain("b1")), (8, ready("b1")), (12, drain("b2"))] {
                trial.go_on_until(Duration::from_secs(seconds), |_| ())?;
                trial.make(&change, true)?;
            }
            trial.go_on_until(Duration::from_secs(14), |_| ())
        })?;
        let missing = outcome.missing_harm();
        ensure!(missing.is_empty(), "{}", missing.join("; "));
        ensure!(outcome.handovers == 0, "{} handovers", outcome.handovers);
        Ok(())
    });
}
