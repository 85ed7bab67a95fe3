//! How soon a failed server is out, and what is told of it: `siplb health`, `siplb events`, the program of `on-change`.
//!
//! What is promised is asserted with room for a busy machine; what was measured is printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use siplb_lab::interrupt::{pause, wait_until};
use siplb_lab::{Sipp, siplb};

use crate::stage::{Stage, on_stage, users};

/// Servers. Each fails once: after that its users are elsewhere for a while, and no traffic tells of it; and its host says
/// only so often that nobody listens (icmp_ratelimit).
const SERVERS: u8 = 5;
const FAILING: [&str; 4] = ["b1", "b2", "b3", "b4"];
/// Requests a second through the node: 50 to each server.
const RATE: u32 = 250;
/// The promise is 300 ms; a busy machine may need more.
const CLOSED_LIMIT: Duration = Duration::from_secs(1);
/// `fall x interval + timeout` with the defaults, and what a busy machine may add.
const SILENT_LIMIT: Duration = Duration::from_millis(3_500 + 500);
const PATIENCE: Duration = Duration::from_secs(10);

/// The events after a number.
fn events(stage: &Stage, since: u64) -> Result<Vec<Value>> {
    stage.try_verb(&["events", "--since", &since.to_string()])?.json_lines()
}

fn last_event(stage: &Stage) -> Result<u64> {
    let events = events(stage, 0)?;
    events.last().and_then(|event| event["seq"].as_u64()).context("there is an event")
}

/// Waits for the first event of this kind about a backend after number `since`.
fn event(stage: &Stage, since: u64, kind: &str, backend: &str) -> Result<Value> {
    let mut found = None;
    let subject = format!("registrars/{backend}");
    wait_until(&format!("{kind} of {backend}"), PATIENCE, Duration::from_millis(20), || {
        let events = events(stage, since)?;
        found = events.into_iter().find(|event| event["event"] == kind && event["subject"] == subject);
        Ok(found.is_some())
    })?;
    found.context("it was waited for")
}

/// How long after `start` an event was.
fn after(start: SystemTime, event: &Value) -> Result<Duration> {
    let time: Timestamp = event["time"].as_str().context("a time is text")?.parse()?;
    Ok(SystemTime::from(time).duration_since(start).unwrap_or_default())
}

/// What `siplb health` says of one backend.
fn health(stage: &Stage, backend: &str) -> Result<Value> {
    let lines = stage.try_verb(&["health", backend])?.json_lines()?;
    lines.into_iter().next().context("one line")
}

/// The last `count` checks: result and cause of each.
fn last_checks(health: &Value, count: usize) -> Result<Vec<(String, String)>> {
    let checks = health["checks"].as_array().context("checks are a list")?;
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let last = checks[checks.len().saturating_sub(count)..].iter();
    Ok(last.map(|check| (text(check, "result"), text(check, "cause"))).collect())
}

/// A configuration that has a program called for events, and the file that it writes a line to for each.
fn with_program(stage: &Stage) -> Result<(String, PathBuf)> {
    let folder = stage.lab.folder();
    let (program, told) = (folder.join("on-change"), folder.join("told"));
    let script =
        format!("#!/bin/sh\necho \"$SIPLB_EVENT $SIPLB_SUBJECT $SIPLB_WHO\" >> {}\n", told.display());
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let config = siplb::config(&stage.lab);
    Ok((config.replacen("[node]\n", &format!("[node]\non-change = {program:?}\n"), 1), told))
}

