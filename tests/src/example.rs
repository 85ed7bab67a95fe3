//! An example of a node: one IPv4 VIP with four groups of five backends, one IPv6 VIP, next hops of every kind.
//!
//! [`crate::program`] makes a network namespace that fits it. Group `1 + slot modulo 4` owns a slot.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use lb_common::{
    decide::{domain_hash, first_domain},
    layout::{Host, KeyKind, NextHop, Rules, Vlans},
    limits::{DOMAINS_LIMIT, KEY_LIMIT},
    slot::SLOTS,
};
use lb_user::datapath::{
    Image, Sizes,
    image::{Backend, Name, NamePort, Named, OwnPort, Slots, Vip},
};

use crate::frame::{Checksum, DONT_FRAGMENT, Datagram, Link, Tag, UDP};

/// Seed of the key hash.
pub const SEED: u64 = 0x5eed_0123_4567_89ab;
/// Number of the IPv4 VIP.
pub const VIP: u32 = 1;
/// Number of the IPv6 VIP.
pub const VIP6: u32 = 2;
/// The backend that stands by in the first group, and the one to which user space knows no next hop.
pub const STANDBY: u32 = 5;
/// The backend of the IPv6 VIP.
pub const BACKEND6: u32 = 6;
/// Host part that is the IPv4 VIP's own.
pub const DOMAIN: &str = "example.com";

/// Interface that test runs come in by.
pub const LOOPBACK: u32 = 1;
/// Interface towards backends and clients.
pub const OUT: u32 = 10;
/// Interface that packets may not be redirected to.
pub const UNCONFIGURED: u32 = 11;
/// MAC address of [`OUT`].
pub const OUT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 10];
/// MAC address of the neighbour behind which all clients are.
pub const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// MAC address of [`STANDBY`], by the neighbour table.
pub const STANDBY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 15];

/// A socket address from its text.
///
/// # Panics
/// When it is none.
pub fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is a socket address"))
}

/// The IPv4 VIP.
pub fn vip() -> SocketAddr {
    socket("192.0.2.10:5060")
}

/// The IPv6 VIP.
pub fn vip6() -> SocketAddr {
    socket("[2001:db8::10]:5060")
}

/// A client.
pub fn client() -> SocketAddr {
    socket("198.51.100.7:15062")
}

/// An address of the node itself.
pub fn node() -> SocketAddr {
    socket("10.0.0.1:40000")
}

/// A peer node.
pub fn peer() -> SocketAddr {
    socket("10.0.0.2:40000")
}

/// A backend's SIP socket.
pub fn backend(id: u32) -> SocketAddr {
    match id {
        BACKEND6 => socket("[2001:db8::16]:5080"),
        _ => socket(&format!("10.0.0.{}:{}", 10 + id, 5070 + id)),
    }
}

/// The rules of the IPv4 VIP: keys are users, and [`DOMAIN`] is ours.
pub fn rules() -> Rules {
    with_domains(KeyKind::User, 0, &[DOMAIN])
}

/// Rules with these domains.
pub fn with_domains(key: KeyKind, number_tail: u8, domains: &[&str]) -> Rules {
    let mut hashes = [0; DOMAINS_LIMIT];
    for (entry, domain) in hashes.iter_mut().zip(domains) {
        *entry = domain_hash(domain.as_bytes(), SEED);
    }
    let domain_count = domains.len() as u8;
    let (first, first_mask) =
        domains.first().map(|domain| first_domain(domain.as_bytes())).unwrap_or_default();
    Rules {
        seed: SEED,
        key: key as u8,
        number_tail,
        domain_count,
        first,
        first_mask,
        domains: hashes,
        ..Rules::default()
    }
}

/// The name by which a backend is meant, with any port.
pub fn alias(id: u32) -> String {
    format!("b{id}.example.net")
}

/// A name by which messages mean the VIP itself.
pub const VIP_NAME: &str = "sip.example.net";

/// The port of the IPv4 VIP that is the second backend's own, and that backend's port for it.
pub const OWN_PORT: OwnPort = OwnPort { vip_port: 15_062, port: 5_082 };

/// The names that the IPv4 VIP knows.
pub fn names() -> std::collections::BTreeMap<Name, Named> {
    let name = |host: &str, port| Name { host: host.to_owned(), port };
    let mut names = std::collections::BTreeMap::new();
    for port in [NamePort::None, NamePort::Any] {
        names.insert(name(VIP_NAME, port), Named::Vip);
        names.extend((1..=STANDBY).map(|id| (name(&alias(id), port), Named::Backend(id))));
    }
    for id in 1..=STANDBY {
        let socket = backend(id);
        names.insert(name(&socket.ip().to_string(), NamePort::Exactly(socket.port())), Named::Backend(id));
    }
    let address = vip().ip().to_string();
    names.insert(name(&address, NamePort::None), Named::Vip);
    names.insert(name(&address, NamePort::Exactly(vip().port())), Named::Vip);
    names.insert(name(&address, NamePort::Exactly(OWN_PORT.vip_port)), Named::Backend(2));
    names
}

