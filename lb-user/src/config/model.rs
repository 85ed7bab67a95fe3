//! The configuration as plain data: what the file says, with defaults filled in and overrides resolved.
//!
//! Made by `parse`, changed at run time by the pool's verbs, and read by everything else. What it says in itself is
//! legal; that its parts agree is what `contradictions` proves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::choice::{Failback, Forward, KeepAlive, KeyRule, OnGroupDown, Transport, XdpMode};
use super::hash_key::HashKey;
use super::metrics::Metrics;
use super::problem::Problems;
use super::source::Source;
use super::{checks, duration};
use crate::health::Settings;
use crate::pool::Windows;

/// The whole configuration of one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[health]`: what pools and backends start from.
    #[serde(serialize_with = "checks::serialize")]
    pub health: Settings,
    /// `[[vip]]`, in the order of the file.
    pub vips: Vec<Vip>,
    /// `[[pool]]`, in the order of the file.
    pub pools: Vec<Pool>,
    /// `[handover]`
    pub handover: Windows,
    /// `[limits]`
    pub limits: Limits,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `peers` of `[node]`: addresses of the other nodes, whose packets to backends are left alone.
    pub peers: Vec<IpAddr>,
    /// What is legal in the file but surprising.
    #[serde(skip)]
    pub warnings: Problems,
}

impl Config {
    /// The pool of that name.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// Does any VIP or backend have an address of IPv6?
    pub fn has_ipv6(&self) -> bool {
        let backends = self.pools.iter().flat_map(|pool| &pool.backends).map(|backend| backend.address);
        self.vips.iter().map(|vip| vip.address).chain(backends).any(|address| address.is_ipv6())
    }

    /// The VIP in front of a pool; legal configurations have at most one.
    pub fn vip_of(&self, pool: &Pool) -> Option<&Vip> {
        self.vips.iter().find(|vip| vip.pool == pool.name)
    }
}

/// The machine itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Node {
    /// Every interface that sees clients or backends; at least one.
    pub interfaces: Vec<String>,
    /// Where the program runs.
    pub xdp_mode: XdpMode,
    /// The secret seed, the same on every node.
    pub hash_key: HashKey,
    /// The control socket.
    pub socket: PathBuf,
    /// Where run-time changes are kept over a restart.
    pub state_dir: PathBuf,
    /// Where link, program and maps are pinned, in a bpffs.
    pub pin_dir: PathBuf,
    /// A program that is called for everything that happens.
    pub on_change: Option<PathBuf>,
    /// What the outer source addresses of `ipip` are made from.
    pub tunnel_source: TunnelSource,
}

/// Networks of the outer source addresses of `ipip`. Each flow has its own, so that a receiver's network card spreads
/// the flows over its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TunnelSource {
    /// The network's address; its low 16 bits are 0 and filled for each flow.
    pub v4: Ipv4Addr,
    /// The network's address; its low 32 bits are 0 and filled for each flow.
    pub v6: Ipv6Addr,
}

impl Default for TunnelSource {
    /// A private network (RFC 1918), and the one that leads nowhere (RFC 6666).
    fn default() -> Self {
        Self { v4: Ipv4Addr::new(172, 16, 0, 0), v6: Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0) }
    }
}

/// Address, port and transport that clients talk to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vip {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// What carries SIP to it.
    pub transport: Transport,
    /// Name of the pool behind it.
    pub pool: String,
    /// Host parts that are ours, in lower case without a trailing dot.
    pub domains: Vec<String>,
    /// Other hosts by which a Route may name this VIP, with or without a port, in the same form.
    pub names: Vec<String>,
    /// What becomes of packets that are no messages.
    pub keep_alives: KeepAlives,
}

impl Vip {
    /// Address and port.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// What becomes of packets on a VIP's port that are no SIP messages, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeepAlives {
    /// One line end: a pong (RFC 5626 section 3.5.1), or what phones send to keep a NAT open.
    pub crlf: KeepAlive,
    /// CR LF CR LF: a ping, which a pong answers (RFC 5626 section 3.5.1).
    pub double_crlf: KeepAlive,
    /// NULs, and other mixes of NULs and line ends.
    pub nul: KeepAlive,
    /// A binding request (RFC 5389 section 7; RFC 5626 section 3.5.2).
    pub stun: KeepAlive,
    /// Anything else.
    pub junk: KeepAlive,
}

impl Default for KeepAlives {
    /// Forwarded is what asks for an answer.
    fn default() -> Self {
        use KeepAlive::{Drop, Forward};
        Self { crlf: Drop, double_crlf: Forward, nul: Drop, stun: Forward, junk: Drop }
    }
}

/// The groups behind a VIP.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pool {
    /// Unique among pools.
    pub name: String,
    /// How packets get to the backends.
    pub forward: Forward,
    /// What decides where no rule of its own does.
    pub key: KeyRule,
    /// Telephone numbers of so many digits or more count by their last so many; 0 is off.
    pub number_tail: u8,
    /// What happens to the users of a group whose members are all down.
    pub on_group_down: OnGroupDown,
    /// When users go home again.
    pub failback: Failback,
    /// How long a recovered group is held back before they do.
    #[serde(serialize_with = "duration::serialize")]
    pub hold_down: Duration,
    /// What its backends are checked by unless they say otherwise.
    #[serde(serialize_with = "checks::serialize")]
    pub health: Settings,
    /// Where its backends come from; the file lists them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// In the order of the file, or of what its source gave last.
    pub backends: Vec<Backend>,
}

/// One second-stage SIP server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backend {
    /// Unique in its pool.
    pub name: String,
    /// The server's address.
    pub address: IpAddr,
    /// The server's SIP port.
    pub port: u16,
    /// The group that it is a member of; its own name if it says nothing.
    pub group: String,
    /// The lowest healthy one in the group serves.
    pub priority: u8,
    /// The group's weight in the lookup table; the same for all of its members.
    pub weight: u32,
    /// Host names, with or without a port, by which the server names itself, in lower case without a trailing dot.
    pub aliases: Vec<String>,
    /// A port of the VIP that is this server's alone.
    pub own_port: Option<OwnPort>,
    /// How it is checked.
    #[serde(serialize_with = "checks::serialize")]
    pub health: Settings,
}

impl Backend {
    /// Address and port.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Address and port of the server's own that its port of the VIP leads to.
    pub fn own_socket(&self) -> Option<SocketAddr> {
        self.own_port.map(|own| SocketAddr::new(self.address, own.port))
    }
}

/// A port of the VIP that leads to one backend, and to a socket of its own there: what comes back from that socket
/// leaves from that port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OwnPort {
    /// `vip-port`: the port at the VIP's address.
    pub vip_port: u16,
    /// `vip-port-to`: the port at the backend's address, another one than the backend's `port`.
    pub port: u16,
}

/// Sizes of the kernel's maps. Memory is taken for all of it, used or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// Pools; each holds four lookup tables of 128 KiB.
    pub pools: u32,
    /// Backends of all pools together.
    pub backends: u32,
    /// Groups of all pools together.
    pub groups: u32,
    /// VIPs.
    pub vips: u32,
    /// First fragments that are remembered for the later ones, of all VIPs and backends together.
    pub fragments: u32,
    /// Transactions that are recorded at one time, of all the changes that are in progress.
    pub transactions: u32,
    /// Names of VIPs and backends, as [`names`](super::names::names) counts them.
    pub names: u32,
}
