//! What stands while the demo plays: the network, the servers, the node, the users' phones.

use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use siplb_lab::sipp::Scenario;
use siplb_lab::{Kamailio, Lab, Process, Siplb, Sipp, Tally, siplb};

use crate::progress::Progress;

const SERVERS: u8 = 4;
/// Registrations and calls a second: what two cores carry with ease, with client, servers and phones on them.
const REGISTER_RATE: u32 = 500;
const CALL_RATE: u32 = 200;

/// Everything that runs. The order of the fields is the order in which it ends: the network last.
pub(super) struct Stage {
    pub(super) progress: Progress,
    phones: Process,
    siplb: Siplb,
    servers: Vec<Kamailio>,
    lab: Lab,
    binary: PathBuf,
}

impl Stage {
    /// Sets everything up and waits until siplb takes every server for healthy.
    pub(super) fn set(name: &str, binary: &Path) -> Result<Self> {
        let progress = Progress::new("demo");
        progress.step("connecting a client, a node and four servers");
        let lab = Lab::create(name, SERVERS)?;
        progress.step("starting four Kamailio registrars");
        let hosts = &lab.topology().backends;
        let servers = hosts.iter().map(|host| Kamailio::start(host, &lab.folder())).collect::<Result<_>>()?;
        progress.step("starting siplb with native XDP");
        let siplb = Siplb::start(&lab, binary, &siplb::config(&lab))?;
        for host in hosts {
            siplb.wait_for(&host.name, true)?;
        }
        let phones = Sipp::answer(&lab)?;
        Ok(Self { progress, phones, siplb, servers, lab, binary: binary.to_owned() })
    }

    pub(super) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(super) fn siplb(&self) -> &Siplb {
        &self.siplb
    }

    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }

    /// Who is registered where, by the servers' own word.
    pub(super) fn registrations(&self) -> Result<Vec<(String, Vec<String>)>> {
        self.servers.iter().map(|server| Ok((server.name().to_owned(), server.users()?))).collect()
    }

    /// One registration for each of `users`, shown as the step `what`.
    pub(super) fn register(&mut self, what: &str, users: &[String]) -> Result<Tally> {
        self.run("register", what, Scenario::Register, users, REGISTER_RATE)
    }

    /// One call to each of `users`, shown as the step `what`.
    pub(super) fn call(&mut self, what: &str, users: &[String]) -> Result<Tally> {
        self.run("call", what, Scenario::Call, users, CALL_RATE)
    }

    fn run(
        &mut self,
        name: &str,
        what: &str,
        scenario: Scenario,
        users: &[String],
        rate: u32,
    ) -> Result<Tally> {
        self.ensure_running()?;
        let total = users.len() as u64;
        self.progress.counted_step(what, total);
        let run = Sipp::start(&self.lab, name, scenario, users, total, rate)?;
        run.finish(|tally| self.progress.done(tally.calls))
    }

    /// The sudden death of a server, with all that it remembers.
    pub(super) fn kill(&mut self, name: &str) -> Result<()> {
        let place = self.servers.iter().position(|server| server.name() == name);
        self.servers.remove(place.with_context(|| format!("{name} does not run"))?).kill();
        Ok(())
    }

    /// Starts a killed server again, with nothing in its memory, and waits until siplb sees it.
    pub(super) fn bring_back(&mut self, name: &str) -> Result<Duration> {
        let mut hosts = self.lab.topology().backends.iter();
        let host = hosts.find(|host| host.name == name).with_context(|| format!("there is no {name}"))?;
        self.servers.push(Kamailio::start(host, &self.lab.folder())?);
        self.siplb.wait_for(name, true)
    }

    /// Has the users of a server that is back handed over to it, without waiting for what they have under way.
    pub(super) fn send_home(&self, name: &str) -> Result<()> {
        self.siplb.ask(&["backend", "ready", name, "--now"]).map(drop)
    }

    /// Ends this value and nothing that it stands for.
    pub(super) fn leave_standing(self) {
        let Self { progress, phones, siplb, servers, lab, binary: _ } = self;
        drop(progress);
        mem::forget((phones, siplb, servers, lab));
    }

    /// So that a helper that died is reported as such, and not as a thousand failed calls.
    fn ensure_running(&mut self) -> Result<()> {
        self.phones.ensure_running()?;
        self.siplb.ensure_running()
    }
}
