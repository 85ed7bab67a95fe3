//! A node that dies, whole, and another that keepalived lets take over: each of the two dies by turns.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rand::{Rng as _, rngs::StdRng};
use siplb_lab::{
    Keepalived, Lab, Netns, Process, Shape, Siplb,
    interrupt::{pause, wait_until},
    outage::Outage,
    siplb,
    topology::{Fleet, VIP},
};

use crate::{
    stage::{LIMIT, LOOK, serve, wait_over},
    traffic::Traffic,
};

/// Name of the lab.
const LAB: &str = "siplb-bench-failover-node";
const SERVERS: u8 = 4;
/// How often the node in charge says so: keepalived's default.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
const PRIORITIES: [u8; 2] = [150, 100];

/// Two nodes. The order of the fields is the order in which it ends: the network last.
pub(crate) struct Nodes {
    traffic: Traffic,
    keepalived: [Option<Keepalived>; 2],
    siplb: [Siplb; 2],
    _servers: Vec<Process>,
    lab: Lab,
    /// The one that has the VIP.
    in_charge: usize,
}

impl Nodes {
    pub(crate) fn set(binary: &Path) -> Result<Self> {
        let lab = Lab::create(LAB, Shape { has_peer: true, ..Shape::from(SERVERS) })?;
        let servers = lab.topology().backends.iter().map(|host| serve(&lab, host)).collect::<Result<_>>()?;
        let config = siplb::config(&lab);
        let siplb = [Siplb::start(&lab, binary, &config)?, Siplb::start_peer(&lab, binary, &config)?];
        lab.topology().by_floating_addresses()?;
        let mut first = Keepalived::start(&lab, false, PRIORITIES[0], INTERVAL)?;
        first.wait_master()?;
        let second = Keepalived::start(&lab, true, PRIORITIES[1], INTERVAL)?;
        let traffic = Traffic::start(&lab)?;
        let keepalived = [Some(first), Some(second)];
        Ok(Self { traffic, keepalived, siplb, _servers: servers, lab, in_charge: 0 })
    }

    /// Lets the node that has the VIP die at a random time, waits until the other serves, and brings the dead one back.
    pub(crate) fn run(&mut self, random: &mut StdRng) -> Result<Outage> {
        self.wait_ready()?;
        pause(random.random_range(std::time::Duration::ZERO..INTERVAL))?;
        let dying = self.in_charge;
        let begun = self.traffic.now();
        for interface in ["c0", "l0"] {
            self.netns(dying)?.ip(&format!("link set {interface} down"))?;
        }
        self.keepalived[dying] = None;
        let outage = wait_over(&self.traffic, begun).context("the other node to take over")?;
        ensure!(outage.wrong > 0, "nothing was lost: the requests did not go by the node that died");
        self.in_charge = 1 - dying;
        // What it may still have would be an address that two have.
        let netns = self.netns(dying)?;
        netns.ip(&format!("addr flush dev c0 to {VIP}/32"))?;
        netns.ip(&format!("addr flush dev l0 to {}/32", Fleet::GATEWAY))?;
        for interface in ["c0", "l0"] {
            netns.ip(&format!("link set {interface} up"))?;
        }
        self.keepalived[dying] = Some(Keepalived::start(&self.lab, dying == 1, PRIORITIES[dying], INTERVAL)?);
        Ok(outage)
    }

    /// Waits until both nodes could serve, and one does.
    fn wait_ready(&self) -> Result<()> {
        for siplb in &self.siplb {
            for host in &self.lab.topology().backends {
                siplb.wait_for(&host.name, true)?;
            }
        }
        // As long as it takes a node to hear that another one is in charge.
        pause(4 * INTERVAL)?;
        let is_in_charge = |node: usize| {
            self.keepalived[node].as_ref().context("keepalived runs").and_then(Keepalived::is_master)
        };
        wait_until("one node alone to be in charge", LIMIT, LOOK, || {
            Ok(is_in_charge(self.in_charge)? && !is_in_charge(1 - self.in_charge)?)
        })?;
        Ok(())
    }

    fn netns(&self, node: usize) -> Result<&Netns> {
        let topology = self.lab.topology();
        let peer = topology.fleet.as_ref().map(|fleet| &fleet.peer).context("there are two nodes")?;
        Ok([&topology.node, peer][node])
    }
}
