//! Everything that is judged, as plain data: written by [`super::read`], read by the judges.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::config::{Forward, XdpMode};
use crate::control::api;
use crate::datapath::{Carried, Pinned, ScanLoop};
use crate::net::{Survey, sysctl};

/// What was looked at.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What the configuration asks for.
    pub(super) wanted: Wanted,
    /// Kernel and process.
    pub(super) machine: Machine,
    /// Each configured interface.
    pub(super) interfaces: Vec<Interface>,
    /// Addresses and routes.
    pub(super) network: Network,
    /// The daemon, if there is one.
    pub(super) daemon: Daemon,
    /// What is pinned, whoever pinned it; none where nothing is.
    pub(super) pinned: Result<Option<Pinned>, String>,
}

/// What the configuration asks for, and the daemon's changes at run time where one runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) xdp_mode: XdpMode,
    pub(super) pin_dir: PathBuf,
    pub(super) interfaces: Vec<String>,
    /// Address and port of each VIP.
    pub(super) vips: Vec<SocketAddr>,
    pub(super) backends: Vec<Backend>,
}

impl Wanted {
    /// Does any VIP or backend have an address of IPv4, of IPv6?
    pub(super) fn has_family(&self, is_v4: bool) -> bool {
        let vips = self.vips.iter().map(SocketAddr::ip);
        vips.chain(self.backends.iter().map(|backend| backend.address))
            .any(|address| address.is_ipv4() == is_v4)
    }

    /// Is there a backend that gets its packets in this way?
    pub(super) fn has(&self, forward: Forward) -> bool {
        self.backends.iter().any(|backend| backend.forward == forward)
    }
}

/// A backend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backend {
    /// Pool and name.
    pub(super) path: String,
    pub(super) address: IpAddr,
    pub(super) forward: Forward,
}

/// Kernel and process.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Release of the kernel.
    pub(super) release: String,
    /// How the program's loops would turn; an error where no program may be loaded.
    pub(super) scan_loop: Result<ScanLoop, String>,
    /// `net.core.bpf_jit_enable`; none where there is no such setting.
    pub(super) jit: Option<u32>,
    /// Can the end of a grace period be waited for?
    pub(super) can_wait: Result<bool, String>,
    /// The effective capabilities of this process, a bit each.
    pub(super) capabilities: Option<u64>,
    /// Is the pin folder on a BPF file system?
    pub(super) is_on_bpffs: Result<bool, String>,
    /// A warning about the hash key, or why it can't be read.
    pub(super) hash_key: Result<Option<String>, String>,
    /// How many instructions the kernel went through to admit the program; none where a daemon runs it already, or it
    /// may not be loaded.
    pub(super) program: Option<Result<u32, String>>,
}

/// A configured interface.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    /// None where it does not exist.
    pub(super) card: Option<Card>,
}

/// What there is to know about an interface. What its driver doesn't say is none.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) is_up: bool,
    pub(super) mtu: u32,
    pub(super) carried: Result<Carried, String>,
    pub(super) driver: Option<String>,
    /// Large receive offload: the card makes one packet of several.
    pub(super) lro: Option<bool>,
    /// The same in a way that can be undone (GRO_HW).
    pub(super) gro_hw: Option<bool>,
    /// Receive queues in use.
    pub(super) queues: Option<u32>,
    /// How UDP over IPv4 is spread over the queues.
    pub(super) spread_v4: Option<Spread>,
    /// The same over IPv6.
    pub(super) spread_v6: Option<Spread>,
}

/// By what an interface spreads datagrams over its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// By addresses alone: every fragment has them.
    Addresses,
    /// By ports too: only first fragments have them.
    Ports,
}

/// Addresses, routes and settings.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) survey: Result<Survey, String>,
    pub(super) settings: Vec<sysctl::Warning>,
}

/// The daemon.
#[derive(Clone, Debug)]
pub(super) enum Daemon {
    /// It answers.
    Answers { status: Box<api::Status>, unnamed: Result<Vec<api::Unnamed>, String> },
    /// Nobody listens.
    Absent { socket: PathBuf },
    /// It could not be asked.
    Silent(String),
}
