//! Which way a check takes to its backend. The daemon chooses it by the pool's `forward` and by what it knows of the network.
use std::net::{IpAddr, SocketAddr};

use lb_common::layout::NextHop;

/// Which way a check takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// To the backend's own address, as the stack sends it: pools with `nat`.
    Direct,
    /// To the VIP, by the backend's MAC address: pools with `dsr`. A backend that has lost the VIP does not answer.
    Dsr(Way),
    /// To the VIP, in a packet to the backend's address: pools with `ipip`. Nor does one that takes no outer header off.
    Ipip(Way),
}

/// What it takes to reach a VIP on a backend, though it is an address of this node too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The VIP.
    pub vip: SocketAddr,
    /// The way out towards the backend, if it is known. A check without one fails: it never takes another way instead.
    pub next_hop: Option<NextHop>,
    /// An address of this node of the VIP's family, for a backend of the other. Where they are of one family, the source is
    /// the address that this node sends to the backend from.
    pub source: Option<IpAddr>,
}

impl Path {
    /// The VIP that checks are addressed to, unless they go to the backend's own address.
    pub(super) fn vip(&self) -> Option<SocketAddr> {
        match self {
            Self::Direct => None,
            Self::Dsr(way) | Self::Ipip(way) => Some(way.vip),
        }
    }
}