/// The next hop to a backend, if user space knows it: over the loopback device with 0, 1 and 2 VLAN tags, and over
/// [`OUT`] with none.
pub fn next_hop(id: u32) -> Option<NextHop> {
    let (interface, tags): (_, &[(u16, u16)]) = match id {
        1 => (LOOPBACK, &[]),
        2 => (LOOPBACK, &[(0x8100, 0x6123)]),
        3 => (LOOPBACK, &[(0x88a8, 0x0200), (0x8100, 0x0301)]),
        4 => (OUT, &[]),
        _ => return None,
    };
    let mut vlans = Vlans { count: tags.len() as u32, ..Vlans::default() };
    for (i, (protocol, control)) in tags.iter().enumerate() {
        (vlans.protocols[i], vlans.tags[i]) = (protocol.to_be(), control.to_be());
    }
    let destination = [6, 0, 0, 0, 0, 10 + id as u8];
    Some(NextHop { interface, destination, source: [6, 0, 0, 0, 0, 1], vlans, mtu: 1_500 })
}

/// What stands in front of a packet on its way to a backend.
///
/// # Panics
/// For the IPv6 backend, to which nothing is forwarded.
pub fn link_to(id: u32) -> Link {
    let Some(hop) = next_hop(id) else {
        assert_eq!(id, STANDBY, "nothing is forwarded to backend {id}");
        return Link { destination: STANDBY_MAC, source: OUT_MAC, tags: Vec::new() };
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

/// The state of a node on which all is well.
pub fn image() -> Image {
    let table = |group: fn(usize) -> usize| -> Slots {
        let slots: Vec<u16> = (0..SLOTS).map(|slot| group(slot) as u16).collect();
        Arc::new(slots.try_into().expect("there is a group for every slot"))
    };
    let backend = |id, vip| (id, Backend::new(backend(id), Some(vip), next_hop(id)));
    let mut backends: std::collections::BTreeMap<u32, Backend> =
        (1..=STANDBY).map(|id| backend(id, VIP)).chain([backend(BACKEND6, VIP6)]).collect();
    backends.get_mut(&2).expect("there is a second backend").own_port = Some(OWN_PORT);
    Image {
        vips: [
            (VIP, Vip { socket: vip(), rules: rules(), table: Some(1), names: names() }),
            (VIP6, Vip { socket: vip6(), rules: rules(), table: Some(2), names: Default::default() }),
        ]
        .into(),
        tables: [(1, table(|slot| 1 + slot % 4)), (2, table(|_| 5))].into(),
        groups: (1..=4).map(|id| (id, Some(id))).chain([(5, Some(BACKEND6))]).collect(),
        backends,
        hosts: [(node().ip(), Host::Node), (peer().ip(), Host::Peer)].into(),
    }
}

/// Room for [`image`].
pub const SIZES: Sizes =
    Sizes { vips: 2, pools: 2, groups: 5, backends: BACKEND6, names: 64, fragments: 1_024, fingerprint: 0 };

/// A datagram from the client to the VIP.
pub fn from_client(payload: &[u8]) -> Datagram {
    Datagram {
        link: Link { destination: OUT_MAC, source: ROUTER_MAC, tags: Vec::new() },
        from: client(),
        to: vip(),
        ttl: 64,
        options: Vec::new(),
        fragment: DONT_FRAGMENT,
        protocol: UDP,
        ip_checksum_off: 0,
        checksum: Checksum::Right,
        payload: payload.to_vec(),
        trailer: Vec::new(),
    }
}

/// A datagram from a backend's SIP socket to the client.
pub fn from_backend(id: u32, payload: &[u8]) -> Datagram {
    Datagram { from: backend(id), to: client(), ..from_client(payload) }
}

/// What the program makes of a datagram to the VIP whose owner is this backend.
pub fn forwarded(datagram: &Datagram, id: u32) -> Datagram {
    Datagram { link: link_to(id), to: backend(id), ttl: datagram.ttl - 1, ..datagram.clone() }
}

/// What the program makes of a backend's datagram to a client.
pub fn replied(datagram: &Datagram) -> Datagram {
    Datagram { link: link_to_client(), from: vip(), ttl: datagram.ttl - 1, ..datagram.clone() }
}

/// The backend that owns a key of this text while all is well: small letters, NULs up to a whole word, XXH64, remainder.
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
    let user = (0..1_000).map(|n| format!("user{n}")).find(|user| owner(user.as_bytes()) == id);
    user.unwrap_or_else(|| panic!("backend {id} owns a user"))
}
