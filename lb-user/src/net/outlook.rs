//! What follows from the facts: the network as the datapath needs it, and why some backend has no next hop. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lb_common::{
    layout::{NextHop, Vlans},
    limits::VLAN_LIMIT,
};
use thiserror::Error;

use super::{
    Network,
    facts::{Facts, Mac, NeighbourKey, Route},
};

/// What was made of the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    /// What the daemon is told.
    pub(super) network: Network,
    /// Why a backend has no next hop.
    pub(super) obstacles: BTreeMap<IpAddr, Obstacle>,
    /// Neighbours that are on the way to a backend and that the kernel won't find or verify unless it is told to.
    pub(super) idle: BTreeSet<NeighbourKey>,
}

/// Why there is no next hop.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Obstacle {
    #[error("there is no route to it")]
    NoRoute,
    #[error("it is an address of this node")]
    Local,
    #[error("its route leads into a tunnel, to many receivers or nowhere")]
    OtherRoute,
    #[error("its route leaves by {0}, which is not among the configured interfaces")]
    OtherInterface(String),
    #[error("its route leaves by {0}, which doesn't speak Ethernet")]
    NotEthernet(String),
    #[error("its route leaves by {0}, which adds more than {VLAN_LIMIT} VLAN tags")]
    TooManyVlans(String),
    #[error("the MAC address of {0} is not known")]
    Unresolved(IpAddr),
}

/// The way out of this node, without the neighbour's MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WayOut {
    interface: u32,
    source: Mac,
    vlans: Vlans,
    mtu: u32,
    neighbour: NeighbourKey,
}

/// Draws the conclusions, for the named interfaces and for these backends.
pub(super) fn outlook(facts: &Facts, interfaces: &[String], backends: &[IpAddr]) -> Outlook {
    let mut outlook = Outlook::default();
    outlook.network.local.clone_from(&facts.addresses);
    for &backend in backends {
        let hop = way_out(facts, interfaces, backend).and_then(|way| {
            let neighbour = facts.neighbours.get(&way.neighbour);
            if neighbour.is_none_or(|neighbour| neighbour.is_idle()) {
                outlook.idle.insert(way.neighbour);
            }
            let destination = neighbour
                .and_then(|neighbour| neighbour.usable_mac())
                .ok_or(Obstacle::Unresolved(way.neighbour.1))?;
            if way.neighbour.1 != backend {
                outlook.network.routed.insert(backend);
            }
            let WayOut { interface, source, vlans, mtu, .. } = way;
            Ok(NextHop { interface, destination, source, vlans, mtu })
        });
        match hop {
            Ok(hop) => drop(outlook.network.next_hops.insert(backend, hop)),
            Err(obstacle) => drop(outlook.obstacles.insert(backend, obstacle)),
        }
    }
    outlook
}

/// From the backend's address to the interface, by its route and down through VLAN devices.
///
/// The source MAC address is that of the link which the route names: a VLAN device may have one of its own, and answers
/// then come to it. Frames of a VLAN carry priority 0, as the kernel's do unless an egress map says otherwise.
fn way_out(facts: &Facts, interfaces: &[String], backend: IpAddr) -> Result<WayOut, Obstacle> {
    let (index, gateway) = match facts.routes.get(&backend).ok_or(Obstacle::NoRoute)? {
        Route::Out { link, gateway } => (*link, *gateway),
        Route::Local => return Err(Obstacle::Local),
        Route::Other => return Err(Obstacle::OtherRoute),
    };
    // The link may have gone between the answers.
    let out = facts.links.get(&index).ok_or(Obstacle::NoRoute)?;
    let name = || out.names.first().cloned().unwrap_or_default();
    let mut tags = Vec::new();
    let (mut interface, mut link) = (index, out);
    while !link.names.iter().any(|name| interfaces.contains(name)) {
        let vlan = link.vlan.ok_or_else(|| Obstacle::OtherInterface(name()))?;
        if tags.len() == VLAN_LIMIT {
            return Err(Obstacle::TooManyVlans(name()));
        }
        tags.push((vlan.protocol, vlan.id));
        interface = vlan.below;
        link = facts.links.get(&interface).ok_or_else(|| Obstacle::OtherInterface(name()))?;
    }
    let source = out.mac.ok_or_else(|| Obstacle::NotEthernet(name()))?;
    Ok(WayOut {
        interface,
        source,
        vlans: vlans(&tags),
        mtu: out.mtu,
        neighbour: (index, gateway.unwrap_or(backend)),
    })
}

/// Tags as they lie in a frame, outermost first. `tags` has the innermost first: the order in which they are put on.
fn vlans(tags: &[(u16, u16)]) -> Vlans {
    let mut vlans = Vlans { count: tags.len() as u32, ..Vlans::default() };
    for (place, (protocol, id)) in tags.iter().rev().enumerate() {
        vlans.protocols[place] = protocol.to_be();
        vlans.tags[place] = id.to_be();
    }
    vlans
}
