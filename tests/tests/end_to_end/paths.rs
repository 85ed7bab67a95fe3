//! The daemon checks `dsr` and `ipip` pools on the way of their traffic, past its own program on the interface: a real server
//! that has lost the VIP, or takes no outer header off, is down.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use siplb_lab::process::output;
use siplb_lab::topology::{Host, VIP};
use siplb_lab::{Kamailio, siplb};

use crate::stage::{Stage, on_stage};

/// `fall x interval + timeout` with the defaults, and what a busy machine may add.
const PROMISE: Duration = Duration::from_millis(3_500 + 2_000);

fn with_forward(stage: &Stage, forward: &str) -> String {
    siplb::config(&stage.lab).replace("forward = \"nat\"", &format!("forward = \"{forward}\""))
}

/// The one backend.
fn host(stage: &Stage) -> &Host {
    &stage.lab.topology().backends[0]
}

fn last_check(stage: &Stage) -> Result<String> {
    let status = stage.status()?;
    let found = status["pools"][0]["backends"][0]["last_check"].as_str().map(str::to_owned);
    found.with_context(|| format!("nothing was checked: {status}"))
}

fn wait_down(stage: &Stage) -> Result<()> {
    let after = stage.siplb().wait_for("b1", false)?;
    println!("down after {} ms: {}", after.as_millis(), last_check(stage)?);
    ensure!(after < PROMISE, "down after {after:?}");
    Ok(())
}

/// Runs `siplb decap` on a backend, each with pins of its own.
pub(crate) fn decap(stage: &Stage, host: &Host, arguments: &[&str]) -> Result<Value> {
    let mut command: Command = host.netns.command(stage.binary());
    let pins = stage.lab.pin_dir().join(&host.name);
    command.args(["--json", "decap", "eth0", "--pin-dir"]).arg(pins).args(arguments);
    Ok(serde_json::from_str(&output(command)?)?)
}

#[test]
fn a_server_that_traffic_does_not_reach_is_down() {
    on_stage("paths", 1, |stage| {
        let vip = format!("{VIP}/32 dev lo");
        let backend = host(stage);
        backend.netns.ip(&format!("addr add {vip}"))?;
        let at_vip = Host { name: "vip".into(), address: VIP, netns: backend.netns.clone() };
        let _server = Kamailio::start(&at_vip, &stage.lab.folder())?;

        stage.start_siplb(&with_forward(stage, "dsr"))?;
        stage.siplb().wait_for("b1", true)?;
        host(stage).netns.ip(&format!("addr del {vip}"))?;
        wait_down(stage)?;
        // A backend that forwards: what it sends back to the node is not to reach another one, and be answered there.
        host(stage).netns.set("ipv4/ip_forward", "1")?;
        host(stage).netns.ip(&format!("addr add {vip}"))?;
        stage.siplb().wait_for("b1", true)?;
        ensure!(last_check(stage)?.starts_with("answered 200"), "{}", last_check(stage)?);
        host(stage).netns.ip(&format!("addr del {vip}"))?;
        wait_down(stage)?;
        host(stage).netns.ip(&format!("addr add {vip}"))?;
        stage.siplb().wait_for("b1", true)?;

        stage.kill_siplb();
        stage.start_siplb(&with_forward(stage, "ipip"))?;
        wait_down(stage)?;
        ensure!(last_check(stage)?.contains("outer header"), "{}", last_check(stage)?);
        decap(stage, host(stage), &["--to", &VIP.to_string()])?;
        stage.siplb().wait_for("b1", true)?;
        ensure!(
            decap(stage, host(stage), &["--status"])?["packets"]["decapsulated"].as_u64() >= Some(2),
            "none came out"
        );
        decap(stage, host(stage), &["--detach"])?;
        wait_down(stage)
    });
}
