//! The doctor finds a lab fit, and tells what goes wrong in it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use siplb_lab::interrupt::wait_until;
use siplb_lab::siplb;
use siplb_lab::topology::{CALLERS, SIP_PORT, VIP};

use crate::foreign::udp;
use crate::stage::{Stage, on_stage};

const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(10);
/// To somebody whom no backend is known by.
const RESPONSE: &str = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP elsewhere.example.net;branch=z9hG4bK1\r\n\
                        From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\nCall-ID: 1\r\n\
                        CSeq: 1 INVITE\r\n\r\n";

#[test]
fn the_doctor_tells_what_is_wrong_and_how_to_mend_it() {
    on_stage("doctor", 2, |stage| {
        let config = siplb::config(&stage.lab);
        a_lab_is_fit(stage, &config)?;
        stage.start_siplb(&config)?;
        servers_that_do_not_run_are_missed(stage)?;
        a_wrong_name_is_told_until_it_is_forgotten(stage)?;
        an_interface_that_is_missing_is_a_failure(stage, &config)
    });
}

fn a_lab_is_fit(stage: &Stage, config: &str) -> Result<()> {
    let findings = doctor(stage, config, &[], 0)?;
    for check in ["kernel", "program", "xdp", "sysctl", "vip", "route", "daemon"] {
        let of_check: Vec<&Value> = findings.iter().filter(|finding| finding["check"] == check).collect();
        let is_fit = |finding: &&Value| finding["verdict"] == "ok" && finding["mend"].is_null();
        ensure!(!of_check.is_empty() && of_check.iter().all(is_fit), "{check}: {of_check:#?}");
    }
    ensure!(stage.xdp_programs()? == 0 && stage.pins()?.is_empty(), "the doctor left something behind");
    Ok(())
}

fn servers_that_do_not_run_are_missed(stage: &Stage) -> Result<()> {
    for host in &stage.lab.topology().backends {
        stage.siplb().wait_for(&host.name, false)?;
    }
    let findings = doctor(stage, &siplb::config(&stage.lab), &[], 1)?;
    find(&findings, "backend", "fail", "no backend of pool registrars is up")?;
    find(&findings, "backend", "warn", &format!("registrars/{}", stage.lab.topology().backends[0].name))?;
    let carried = findings.iter().filter(|finding| finding["check"] == "xdp");
    ensure!(carried.clone().count() > 0, "{findings:#?}");
    for finding in carried {
        ensure!(
            finding["what"].as_str().is_some_and(|what| what.contains("carries the program")),
            "{finding}"
        );
    }
    Ok(())
}

fn a_wrong_name_is_told_until_it_is_forgotten(stage: &Stage) -> Result<()> {
    let config = siplb::config(&stage.lab);
    let client = udp(&stage.lab.topology().client, CALLERS, 0)?;
    let before = stage.packets("response-unnamed")?;
    for _ in 0..3 {
        client.send_to(RESPONSE.as_bytes(), (VIP, SIP_PORT))?;
    }
    wait_until("the responses to be counted", PATIENCE, PAUSE, || {
        Ok(stage.packets("response-unnamed")? == before + 3)
    })?;
    let told = format!(
        "responses come back with Via host \"elsewhere.example.net\" (3 times, last from {CALLERS}), which names no \
         backend of VIP {VIP}:{SIP_PORT}"
    );
    let findings = doctor(stage, &config, &["--forget"], 1)?;
    let found = find(&findings, "names", "warn", &told)?;
    ensure!(found["mend"].as_str().is_some_and(|mend| mend.contains("aliases")), "{found}");
    find(&doctor(stage, &config, &[], 1)?, "names", "ok", "named a backend").map(drop)
}

fn an_interface_that_is_missing_is_a_failure(stage: &Stage, config: &str) -> Result<()> {
    let config = config.replacen("interfaces = [", "interfaces = [\"nosuch0\", ", 1);
    let findings = doctor(stage, &config, &[], 1)?;
    find(&findings, "interface", "fail", "there is no interface nosuch0").map(drop)
}

/// Runs the doctor with a configuration, and expects this exit code.
fn doctor(stage: &Stage, config: &str, arguments: &[&str], code: i32) -> Result<Vec<Value>> {
    let file = stage.lab.folder().join("doctor.toml");
    fs::write(&file, config)?;
    let file = file.display().to_string();
    let ended = stage.run(&[&["-c", &file, "--json", "doctor"], arguments].concat())?;
    ensure!(ended.code == Some(code) && ended.stderr.is_empty(), "expected exit code {code}, got {ended:#?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// The finding of this check and verdict that says so.
fn find<'a>(findings: &'a [Value], check: &str, verdict: &str, says: &str) -> Result<&'a Value> {
    let is_it = |finding: &&Value| {
        finding["check"] == check
            && finding["verdict"] == verdict
            && finding["what"].as_str().is_some_and(|what| what.contains(says))
    };
    findings
        .iter()
        .find(is_it)
        .with_context(|| format!("no {verdict} of {check} says \"{says}\": {findings:#?}"))
}
