//! What happens in the demo, in the order in which it is told.

use std::time::{Duration, Instant};

use anyhow::Result;
use siplb_lab::interrupt::pause;
use siplb_lab::sipp::Scenario;
use siplb_lab::{Sipp, Tally};

use super::figures::{Figures, Killed};
use super::stage::Stage;

/// Calls a second while a server is killed.
const CALLS_MEANWHILE: u32 = 100;
/// How long calls run before the kill, and after siplb has seen it.
const BEFORE_AND_AFTER: Duration = Duration::from_millis(1500);
/// More calls than will be begun before the run is stopped.
const ENOUGH: u64 = 60 * CALLS_MEANWHILE as u64;
/// Who is killed.
const VICTIM: &str = "b2";

/// Plays the whole story with `users` users.
pub(super) fn play(stage: &mut Stage, users: u32) -> Result<Figures> {
    let everybody: Vec<String> = (1..=users).map(|number| format!("u{number:04}")).collect();

    let registered = stage.register("registering all users", &everybody)?;
    let homes = stage.registrations()?;
    let called = stage.call("calling all users", &everybody)?;

    let (victims, others): (Vec<_>, Vec<_>) = homes.iter().partition(|(server, _)| server == VICTIM);
    let [victims, others] = [victims, others]
        .map(|homes| -> Vec<String> { homes.into_iter().flat_map(|(_, users)| users).cloned().collect() });
    let (detected, meanwhile) = kill_while_calling(stage, &others)?;

    let reregistered = stage.register("registering its users again", &victims)?;
    let stand_ins = count_of(&victims, &stage.registrations()?);
    let recalled = stage.call("calling them", &victims)?;

    stage.progress.step("bringing the server back");
    let back = stage.bring_back(VICTIM)?;
    let after_return = stage.call("calling its users as they are", &victims)?;
    let others_after_return = stage.call("calling everybody else", &others)?;
    stage.progress.step("sending its users home");
    stage.send_home(VICTIM)?;
    let home_again = stage.register("registering its users once more", &victims)?;
    let called_at_home = stage.call("calling them at home", &victims)?;

    Ok(Figures {
        users: users.into(),
        registered: registered.count("registered"),
        calls: called.calls,
        calls_ok: called.count("completed"),
        not_found: called.count("not_found"),
        per_backend: homes.iter().map(|(server, users)| (server.clone(), users.len() as u64)).collect(),
        killed: VICTIM.to_owned(),
        detected_ms: detected.as_millis() as u64,
        other_users_calls: meanwhile.calls,
        other_users_failed: not_completed(&meanwhile),
        after_reregister_ok: recalled.count("completed"),
        after_return_failed: not_completed(&after_return),
        story: Killed {
            victims: victims.len() as u64,
            reregistered: reregistered.count("registered"),
            stand_ins,
            sent_again_meanwhile: meanwhile.sent_again,
            back,
            after_return_not_found: after_return.count("not_found"),
            others_failed_after_return: not_completed(&others_after_return),
            registered_at_home: home_again.count("registered"),
            called_at_home: called_at_home.count("completed"),
        },
    })
}

/// Kills the victim while `others` are being called; tells how long it took siplb to see that, and how the calls fared.
fn kill_while_calling(stage: &mut Stage, others: &[String]) -> Result<(Duration, Tally)> {
    stage.progress.step(&format!("killing {VICTIM} while the others' users are called"));
    let calls = Sipp::start(stage.lab(), "meanwhile", Scenario::Call, others, ENOUGH, CALLS_MEANWHILE)?;
    pause(BEFORE_AND_AFTER)?;
    let death = Instant::now();
    stage.kill(VICTIM)?;
    stage.siplb().wait_for(VICTIM, false)?;
    let detected = death.elapsed();
    pause(BEFORE_AND_AFTER)?;
    calls.stop()?;
    Ok((detected, calls.finish(|_| ())?))
}

/// Calls that were not complete, for whatever reason.
fn not_completed(tally: &Tally) -> u64 {
    tally.calls - tally.count("completed")
}

/// How many of `users` each server knows; servers that know none are left out.
fn count_of(users: &[String], registrations: &[(String, Vec<String>)]) -> Vec<(String, u64)> {
    let count =
        |known: &[String]| users.iter().filter(|&user| known.binary_search(user).is_ok()).count() as u64;
    registrations
        .iter()
        .map(|(server, known)| (server.clone(), count(known)))
        .filter(|(_, count)| *count > 0)
        .collect()
}
