//! The first stage itself: its configuration for a lab, the daemon, and its verbs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::handover::Windows;
use crate::interrupt::wait_until;
use crate::kamailio::Naming;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::{Process, command, output};
use crate::topology::{DOMAIN, Family, Fleet, SIP_PORT};

/// Name of the one pool.
pub const POOL: &str = "registrars";
/// Health by the defaults takes some seconds to turn; this is what nobody should have to wait for.
const HEALTH_LIMIT: Duration = Duration::from_secs(30);
const START_LIMIT: Duration = Duration::from_secs(20);

/// A daemon in a lab's node; dropped, it is killed.
#[derive(Debug)]
pub struct Siplb {
    binary: PathBuf,
    socket: PathBuf,
    process: Process,
}

impl Siplb {
    /// Starts the daemon with `config`, for instance [`config`]'s. What an earlier daemon of this lab has left pinned
    /// is there for it to adopt.
    ///
    /// # Errors
    /// When the daemon ends at once or doesn't answer on its socket: with the end of its log.
    pub fn start(lab: &Lab, binary: &Path, config: &str) -> Result<Self> {
        Self::start_in(lab, &lab.topology().node, "siplb", binary, config)
    }

    /// Starts the daemon of the second node with the configuration of the first, for instance [`config`]'s: what is a
    /// node's own is changed.
    ///
    /// # Errors
    /// As [`Siplb::start`]; or when there is no second node.
    pub fn start_peer(lab: &Lab, binary: &Path, config: &str) -> Result<Self> {
        let fleet = lab.topology().fleet.as_ref().context("this lab has one node")?;
        Self::start_in(lab, &fleet.peer, "peer", binary, &of_peer(lab, config))
    }

    /// `name` is that of its configuration, its log and its socket.
    fn start_in(lab: &Lab, netns: &Netns, name: &str, binary: &Path, config: &str) -> Result<Self> {
        let config_file = lab.folder().join(format!("{name}.toml"));
        fs::write(&config_file, config)?;
        let mut command = netns.command(binary);
        command.arg("--config").arg(&config_file).arg("run");
        let process = Process::spawn("siplb", command, &lab.folder().join(format!("{name}.log")))?;
        let socket = lab.folder().join(format!("{name}.sock"));
        let mut siplb = Self { binary: binary.to_owned(), socket, process };
        siplb.wait_ready()?;
        Ok(siplb)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let (binary, socket) = (&self.binary, &self.socket);
        self.process.wait_ready(START_LIMIT, || Ok(ask(binary, socket, &["status"]).is_ok()))
    }

    /// # Errors
    /// With the end of its log, when the daemon has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }

    /// Signals the daemon.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Process id of the daemon, and of the group that it leads.
    pub fn pid(&self) -> nix::unistd::Pid {
        self.process.pid()
    }

    /// The daemon's control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs a verb against the daemon and returns its JSON.
    ///
    /// # Errors
    /// When the verb fails, or prints something else.
    pub fn ask(&self, verb: &[&str]) -> Result<Value> {
        ask(&self.binary, &self.socket, verb)
    }

    /// Whether the daemon takes this backend for healthy.
    ///
    /// # Errors
    /// When `status` fails or doesn't know the backend.
    pub fn is_up(&self, backend: &str) -> Result<bool> {
        let status = self.ask(&["status"])?;
        let found = backends(&status).find(|entry| entry["name"] == backend);
        let health =
            found.map(|entry| &entry["health"]).with_context(|| format!("{backend} is not in {status}"))?;
        Ok(health == "up")
    }

    /// Waits until the daemon says so of this backend, asking every ten milliseconds.
    ///
    /// # Errors
    /// As [`Siplb::is_up`], or when it takes longer than half a minute.
    pub fn wait_for(&self, backend: &str, up: bool) -> Result<Duration> {
        let what = format!("siplb to see {backend} {}", if up { "up" } else { "down" });
        wait_until(&what, HEALTH_LIMIT, Duration::from_millis(10), || Ok(self.is_up(backend)? == up))
    }
}