#[test]
fn under_traffic_a_closed_port_is_out_at_once() {
    on_stage("closed", SERVERS, |stage| {
        let users = users(40);
        let (config, told) = with_program(stage)?;
        stage.start_servers()?;
        stage.start_siplb(&config)?;
        let load = stage.begin_options(&users, RATE, 60)?;
        pause(Duration::from_secs(2))?;
        let mut measured = Vec::new();
        for server in FAILING {
            let since = last_event(stage)?;
            let start = SystemTime::now();
            stage.kill_server(server)?;
            let down = event(stage, since, "backend-down", server)?;
            measured.push(after(start, &down)?);
            ensure!(down["who"] == "checks", "{down}");
            let reason = down["reason"].as_str().unwrap_or_default();
            ensure!(reason.starts_with("refused") && reason.ends_with("(3 in a row)"), "{down}");
            let health = health(stage, server)?;
            ensure!(health["health"] == "down" && health["counts"]["failed"].as_u64() >= Some(3), "{health}");
            stage.start_server(server)?;
            event(stage, since, "backend-up", server)?;
        }
        println!("a closed port was out after {measured:?}");
        ensure!(measured.iter().all(|time| *time < CLOSED_LIMIT), "{measured:?}");
        load.stop()?;

        let told_of = |line: &str| -> Result<usize> {
            Ok(fs::read_to_string(&told)?.lines().filter(|told| *told == line).count())
        };
        wait_until("the program to be told", PATIENCE, Duration::from_millis(50), || {
            let told =
                FAILING.iter().map(|server| told_of(&format!("backend-up registrars/{server} checks")));
            Ok(told.collect::<Result<Vec<_>>>()?.iter().all(|times| *times == 1))
        })?;
        ensure!(told_of("backend-down registrars/b2 checks")? == 1, "not told of each death");
        ensure!(told_of("started siplb daemon")? == 1, "not told of the start");
        Ok(())
    });
}

#[test]
fn a_silent_server_is_out_in_time_and_late_answers_count_for_nothing() {
    on_stage("silent", SERVERS, |stage| {
        let users = users(40);
        stage.start_servers()?;
        stage.start_siplb(&siplb::config(&stage.lab))?;
        let load = stage.begin_options(&users, RATE, 60)?;
        pause(Duration::from_secs(2))?;
        let mut measured = Vec::new();
        for server in FAILING {
            let since = last_event(stage)?;
            let start = SystemTime::now();
            stage.server(server)?.freeze()?;
            let down = event(stage, since, "backend-down", server)?;
            measured.push(after(start, &down)?);
            ensure!(down["reason"] == "no answer within 500 ms (3 in a row)", "{down}");
            let health = health(stage, server)?;
            let failed = last_checks(&health, 3)?;
            let causes = last_checks(&health, 32)?;
            ensure!(causes.iter().any(|(_, cause)| cause == "silent"), "traffic told nothing: {causes:?}");
            ensure!(failed.iter().all(|(result, _)| result == "failed"), "{failed:?}");
            // It answers everything that has waited, the checks that are over included; none of that brings it back.
            stage.server(server)?.thaw()?;
            event(stage, since, "backend-up", server)?;
            let passed = last_checks(&self::health(stage, server)?, 2)?;
            ensure!(passed.iter().all(|(result, _)| result == "passed"), "{passed:?}");
        }
        println!("a silent server was out after {measured:?}");
        ensure!(measured.iter().all(|time| *time < SILENT_LIMIT), "{measured:?}");
        load.stop()
    });
}

#[test]
fn a_server_that_asks_for_less_keeps_its_users_and_gets_nobody_elses() {
    on_stage("less", 3, |stage| {
        let users = users(40);
        stage.start_servers()?;
        stage.kill_server("b2")?;
        let _busy = Sipp::overloaded(&stage.lab, &stage.lab.topology().backends[1])?;
        stage.start_siplb(&siplb::config(&stage.lab))?;
        let before = stage.owners(&users)?;
        let since = 0;
        let overloaded = event(stage, since, "backend-overloaded", "b2")?;
        ensure!(
            overloaded["reason"].as_str().is_some_and(|text| text.contains("Retry-After 60 s")),
            "{overloaded}"
        );
        ensure!(stage.siplb().is_up("b2")?, "it is down");
        ensure!(stage.owners(&users)? == before, "it has lost users");

        stage.kill_server("b3")?;
        event(stage, since, "backend-down", "b3")?;
        let meanwhile = stage.owners(&users)?;
        for (user, owner) in &before {
            let expected = if owner == "b3" { "b1" } else { owner };
            ensure!(meanwhile[user] == expected, "{user} of {owner} is at {}", meanwhile[user]);
        }
        let health = health(stage, "b2")?;
        let last = health["checks"].as_array().and_then(|checks| checks.last()).context("it was checked")?;
        ensure!(health["health"] == "up" && last["code"] == 503 && last["result"] == "passed", "{health}");
        ensure!(health["overloaded_for_s"].as_u64().is_some_and(|time| (1..=60).contains(&time)), "{health}");
        let status = stage.status()?;
        ensure!(status["pools"][0]["backends"][1]["is_overloaded"] == true, "{status}");
        Ok(())
    });
}
