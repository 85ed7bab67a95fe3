//! A lab with servers that can fail, the real siplb in front of them, and traffic; and one run of a fault.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use rand::{Rng as _, rngs::StdRng};
use siplb_lab::{
    Lab, Process, Siplb,
    interrupt::{pause, wait_until},
    outage::{self, Outage, answered_by, is_over},
    siplb,
    topology::{Host, SIP_PORT},
};

use crate::{faults::Fault, traffic::Traffic};

/// Groups in a lab, of one server or of two.
pub(crate) const GROUPS: u8 = 8;
/// What was not answered by then is repeated by the client (T1, RFC 3261 section 17.1.1.1).
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// A fault is over when all was well for so long.
pub(crate) const CALM: Duration = Duration::from_millis(1_500);
/// Between two checks, by default: a fault comes at a random time of that.
const CHECKS: Duration = Duration::from_secs(1);
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// Answers within a second that show that a server has its users.
const AT_HOME: usize = 50;

/// Everything that runs. The order of the fields is the order in which it ends: the network last.
pub(crate) struct Stage {
    traffic: Traffic,
    siplb: Option<Siplb>,
    /// One on each backend.
    servers: Vec<Process>,
    lab: Lab,
    binary: PathBuf,
    config: String,
    has_standbys: bool,
    /// Which group fails next.
    next: usize,
    /// The place of the server that failed last: its users are elsewhere.
    away: Option<usize>,
}

impl Stage {
    pub(crate) fn set(name: &str, has_standbys: bool, binary: PathBuf) -> Result<Self> {
        let lab = Lab::create(name, if has_standbys { 2 * GROUPS } else { GROUPS })?;
        let servers = lab.topology().backends.iter().map(|host| serve(&lab, host)).collect::<Result<_>>()?;
        let config = config(&lab, has_standbys);
        let siplb = Siplb::start(&lab, &binary, &config)?;
        for host in &lab.topology().backends {
            siplb.wait_for(&host.name, true)?;
        }
        let traffic = Traffic::start(&lab)?;
        Ok(Self {
            traffic,
            siplb: Some(siplb),
            servers,
            lab,
            binary,
            config,
            has_standbys,
            next: 0,
            away: None,
        })
    }

    /// Brings a fault about at a random time, waits until it is over, mends it, and tells what it did.
    pub(crate) fn run(&mut self, fault: Fault, random: &mut StdRng) -> Result<Outage> {
        let place = self.next * if self.has_standbys { 2 } else { 1 };
        self.next = (self.next + 1) % usize::from(GROUPS);
        // With all others home too, a server that fails has as many users as another.
        let away = self.away.take();
        away.into_iter().chain([place]).try_for_each(|place| self.bring_home(place))?;
        pause(random.random_range(Duration::ZERO..CHECKS))?;
        let begun = self.traffic.now();
        self.strike(fault, place)?;
        let outage = wait_over(&self.traffic, begun)
            .with_context(|| format!("{fault:?} of {}", self.host(place).name))?;
        self.mend(fault, place)?;
        self.away = Some(place);
        Ok(outage)
    }

    fn host(&self, place: usize) -> &Host {
        &self.lab.topology().backends[place]
    }

    fn siplb(&self) -> Result<&Siplb> {
        self.siplb.as_ref().context("siplb runs")
    }

    /// Waits until a server is up and has its users, which an operator may ask for.
    fn bring_home(&self, place: usize) -> Result<()> {
        let name = &self.host(place).name;
        let siplb = self.siplb()?;
        siplb.wait_for(name, true)?;
        siplb.ask(&["backend", "ready", name, "--now"])?;
        let server = place as u8 + 1;
        wait_until(&format!("{name} to have its users"), LIMIT, LOOK, || {
            let from = self.traffic.now().saturating_sub(Duration::from_secs(1));
            Ok(answered_by(&self.traffic.log(), server, from) >= AT_HOME)
        })?;
        Ok(())
    }

    fn strike(&mut self, fault: Fault, place: usize) -> Result<()> {
        match fault {
            Fault::Killed => self.servers[place].kill(),
            Fault::Stopped => self.servers[place].signal(Signal::SIGSTOP)?,
            Fault::LinkDown => drop(self.host(place).netns.ip("link set eth0 down")?),
            Fault::AddressGone => drop(self.host(place).netns.ip("addr flush dev eth0")?),
            // Dropped, it is killed.
            Fault::Daemon => self.siplb = None,
            Fault::Node => bail!("there is one node here"),
        }
        Ok(())
    }

    fn mend(&mut self, fault: Fault, place: usize) -> Result<()> {
        match fault {
            Fault::Killed => self.servers[place] = serve(&self.lab, self.host(place))?,
            Fault::Stopped => self.servers[place].signal(Signal::SIGCONT)?,
            Fault::LinkDown | Fault::AddressGone => self.host(place).connect_again()?,
            Fault::Daemon => self.siplb = Some(Siplb::start(&self.lab, &self.binary, &self.config)?),
            Fault::Node => bail!("there is one node here"),
        }
        Ok(())
    }
}

/// Waits until a fault that began then is over, and tells what it did.
pub(crate) fn wait_over(traffic: &Traffic, begun: Duration) -> Result<Outage> {
    let over = || Ok(is_over(&traffic.log(), begun, traffic.now(), PATIENCE, CALM));
    let waited = wait_until("all requests to be answered again", LIMIT, LOOK, over);
    // Of what was sent later, nothing can be said yet.
    let end = traffic.now().saturating_sub(PATIENCE);
    let outage = outage::outage(&traffic.log(), begun, end, PATIENCE);
    waited.with_context(|| format!("{outage:?}"))?;
    Ok(outage)
}

/// Starts this program as the server of a backend.
pub(crate) fn serve(lab: &Lab, host: &Host) -> Result<Process> {
    let mut command = host.netns.command(std::env::current_exe()?);
    command.args([crate::SERVE, &format!("{}:{SIP_PORT}", host.address), &host.name]);
    let server = Process::spawn(&host.name, command, &lab.folder().join(format!("{}.log", host.name)))?;
    ensure!(host.name.starts_with('b'), "answers name their server by its number");
    Ok(server)
}

/// The lab's configuration, with all times as they are by default. With standbys the backends are groups of two.
fn config(lab: &Lab, has_standbys: bool) -> String {
    let mut config = siplb::config(lab);
    if has_standbys {
        for (place, host) in lab.topology().backends.iter().enumerate() {
            let name = format!("name    = \"{}\"\n", host.name);
            let group = format!("{name}group = \"g{}\"\npriority = {}\n", place / 2 + 1, place % 2);
            config = config.replace(&name, &group);
        }
    }
    config
}
