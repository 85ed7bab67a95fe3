//! The benchmarks' generator and sink, over the barest network: what is made arrives, once, at the rate that was asked for.

use std::time::Duration;

use anyhow::{Result, ensure};
use siplb_lab::{
    Lab, Netns,
    topology::{CALLERS, VIP},
};
use siplb_load::{Ends, Messages, Pace, Programs, programs};

const GENERATOR_CPU: usize = 0;

#[test]
fn every_number_arrives_once_and_no_faster_than_asked_for() {
    let tried = over_the_wire("siplb-load-rate", |lab, programs| {
        programs.begin(false)?;
        let pace = Pace::Rate { per_second: 20_000.0, burst: 8 };
        let offered =
            programs.offer(&lab.topology().client, GENERATOR_CPU, pace, Duration::from_millis(500))?;
        std::thread::sleep(Duration::from_millis(200));
        let count = programs.count()?;
        ensure!(offered.sent == 10_000, "{offered:?}");
        // Others may make it slower.
        ensure!(offered.seconds > 0.49, "{offered:?}");
        ensure!(offered.busy_ns.is_some_and(|busy_ns| busy_ns > 0.0), "{offered:?}");
        let arrived = count.arrived;
        ensure!(
            (arrived.first, arrived.again, arrived.late) == (offered.sent, 0, 0),
            "{arrived:?} of {offered:?}"
        );
        ensure!(count.latencies.total() == offered.sent, "{} latencies", count.latencies.total());
        ensure!(count.latencies.quantile(0.5).is_some_and(|ns| ns > 0.0), "no time passed");
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn the_highest_pace_ends_in_time() {
    let tried = over_the_wire("siplb-load-highest", |lab, programs| {
        programs.begin(false)?;
        let time = Duration::from_millis(200);
        let offered = programs.offer(&lab.topology().client, GENERATOR_CPU, Pace::Highest, time)?;
        ensure!(offered.sent > 1_000 && offered.seconds < 2.0, "{offered:?}");
        Ok(())
    });
    tried.unwrap();
}

/// Runs `test` with a generator that is aimed at a node which hands on what comes, and a sink behind it.
fn over_the_wire(name: &str, test: impl FnOnce(&Lab, &mut Programs) -> Result<()>) -> Result<()> {
    let lab = Lab::create(name, 2)?;
    let topology = lab.topology();
    let mut programs = Programs::load(&programs::objects())?;
    let mut on = Vec::new();
    for host in &topology.backends {
        on.push(programs.sink_on(&host.netns, "eth0")?);
    }
    let outlets: Vec<String> = topology.backends.iter().map(|host| host.name.clone()).collect();
    on.push(programs.wire_on(&topology.node, "c0", &outlets)?);
    let ends = Ends {
        from_mac: mac(&topology.client, "eth0")?,
        to_mac: mac(&topology.node, "c0")?,
        from: CALLERS,
        vip: VIP,
    };
    programs.aim(&topology.client, "eth0", &Messages::mixed(&ends), 1_000, outlets.len(), &[VIP])?;
    test(&lab, &mut programs)
}

fn mac(netns: &Netns, interface: &str) -> Result<[u8; 6]> {
    let shown = netns.ip(&format!("-o link show {interface}"))?;
    siplb_load::mac(&shown).ok_or_else(|| anyhow::anyhow!("no MAC address in {shown}"))
}
