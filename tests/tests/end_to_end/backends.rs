//! Backends come, go and change their weight while the daemon runs; bad requests change nothing.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use siplb_lab::siplb;

use crate::servers::Servers;
use crate::stage::{Stage, on_stage, users};

const USERS: u32 = 40;

#[test]
fn a_backend_is_added_and_removed() {
    on_stage("add", 4, |stage| {
        let users = users(USERS);
        stage.start_servers()?;
        stage.start_siplb(&without_the_last(&siplb::config(&stage.lab)))?;
        let before = stage.owners(&users)?;

        let address = stage.lab.topology().backends[3].address.to_string();
        stage.siplb().ask(&["backend", "add", "registrars", "b4", &address, "--now"])?;
        let with_b4 = stage.owners(&users)?;
        only_towards("b4", &before, &with_b4)?;
        stage.register(&users)?;
        stage.call(&users)?;
        let registered = &stage.registrations()?["b4"];
        ensure!(
            !registered.is_empty() && registered.iter().all(|user| with_b4[user] == "b4"),
            "{registered:?}"
        );

        stage.kill_siplb();
        stage.start_siplb(&without_the_last(&siplb::config(&stage.lab)))?;
        ensure!(stage.owners(&users)? == with_b4, "the new daemon has forgotten b4");

        stage.siplb().ask(&["backend", "remove", "b4", "--now"])?;
        ensure!(stage.owners(&users)? == before, "owners are not those of before");
        Ok(())
    });
}

/// The configuration without its last backend.
fn without_the_last(config: &str) -> String {
    let end = config.rfind("[[pool.backend]]").expect("a lab has backends");
    config[..end].to_owned()
}

#[test]
fn a_weight_moves_no_more_users_than_it_must() {
    on_stage("weight", 4, |stage| {
        let _servers = Servers::start(&stage.lab)?;
        let users = users(USERS);
        stage.start_siplb(&siplb::config(&stage.lab))?;
        let (before, digest) = (stage.owners(&users)?, stage.digest()?);
        stage.siplb().ask(&["backend", "weight", "b1", "300", "--now"])?;
        only_towards("b1", &before, &stage.owners(&users)?)?;
        let share = share(&stage.status()?, "b1")?;
        ensure!((0.49..=0.51).contains(&share), "b1 weighs 300 of 600 and has {share}");
        stage.siplb().ask(&["backend", "weight", "b1", "100", "--now"])?;
        ensure!(
            stage.digest()? == digest && stage.owners(&users)? == before,
            "owners are not those of before"
        );
        Ok(())
    });
}

/// Whoever has moved has moved to `backend`, and somebody has.
fn only_towards(
    backend: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<()> {
    let moved: Vec<_> = after.iter().filter(|(user, owner)| before[*user] != **owner).collect();
    ensure!(!moved.is_empty(), "nobody moved to {backend}");
    ensure!(moved.iter().all(|(_, owner)| *owner == backend), "not only towards {backend}: {moved:?}");
    Ok(())
}

/// The part of all slots that a backend serves.
fn share(status: &Value, backend: &str) -> Result<f64> {
    let backends = status["pools"][0]["backends"].as_array().context("a pool has backends")?;
    let found = backends.iter().find(|entry| entry["name"] == backend).context("it is listed")?;
    found["share"].as_f64().context("a share is a number")
}

/// Exit codes as `siplb --help` has them, with a part of what is said.
const BAD_REQUESTS: [(&[&str], i32, &str); 12] = [
    (&["backend", "drain", "nobody"], 4, "there is no backend \"nobody\""),
    (&["backend", "remove", "nobody"], 4, "there is no backend \"nobody\""),
    (&["backend", "weight", "nobody", "10"], 4, "there is no backend \"nobody\""),
    (&["backend", "ready", "b1", "--pool", "none"], 4, "there is no pool \"none\""),
    (&["backend", "add", "none", "b9", "10.0.0.19"], 4, "there is no pool \"none\""),
    (&["backend", "add", "registrars", "b1", "10.0.0.19"], 1, "has a backend \"b1\" already"),
    (&["backend", "add", "registrars", "b9", "10.0.0.11"], 1, "10.0.0.11:5060"),
    (&["backend", "add", "registrars", "b9", "10.0.0.300"], 2, "10.0.0.300"),
    (&["backend", "add", "registrars", "b9", "0.0.0.0"], 2, "0.0.0.0"),
    (&["backend", "weight", "b1", "0"], 2, "1..=10000"),
    (&["backend", "weight", "b1", "10001"], 2, "1..=10000"),
    (&["lookup", "sip:example.com"], 2, "names no user"),
];

#[test]
fn a_bad_request_changes_nothing() {
    on_stage("bad-request", 2, |stage| {
        let _servers = Servers::start(&stage.lab)?;
        stage.start_siplb(&siplb::config(&stage.lab))?;
        stage.siplb().ask(&["backend", "weight", "b2", "50", "--now"])?;
        let before = everything(stage)?;
        for (verb, code, sentence) in BAD_REQUESTS {
            let ended = stage.try_verb(verb)?;
            ensure!(
                ended.code == Some(code) && ended.stderr.contains(sentence) && ended.stdout.is_empty(),
                "{verb:?} was to end with {code} and \"{sentence}\": {ended:?}"
            );
            ensure!(everything(stage)? == before, "{verb:?} has changed something");
        }
        Ok(())
    });
}

/// What is live, and what is stored.
fn everything(stage: &Stage) -> Result<(String, Value, Value, String)> {
    let status = stage.status()?;
    let stored = fs::read_to_string(stage.lab.folder().join("state/runtime.json"))?;
    Ok((stage.digest()?, status["generation"].clone(), status["pools"][0]["groups"].clone(), stored))
}
