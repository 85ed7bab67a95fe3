//! What the daemon learns from the kernel: this node's addresses, and the way to each backend.
//!
//! The XDP program needs interface, MAC addresses and VLAN tags of the way out. Looked up once here they cost a packet
//! nothing; the kernel's own tables, which the program asks where no next hop is published, cost it a look-up each time.
//!
//! `kernel` speaks rtnetlink and makes `facts`, plain data, of what it hears; `outlook` says, purely, what follows
//! from them; [`Watcher`] drives both and tells the daemon. [`sysctl`] reads the settings on which the rest of the way
//! depends, for the warnings at start. [`Survey`] is one look, for `siplb doctor`.
//!
//! Invariant: a next hop is published only while the kernel itself would send there: a route, an interface that the
//! program may send out of, and a neighbour whose MAC address the kernel holds for good. In all doubt there is none, and
//! the packet takes the slower way.
mod facts;
mod kernel;
mod outlook;
mod survey;
pub mod sysctl;
mod watcher;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lb_common::layout::NextHop;

pub use survey::{Interface, Obstructed, Survey, SurveyError, Way, look};
pub use watcher::Watcher;

/// What the kernel knows, as far as the datapath needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Every address of this node, those of the loopback interface included.
    pub local: BTreeSet<IpAddr>,
    /// The way to each backend that has one, by the backend's address.
    pub next_hops: BTreeMap<IpAddr, NextHop>,
    /// Backends that are behind a router: their next hop is not themselves.
    pub routed: BTreeSet<IpAddr>,
}

impl Network {
    /// The way to a backend, if it has one.
    pub fn next_hop(&self, backend: IpAddr) -> Option<NextHop> {
        self.next_hops.get(&backend).copied()
    }

    /// The same for packets that are not addressed to it: a router on the way would send them elsewhere, so that there is
    /// a way only to a backend that is a neighbour.
    pub fn neighbour(&self, backend: IpAddr) -> Option<NextHop> {
        self.next_hop(backend).filter(|_| !self.routed.contains(&backend))
    }
}
