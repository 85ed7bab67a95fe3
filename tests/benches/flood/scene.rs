//! What stands: the network, two registrars with their users, the node with siplb, the phones.

use anyhow::{Context as _, Result, bail, ensure};
use siplb_lab::{
    Kamailio, Lab, Netns, Process, Siplb, Sipp,
    process::output,
    siplb,
    sipp::Scenario,
    topology::{CALLERS, VIP},
};
use siplb_load::{Ends, Programs};

const LAB: &str = "siplb-flood";
const SERVERS: u8 = 2;
/// Calls in a measurement, one to each user, and calls a second.
pub(crate) const CALLS: u32 = 300;
pub(crate) const RATE: u32 = 100;
const REGISTER_RATE: u32 = 400;

/// Everything that runs. The order of the fields is the order in which it ends: the network last.
pub(crate) struct Scene {
    pub(crate) programs: Programs,
    pub(crate) ends: Ends,
    pub(crate) users: Vec<String>,
    phones: Process,
    pub(crate) siplb: Siplb,
    _servers: Vec<Kamailio>,
    pub(crate) lab: Lab,
}

impl Scene {
    /// Sets all up and registers the users.
    pub(crate) fn set() -> Result<Self> {
        let binary = siplb_tests::daemon::binary()?;
        let programs = Programs::load(&siplb_load::programs::objects())?;
        let lab = Lab::create(LAB, SERVERS)?;
        let topology = lab.topology();
        let hosts = &topology.backends;
        let servers = hosts.iter().map(|host| Kamailio::start(host, &lab.folder())).collect::<Result<_>>()?;
        let siplb = Siplb::start(&lab, &binary, &siplb::config(&lab))?;
        for host in hosts {
            siplb.wait_for(&host.name, true)?;
        }
        let ends = Ends {
            from_mac: mac(&topology.client, "eth0")?,
            to_mac: mac(&topology.node, "c0")?,
            from: CALLERS,
            vip: VIP,
        };
        let users: Vec<String> = (0..CALLS).map(|number| format!("caller{number:04}")).collect();
        let phones = Sipp::answer(&lab)?;
        let scene = Self { programs, ends, users, phones, siplb, _servers: servers, lab };
        scene.register()?;
        Ok(scene)
    }

    /// What a flood has left behind is put right: a server that was too busy to answer checks counts as dead, and its users
    /// are the other's meanwhile. They go home, and register there as telephones would.
    pub(crate) fn restore(&self) -> Result<()> {
        for host in &self.lab.topology().backends {
            self.siplb.wait_for(&host.name, true)?;
            self.siplb.ask(&["backend", "ready", &host.name, "--now"])?;
        }
        self.register()
    }

    /// Servers that siplb takes for dead.
    pub(crate) fn dead(&self) -> Result<u64> {
        let hosts = self.lab.topology().backends.iter();
        hosts.map(|host| Ok(u64::from(!self.siplb.is_up(&host.name)?))).sum()
    }

    /// Registers everybody who is called.
    fn register(&self) -> Result<()> {
        let calls = u64::from(CALLS);
        let run = Sipp::start(&self.lab, "register", Scenario::Register, &self.users, calls, REGISTER_RATE)?;
        let tally = run.finish(|_| ())?;
        let registered = tally.count("registered");
        ensure!(registered == calls, "{registered} of {calls} users could be registered while nothing came");
        Ok(())
    }

    /// # Errors
    /// With the end of its log, when something that has to run has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        self.phones.ensure_running()?;
        self.siplb.ensure_running()
    }

    /// Frames for which the ring of the node's interface towards the client had no room.
    pub(crate) fn ring_full(&self) -> Result<u64> {
        const ERRORS: &str = "tx_queue_0_xdp_xmit_errors";
        let mut command = self.lab.topology().client.command("ethtool");
        command.args(["-S", "eth0"]);
        let text = output(command)?;
        statistic(&text, ERRORS).with_context(|| format!("`ethtool -S` does not tell {ERRORS}:\n{text}"))
    }

    /// Datagrams that the servers' sockets had no room for.
    pub(crate) fn turned_away(&self) -> Result<u64> {
        let hosts = self.lab.topology().backends.iter();
        hosts
            .map(|host| host.netns.run(|| full(&std::fs::read_to_string("/proc/thread-self/net/snmp")?)))
            .sum()
    }
}

/// The number behind a name and a colon, in what `ethtool -S` prints.
fn statistic(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

/// `RcvbufErrors` of UDP: a line of titles, and one of numbers.
fn full(snmp: &str) -> Result<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp:"));
    let (titles, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut both = titles.split_whitespace().zip(numbers.split_whitespace());
    let (_, number) =
        both.find(|(title, _)| *title == "RcvbufErrors").context("the kernel doesn't count full sockets")?;
    Ok(number.parse()?)
}

/// MAC address of an interface.
fn mac(netns: &Netns, interface: &str) -> Result<[u8; 6]> {
    match siplb_load::mac(&netns.ip(&format!("-o link show {interface}"))?) {
        Some(mac) => Ok(mac),
        None => bail!("{interface} of {} has no MAC address", netns.name()),
    }
}
