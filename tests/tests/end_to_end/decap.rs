//! `siplb decap` as a command: what it attaches stays, tells what it does, and goes when it is told to. That packets come out
//! of it is tested in `tests/tests/checks.rs`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use siplb_lab::siplb;

use crate::stage::{Ended, Stage, on_stage};

/// Runs the command with the lab's pins.
fn decap(stage: &Stage, arguments: &[&str]) -> Result<Ended> {
    let pins = stage.lab.pin_dir().display().to_string();
    stage.run(&[&["--json", "decap", "--pin-dir", &pins], arguments].concat())
}

/// The same, and its one line of JSON.
fn done(stage: &Stage, arguments: &[&str]) -> Result<Value> {
    let mut lines = decap(stage, arguments)?.json_lines()?;
    ensure!(lines.len() == 1, "{lines:?}");
    Ok(lines.remove(0))
}

#[test]
fn decapsulation_stays_until_it_is_detached() {
    on_stage("decap", 1, |stage| {
        decap(stage, &["c9", "--to", "192.0.2.10"])?.expect_refusal(1, "there is no interface c9")?;
        decap(stage, &["c0", "--status"])?.expect_refusal(4, "c0 carries no program of siplb decap")?;
        decap(stage, &["c0", "--detach"])?.expect_refusal(4, "c0 carries no program of siplb decap")?;
        ensure!(stage.pins()?.is_empty(), "a refusal leaves nothing");

        let attached = done(stage, &["c0", "--to", "192.0.2.10"])?;
        ensure!(attached == json!({ "interface": "c0", "done": "attached" }), "{attached}");
        ensure!(stage.xdp_programs()? == 1, "it outlives the command");
        let status = done(stage, &["c0", "--status"])?;
        ensure!(ipv4(&status["own"]) == ["10.0.0.1", "198.51.100.1"], "no VIP and no loopback: {status}");
        ensure!(status["mode"] == "native" && status["to"] == json!(["192.0.2.10"]), "{status}");
        ensure!(status["packets"]["decapsulated"] == 0 && status["packets"]["refused"] == 0, "{status}");

        // Other VIPs for the program that is there, and an address that the machine got since.
        stage.lab.topology().node.ip("addr add 203.0.113.1/32 dev lo")?;
        let updated = done(stage, &["c0", "--to", "192.0.2.10,2001:db8::10"])?;
        ensure!(updated["done"] == "updated", "{updated}");
        let status = done(stage, &["c0", "--status"])?;
        ensure!(status["to"] == json!(["192.0.2.10", "2001:db8::10"]), "{status}");
        ensure!(status["own"].as_array().is_some_and(|own| own.contains(&json!("203.0.113.1"))), "{status}");

        // Another interface has a program of its own, and another mode is a new attachment.
        done(stage, &["b1", "--to", "192.0.2.10", "--xdp-mode", "generic"])?;
        ensure!(done(stage, &["b1", "--status"])?["mode"] == "generic", "it is in the mode asked for");
        ensure!(done(stage, &["b1", "--to", "192.0.2.10"])?["done"] == "attached", "anew");
        ensure!(done(stage, &["b1", "--status"])?["mode"] == "native", "it is in the mode asked for");
        ensure!(
            done(stage, &["c0", "--status"])?["to"].as_array().map(Vec::len) == Some(2),
            "c0 is as it was"
        );

        // The load balancer names what is in its way.
        let refusal = stage.start_siplb(&siplb::config(&stage.lab)).expect_err("c0 is occupied");
        ensure!(format!("{refusal:#}").contains("already carries the XDP program decap"), "{refusal:#}");

        for interface in ["c0", "b1"] {
            ensure!(done(stage, &[interface, "--detach"])?["done"] == "detached", "{interface}");
        }
        ensure!(stage.xdp_programs()? == 0 && stage.pins()?.is_empty(), "nothing is left");

        // And the other way round.
        stage.start_siplb(&siplb::config(&stage.lab))?;
        let sentence = "c0 already carries the XDP program siplb";
        decap(stage, &["c0", "--to", "192.0.2.10"])?.expect_refusal(1, sentence)?;
        let is_decap = |pin: &PathBuf| pin.starts_with(stage.lab.pin_dir().join("decap-v1"));
        ensure!(!stage.pins()?.iter().any(is_decap), "a refusal leaves nothing");
        Ok(())
    });
}

/// The IPv4 addresses of a list; whether there are link-local ones beside them is the machine's affair.
fn ipv4(list: &Value) -> Vec<&str> {
    let addresses = list.as_array().map(Vec::as_slice).unwrap_or_default();
    addresses.iter().filter_map(Value::as_str).filter(|address| !address.contains(':')).collect()
}
