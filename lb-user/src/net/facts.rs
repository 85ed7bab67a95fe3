//! What the kernel said, as plain data: written by [`super::kernel`], read by [`super::outlook`].

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use rtnetlink::packet_route::neighbour::NeighbourState;

/// A MAC address.
pub(super) type Mac = [u8; 6];

/// Which neighbour: the index of the link it is on, and its IP address.
pub(super) type NeighbourKey = (u32, IpAddr);

/// Everything that was asked of the kernel in one look.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// This node's addresses.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Links by index.
    pub(super) links: BTreeMap<u32, Link>,
    /// The route to each backend, by its address. One that is missing has none.
    pub(super) routes: BTreeMap<IpAddr, Route>,
    /// The neighbours that the kernel has an entry for.
    pub(super) neighbours: BTreeMap<NeighbourKey, Neighbour>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Its name, and its alternative ones.
    pub(super) names: Vec<String>,
    /// Its MAC address, if it speaks Ethernet.
    pub(super) mac: Option<Mac>,
    /// Is it set up, and does it have a carrier?
    pub(super) is_up: bool,
    /// Longest IP packet that it sends, in bytes; 0 if it doesn't say.
    pub(super) mtu: u32,
    /// What it adds to frames and whom it gives them to, if it is a VLAN device.
    pub(super) vlan: Option<Vlan>,
}

/// What makes a link a VLAN device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vlan {
    /// Ethertype of the tag, in host byte order.
    pub(super) protocol: u16,
    /// VLAN id.
    pub(super) id: u16,
    /// Index of the link below.
    pub(super) below: u32,
}

/// Where packets to an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Out of a link, to the gateway or else to the address itself.
    Out {
        /// Index of the link.
        link: u32,
        /// Next router, if the address is not on the link.
        gateway: Option<IpAddr>,
    },
    /// To this node.
    Local,
    /// Into a tunnel that the route itself describes, to many receivers, or nowhere.
    Other,
}

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// How sure the kernel is.
    pub(super) state: NeighbourState,
    /// Its MAC address.
    pub(super) mac: Option<Mac>,
}

impl Neighbour {
    /// The MAC address, if the kernel itself would send to it.
    pub(super) fn usable_mac(&self) -> Option<Mac> {
        use NeighbourState::{Delay, Permanent, Probe, Reachable, Stale};
        self.mac.filter(|_| matches!(self.state, Reachable | Stale | Delay | Probe | Permanent))
    }

    /// Whether the kernel neither trusts the entry nor is about to find out, and won't before it is told that somebody
    /// uses it.
    pub(super) fn is_idle(&self) -> bool {
        use NeighbourState::{Failed, None, Stale};
        matches!(self.state, Stale | Failed | None)
    }
}
