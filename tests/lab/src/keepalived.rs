//! A real keepalived, by which one of two nodes has the VIP and the backends' gateway.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::interrupt::wait_until;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::Process;
use crate::topology::{Fleet, VIP};

const START_LIMIT: Duration = Duration::from_secs(30);

/// keepalived on one node; dropped, it is killed.
#[derive(Debug)]
pub struct Keepalived {
    netns: Netns,
    process: Process,
}

impl Keepalived {
    /// Starts it on the first node or its peer. The node of the higher priority has the addresses; it says so every
    /// `interval`.
    ///
    /// # Errors
    /// When keepalived is missing, or there is no peer.
    pub fn start(lab: &Lab, is_peer: bool, priority: u8, interval: Duration) -> Result<Self> {
        let topology = lab.topology();
        let (name, netns) = match (&topology.fleet, is_peer) {
            (Some(fleet), true) => ("peer", &fleet.peer),
            (Some(_), false) => ("node", &topology.node),
            (None, _) => anyhow::bail!("this lab has one node"),
        };
        let folder = lab.folder();
        let file = |what: &str| folder.join(format!("keepalived-{name}.{what}"));
        let config = format!(
            "global_defs {{\n vrrp_version 3\n}}\n\
             vrrp_instance siplb {{\n state BACKUP\n interface c0\n virtual_router_id 51\n priority {priority}\n \
             advert_int {}\n nopreempt\n virtual_ipaddress {{\n  {VIP}/32 dev c0\n  {}/24 dev l0\n }}\n}}\n",
            interval.as_secs_f32(),
            Fleet::GATEWAY
        );
        fs::write(file("conf"), config)?;
        let mut command = netns.command("keepalived");
        command
            .args(["--dont-fork", "--vrrp", "--log-console", "--dont-release-vrrp", "--use-file"])
            .arg(file("conf"));
        command.arg("--pid").arg(file("pid")).arg("--vrrp_pid").arg(file("vrrp-pid"));
        let process = Process::spawn(&format!("keepalived of {name}"), command, &file("log"))?;
        Ok(Self { netns: netns.clone(), process })
    }

    /// Does this node have the addresses?
    ///
    /// # Errors
    /// When the node's addresses can't be listed.
    pub fn is_master(&self) -> Result<bool> {
        Ok(self.netns.ip("addr show dev c0")?.contains(&VIP.to_string()))
    }

    /// Waits until it has them.
    ///
    /// # Errors
    /// When it doesn't get them, or keepalived ends.
    pub fn wait_master(&mut self) -> Result<()> {
        let netns = self.netns.clone();
        self.process.ensure_running()?;
        let has_vip = || Ok(netns.ip("addr show dev c0")?.contains(&VIP.to_string()));
        wait_until("keepalived to take the VIP", START_LIMIT, Duration::from_millis(20), has_vip)
            .with_context(|| self.process.log_end())?;
        Ok(())
    }
}