/// What a configuration is to say, beside who there is.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// Of the VIP and of the backends.
    pub family: Family,
    /// `nat`, `dsr` or `ipip`.
    pub forward: &'a str,
    /// What each backend's server calls itself, if that is to be known.
    pub naming: Option<Naming>,
    /// Without the domain, every request is read to its end.
    pub has_domain: bool,
    /// More lines of the pool.
    pub pool: &'a str,
    /// How long a handover takes, if not as long as by default.
    pub handover: Option<Windows>,
}

impl Default for Service<'_> {
    fn default() -> Self {
        Self { family: Family::V4, forward: "nat", naming: None, has_domain: true, pool: "", handover: None }
    }
}

/// The configuration of a lab's node: native XDP on all interfaces, `nat`, every backend a group of its own.
pub fn config(lab: &Lab) -> String {
    config_for(lab, &Service::default())
}

/// The same, for a service of another kind.
pub fn config_for(lab: &Lab, service: &Service<'_>) -> String {
    let interfaces = lab.topology().node_interfaces();
    let folder = lab.folder();
    let handover = service.handover.map(|Windows { record, finish }| {
        let [record, finish] = [record, finish].map(|time| time.as_millis());
        format!("\n[handover]\nrecord = \"{record}ms\"\nfinish = \"{finish}ms\"\n")
    });
    let mut text = format!(
        r#"[node]
interfaces = {interfaces:?}
xdp-mode   = "native"
hash-key   = "hex:000102030405060708090a0b0c0d0e0f"
socket     = {socket:?}
state-dir  = {state:?}
pin-dir    = {pins:?}
{peers}
{handover}
[[vip]]
address   = "{vip}"
port      = {SIP_PORT}
transport = "udp"
pool      = "{POOL}"
domains   = {domains:?}

[[pool]]
name    = "{POOL}"
forward = "{forward}"
{pool}
"#,
        peers = lab.topology().fleet.as_ref().map(|_| peers(Fleet::PEER)).unwrap_or_default(),
        socket = socket(lab),
        state = folder.join("state"),
        pins = lab.pin_dir(),
        handover = handover.unwrap_or_default(),
        vip = service.family.vip(),
        domains = if service.has_domain { &[DOMAIN][..] } else { &[] },
        forward = service.forward,
        pool = service.pool,
    );
    for host in &lab.topology().backends {
        let address = host.address_of(service.family);
        text += &format!(
            "\n[[pool.backend]]\nname    = \"{}\"\naddress = \"{address}\"\nport    = {SIP_PORT}\n",
            host.name
        );
        text += &match service.naming {
            None => String::new(),
            Some(Naming::Alias) => format!("aliases = [{:?}]\n", Naming::alias(host)),
            Some(Naming::VipPort) => {
                format!("vip-port = {}\nvip-port-to = {}\n", Naming::vip_port(host), Naming::OWN_PORT)
            }
        };
    }
    text
}

/// The configuration of a fleet's first node as the second's: sockets, state and pins of its own, and the other's addresses
/// as its peers.
fn of_peer(lab: &Lab, config: &str) -> String {
    let folder = lab.folder();
    let text = |path: PathBuf| format!("{path:?}");
    config
        .replace(&text(socket(lab)), &text(folder.join("peer.sock")))
        .replace(&text(folder.join("state")), &text(folder.join("peer-state")))
        .replace(&text(lab.pin_dir()), &text(lab.pin_dir().join("peer")))
        .replace(&peers(Fleet::PEER), &peers(Fleet::NODE))
}

fn peers(of: [std::net::Ipv4Addr; 2]) -> String {
    format!("peers = {:?}\n", of.map(|address| address.to_string()))
}

fn socket(lab: &Lab) -> PathBuf {
    lab.folder().join("siplb.sock")
}

fn ask(binary: &Path, socket: &Path, verb: &[&str]) -> Result<Value> {
    let mut command = command(binary);
    command.arg("--socket").arg(socket).arg("--json").args(verb);
    let text = output(command)?;
    serde_json::from_str(&text).with_context(|| format!("`siplb {}` printed no JSON: {text}", verb.join(" ")))
}

/// The backends in the answer to `status`.
fn backends(status: &Value) -> impl Iterator<Item = &Value> {
    let pools = status["pools"].as_array().into_iter().flatten();
    pools.flat_map(|pool| pool["backends"].as_array().into_iter().flatten())
}
