//! Real Kamailio servers as the second stage: registrars after `tests/kamailio/registrar.cfg`, proxies that stay in the
//! dialog after `tests/kamailio/proxy.cfg`, and after `tests/kamailio/ringing.cfg` servers that know their transactions.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::{Process, command, output};
use crate::topology::{DOMAIN, Family, Host, SIP_PORT};

const REGISTRAR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kamailio/registrar.cfg");
const PROXY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kamailio/proxy.cfg");
const RINGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kamailio/ringing.cfg");
/// Memory that the workers share, in MiB: enough for some thousand users and their calls.
const MEMORY_MIB: u32 = 32;
/// The same for some ten thousand calls that ring at one time, 23 KiB each. It costs what of it is used.
const MEMORY_FOR_RINGING_MIB: u32 = 2048;
/// Gives a program a file of host names of its own, from the folder that comes first of the arguments, and a name server
/// that refuses at once: one that is not there costs seconds.
const WITH_HOSTS: &str =
    "mount --bind \"$0/hosts\" /etc/hosts && mount --bind \"$0/resolv.conf\" /etc/resolv.conf && exec \"$@\"";
const START_LIMIT: Duration = Duration::from_secs(15);

/// How a server names itself in Via and Record-Route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By a host name that is a name of the VIP: [`Naming::alias`].
    Alias,
    /// By a port of the VIP that is its own alone: [`Naming::vip_port`].
    VipPort,
}

impl Naming {
    /// Where a server listens for what comes to its own port of the VIP.
    pub const OWN_PORT: u16 = 5061;

    /// The host name of a backend's own.
    pub fn alias(host: &Host) -> String {
        format!("{}.sip.{DOMAIN}", host.name)
    }

    /// The port of the VIP that is a backend's own.
    pub fn vip_port(host: &Host) -> u16 {
        15_050 + u16::from(host.address.octets()[3])
    }
}

/// What a proxy is to know.
#[derive(Debug, Clone, Copy)]
pub struct Proxy {
    /// Of its socket, the VIP and the backends.
    pub family: Family,
    /// Listens on the VIP itself, as a backend of a `dsr` or `ipip` pool does, and not on its own address.
    pub is_at_vip: bool,
    /// What it calls itself.
    pub naming: Naming,
}

impl Proxy {
    /// Listens on the backend's own address, and names itself by its alias.
    pub fn by_alias(family: Family) -> Self {
        Self { family, is_at_vip: false, naming: Naming::Alias }
    }

    /// Its name, with a port.
    fn name(self, host: &Host) -> String {
        match self.naming {
            Naming::Alias => format!("{}:{SIP_PORT}", Naming::alias(host)),
            Naming::VipPort => SocketAddr::from((self.family.vip(), Naming::vip_port(host))).to_string(),
        }
    }

    /// A socket of its own, for Kamailio.
    fn listen(self, host: &Host, port: u16) -> String {
        format!("udp:{} advertise {}", SocketAddr::from((self.address(host), port)), self.name(host))
    }

    fn address(self, host: &Host) -> IpAddr {
        if self.is_at_vip { self.family.vip() } else { host.address_of(self.family) }
    }

    /// What the source addresses of the proxies' own requests match.
    fn peers(self) -> String {
        let vip = self.family.vip().to_string().replace('.', "\\.");
        match (self.is_at_vip, self.family) {
            (true, _) => format!("^\\[?{vip}\\]?$"),
            (false, Family::V4) => "^10\\.0\\.0\\.".to_owned(),
            (false, Family::V6) => "^\\[?2001:db8:c:".to_owned(),
        }
    }
}

/// One server; dropped, it is killed.
#[derive(Debug)]
pub struct Kamailio {
    name: String,
    control: PathBuf,
    process: Process,
}

impl Kamailio {
    /// Starts a registrar with an empty location table on `host`, and waits until it can be asked.
    ///
    /// # Errors
    /// When Kamailio is missing, ends at once, or takes longer than some seconds.
    pub fn start(host: &Host, folder: &Path) -> Result<Self> {
        let command = host.netns.command("kamailio");
        let listen = format!("udp:{}:{SIP_PORT}", host.address);
        Self::start_with(host, folder, command, (REGISTRAR, MEMORY_MIB), &[("LISTEN", listen)])
    }

    /// Starts a server on `host` that lets the phones of all users ring, and waits until it can be asked.
    ///
    /// # Errors
    /// As [`Kamailio::start`].
    pub fn start_ringing(host: &Host, folder: &Path) -> Result<Self> {
        let command = host.netns.command("kamailio");
        let listen = format!("udp:{}:{SIP_PORT}", host.address);
        Self::start_with(host, folder, command, (RINGING, MEMORY_FOR_RINGING_MIB), &[("LISTEN", listen)])
    }

