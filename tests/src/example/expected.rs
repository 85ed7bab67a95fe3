//! What the program is to make of packets, worked out from what they are and from the example alone.

use std::net::{IpAddr, SocketAddr};

use lb_common::{layout::Mode, limits::KEY_LIMIT, slot::SLOTS};

use super::{
    BACKEND6, DSR, IPIP, OUT_MAC, ROUTER_MAC, SEED, VIP, VIP6, backend, backends_of, mode, neighbour_mac,
    next_hop, own_port, tunnel_source, vip_socket,
};
use crate::frame::{Datagram, Encapsulated, Link, Tag};

/// What stands in front of a packet on its way to a backend.
pub fn link_to(id: u32) -> Link {
    let Some(hop) = next_hop(id) else {
        return Link { destination: neighbour_mac(id), source: OUT_MAC, tags: Vec::new() };
    };
    let tags = (0..hop.vlans.count as usize)
        .map(|i| Tag {
            protocol: u16::from_be(hop.vlans.protocols[i]),
            control: u16::from_be(hop.vlans.tags[i]),
        })
        .collect();
    Link { destination: hop.destination, source: hop.source, tags }
}

/// What stands in front of a packet on its way to a client.
pub fn link_to_client() -> Link {
    Link { destination: ROUTER_MAC, source: OUT_MAC, tags: Vec::new() }
}

/// What the program makes of a datagram to a VIP, or of a fragment of one, whose owner is this backend, by `nat` or `dsr`.
///
/// # Panics
/// For a backend that is reached by `ipip`.
pub fn forwarded(datagram: &Datagram, id: u32) -> Datagram {
    let same = Datagram { link: link_to(id), ..datagram.clone() };
    match mode(id) {
        Mode::Nat => Datagram { to: socket_for(id, datagram.to.port()), ttl: datagram.ttl - 1, ..same },
        Mode::Dsr => same,
        Mode::Ipip => panic!("what goes to backend {id} is put inside another packet"),
    }
}

/// Where a backend gets what came to this port of its VIP.
fn socket_for(id: u32, port: u16) -> SocketAddr {
    let mut socket = backend(id);
    if let Some(own) = own_port(id).filter(|own| own.vip_port == port) {
        socket.set_port(own.port);
    }
    socket
}

/// What the program makes of a datagram to a VIP, or of a fragment of one, whose owner is reached by `ipip`, but for what is
/// the flow's own in the outer header.
pub fn encapsulated(datagram: &Datagram, id: u32) -> Encapsulated {
    let inner = Datagram { ttl: datagram.ttl - 1, ..datagram.clone() };
    let (from, to) = (tunnel_source(id), backend(id).ip());
    let trailer = datagram.trailer.clone();
    Encapsulated { link: link_to(id), from, to, label: 0, packet: inner.packet(), trailer }
}

/// What the program makes of a backend's datagram to a client, or of a fragment of one.
///
/// # Panics
/// When it comes from no backend's SIP socket.
pub fn replied(datagram: &Datagram) -> Datagram {
    let (id, vip) = sender(datagram.from);
    let mut from = vip_socket(vip);
    if let Some(own) = own_port(id).filter(|own| own.port == datagram.from.port()) {
        from.set_port(own.vip_port);
    }
    Datagram { link: link_to_client(), from, ttl: datagram.ttl - 1, ..datagram.clone() }
}

/// The backend of an address, and its VIP.
fn sender(from: SocketAddr) -> (u32, u32) {
    let of = |vip| backends_of(vip).into_iter().map(move |id| (id, vip));
    let found = [VIP, VIP6].into_iter().flat_map(of).find(|(id, _)| backend(*id).ip() == from.ip());
    found.unwrap_or_else(|| panic!("{from} is a backend's"))
}

/// The backend of the first VIP that owns a key of this text while all is well: small letters, NULs up to a whole word,
/// XXH64, remainder.
pub fn owner(key: &[u8]) -> u32 {
    let mut block = key[..key.len().min(KEY_LIMIT as usize)].to_ascii_lowercase();
    block.resize(block.len().next_multiple_of(8), 0);
    owner_of_block(&block)
}

/// The backend that owns the key of a source: its address, IPv4-mapped, and its port.
pub fn owner_of_source(source: SocketAddr) -> u32 {
    let address = match source.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let block = [&address.octets()[..], &source.port().to_be_bytes(), &[0; 6]].concat();
    owner_of_block(&block)
}

fn owner_of_block(block: &[u8]) -> u32 {
    1 + (xxhash_rust::xxh64::xxh64(block, SEED) % SLOTS as u64 % 4) as u32
}

/// A user whose owner is this backend.
///
/// # Panics
/// For a backend that owns nobody while all is well.
pub fn user_of(id: u32) -> String {
    // The tables of both pools with four groups give a slot to the same place among them; the others have one group.
    let place = IPIP.iter().position(|&ipip| ipip == id).map_or(id, |place| 1 + place as u32);
    let owns_all = id == BACKEND6 || id == DSR;
    let mut users = (0..1_000).map(|n| format!("user{n}"));
    let user = users.find(|user| owns_all || owner(user.as_bytes()) == place);
    user.unwrap_or_else(|| panic!("backend {id} owns a user"))
}
