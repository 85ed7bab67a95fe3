//! Drained users go elsewhere at once and come home exactly, and what was asked for outlives the daemon.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use siplb_lab::interrupt::pause;
use siplb_lab::siplb;

use crate::servers::{Arrival, Servers};
use crate::stage::{Stage, on_stage, users};

/// What nobody should ever wait for; the time that it took is printed.
const LONGEST_CHANGE: Duration = Duration::from_secs(1);

#[test]
fn drained_users_go_elsewhere_and_come_home() {
    on_stage("drain", 4, |stage| {
        let users = users(40);
        stage.start_all()?;
        stage.register(&users)?;
        let before = stage.owners(&users)?;
        let drained: Vec<String> = users.iter().filter(|user| before[*user] == "b1").cloned().collect();

        stage.siplb().ask(&["backend", "drain", "b1", "--now"])?;
        let meanwhile = stage.owners(&users)?;
        for user in &users {
            let (home, now) = (&before[user], &meanwhile[user]);
            ensure!(now != "b1" && (home == now || home == "b1"), "{user} of {home} is at {now}");
        }
        stage.register(&drained)?;
        let registrations = stage.registrations()?;
        for user in &drained {
            let owner = &meanwhile[user];
            ensure!(registrations[owner].contains(user), "{user} did not register at {owner}");
        }
        stage.call(&users)?;

        stage.kill_siplb();
        stage.start_siplb(&siplb::config(&stage.lab))?;
        ensure!(state(stage, "b1")? == "draining", "the new daemon has forgotten that b1 drains");
        ensure!(stage.owners(&users)? == meanwhile, "the new daemon has moved users");

        stage.siplb().ask(&["backend", "ready", "b1", "--now"])?;
        ensure!(stage.owners(&users)? == before, "not everybody came home");
        let log = stage.siplb_log();
        ensure!(
            log.contains("root (uid 0, process ") && log.contains(" asked for a change: "),
            "what was asked for is not logged:\n{log}"
        );
        // Who has not registered again is found at home still, by what b1 remembers.
        stage.call(&users)
    });
}

/// What is wanted of a backend, by `siplb backend list`.
fn state(stage: &Stage, backend: &str) -> Result<String> {
    let backends = stage.try_verb(&["backend", "list"])?.json_lines()?;
    let found = backends.iter().find(|entry| entry["name"] == backend).context("it is listed")?;
    Ok(found["state"].as_str().context("a state is text")?.to_owned())
}

#[test]
fn a_change_takes_effect_at_once_and_costs_no_packet() {
    on_stage("at-once", 2, |stage| {
        let mut servers = Servers::start(&stage.lab)?;
        stage.start_siplb(&siplb::config(&stage.lab))?;
        let owners = stage.owners(&users(20))?;
        let (user, _) = owners.iter().find(|(_, owner)| *owner == "b1").context("b1 has a user")?;

        servers.probe(&stage.lab, user)?;
        pause(Duration::from_millis(200))?;
        let drain = Instant::now();
        stage.siplb().ask(&["backend", "drain", "b1", "--now"])?;
        pause(Duration::from_millis(200))?;
        let ready = Instant::now();
        stage.siplb().ask(&["backend", "ready", "b1", "--now"])?;
        pause(Duration::from_millis(200))?;

        let arrivals = servers.finish()?;
        let away = arrivals.iter().position(|arrival| arrival.backend == "b2").context("nothing moved")?;
        let home = away
            + arrivals[away..].iter().position(|arrival| arrival.backend == "b1").context("no return")?;
        in_time("drain", drain, &arrivals[away])?;
        in_time("ready", ready, &arrivals[home])?;
        let strays = arrivals[home..].iter().filter(|arrival| arrival.backend != "b1").count();
        ensure!(strays == 0, "{strays} probes went to b2 after b1 had come back");
        Ok(())
    });
}

/// From the start of the command to the first packet that went the new way.
fn in_time(verb: &str, asked: Instant, effect: &Arrival) -> Result<()> {
    let took = effect.at.checked_duration_since(asked).context("the effect came before the command")?;
    println!("`backend {verb}` showed in the datapath after {} ms", took.as_millis());
    ensure!(took < LONGEST_CHANGE, "`backend {verb}` took {} ms", took.as_millis());
    Ok(())
}