    /// Starts a record-routing proxy, with an empty location table, on `host` of this lab, and waits until it can be asked.
    ///
    /// # Errors
    /// As [`Kamailio::start`].
    pub fn start_proxy(lab: &Lab, host: &Host, proxy: Proxy) -> Result<Self> {
        let folder = lab.folder();
        let vip = proxy.family.vip();
        let names: Vec<String> = lab.topology().backends.iter().map(Naming::alias).collect();
        fs::write(folder.join("hosts"), format!("127.0.0.1 localhost\n{vip} {}\n", names.join(" ")))?;
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\noptions attempts:1\n")?;
        let mut definitions = vec![
            ("LISTEN", proxy.listen(host, SIP_PORT)),
            ("VIP_URI", format!("\"sip:{}\"", proxy.family.vip_socket())),
            ("PEERS", format!("\"{}\"", proxy.peers())),
        ];
        if proxy.naming == Naming::VipPort {
            definitions.push(("OWN_PORT", proxy.listen(host, Naming::OWN_PORT)));
        }
        let command = command_with_hosts(&host.netns, &folder, "kamailio");
        Self::start_with(host, &folder, command, (PROXY, MEMORY_MIB), &definitions)
    }

    fn start_with(
        host: &Host,
        folder: &Path,
        mut command: Command,
        (config, memory_mib): (&str, u32),
        definitions: &[(&str, String)],
    ) -> Result<Self> {
        let control = folder.join(format!("{}.ctl", host.name));
        command
            // In the foreground, complaining to its log, with 4 MiB for each process.
            .args(["-DD", "-E", "-m", &memory_mib.to_string(), "-M", "4", "-f", config, "-w"])
            .arg(folder)
            .args(["-A", &format!("DOMAIN=\"{DOMAIN}\"")])
            .args(["-A", &format!("CONTROL=\"unixs:{}\"", control.display())]);
        for (name, value) in definitions {
            command.args(["-A", &format!("{name}={value}")]);
        }
        let log = folder.join(format!("{}.log", host.name));
        let process = Process::spawn(&format!("Kamailio {}", host.name), command, &log)?;
        let mut kamailio = Self { name: host.name.clone(), control, process };
        kamailio.wait_ready()?;
        Ok(kamailio)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let control = &self.control;
        self.process.wait_ready(START_LIMIT, || Ok(output(kamcmd(control, &["core.version"])).is_ok()))
    }

    /// The backend's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The users who are registered here, by the registrar's own word.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn users(&self) -> Result<Vec<String>> {
        let listing = output(kamcmd(&self.control, &["ul.dump", "brief"]))
            .with_context(|| format!("cannot ask Kamailio {} for its users", self.name))?;
        let mut users: Vec<String> =
            listing.lines().filter_map(|line| line.trim().strip_prefix("AoR: ")).map(str::to_owned).collect();
        users.sort_unstable();
        Ok(users)
    }

    /// One of the proxy's own counts; the head of its configuration says which there are.
    ///
    /// # Errors
    /// When it doesn't answer, or doesn't count that.
    pub fn count(&self, what: &str) -> Result<u64> {
        let answer = output(kamcmd(&self.control, &["cnt.get", "script", what]))
            .with_context(|| format!("cannot ask Kamailio {} for `{what}`", self.name))?;
        answer.trim().parse().with_context(|| format!("`{what}` is {answer:?}"))
    }

    /// SIGSTOP to all its processes: its port stays open, and nobody answers.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self) -> Result<()> {
        self.process.signal_all(Signal::SIGSTOP)
    }

    /// Has it go on, with all that has come meanwhile.
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&self) -> Result<()> {
        self.process.signal_all(Signal::SIGCONT)
    }

    /// All that a proxy or a ringing server counts, as [`Kamailio::count`].
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let listing = output(kamcmd(&self.control, &["cnt.grp_get_all", "script"]))
            .with_context(|| format!("cannot ask Kamailio {} what it has counted", self.name))?;
        let count = |line: &str| {
            let (name, value) = line.trim().split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(listing.lines().filter_map(count).collect())
    }

    /// SIGKILL to all its processes at once, and with them to everything it remembers.
    pub fn kill(mut self) {
        self.process.kill();
    }
}

/// A command for `program` inside a namespace, to which the `hosts` of `folder` is /etc/hosts.
fn command_with_hosts(netns: &Netns, folder: &Path, program: &str) -> Command {
    let mut command = netns.command("unshare");
    command.args(["--mount", "sh", "-c", WITH_HOSTS]).arg(folder).arg(program);
    command
}

fn kamcmd(control: &Path, arguments: &[&str]) -> Command {
    let mut command = command("kamcmd");
    command.arg("-s").arg(format!("unixs:{}", control.display())).args(arguments);
    command
}
