//! An example of a node: one IPv4 VIP with four groups of five backends, one IPv6 VIP, next hops of every kind, and for
//! `dsr` and for `ipip` a pool that an IPv4 VIP and an IPv6 VIP share.
//!
//! [`crate::program`] makes a network namespace that fits it. Group `1 + slot modulo 4` of the first VIP owns a slot.

mod expected;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use lb_common::{
    layout::{Host, KeyKind, Mode, NextHop, Rules, Vlans},
    slot::SLOTS,
};
use lb_user::datapath::{
    Image, Sizes,
    image::{Backend, Group, Moving, Name, NamePort, Named, OwnPort, Phase, Slots, Vip},
};

pub use expected::{
    encapsulated, forwarded, link_to, link_to_client, owner, owner_of_source, replied, user_of,
};

use crate::frame::{Checksum, DONT_FRAGMENT, Datagram, Link, UDP};

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
/// Numbers of the VIPs whose pool is reached by `dsr`.
pub const VIP_DSR: u32 = 3;
/// See [`VIP_DSR`].
pub const VIP6_DSR: u32 = 4;
/// Their backend.
pub const DSR: u32 = 7;
/// Numbers of the VIPs whose pool is reached by `ipip`.
pub const VIP_IPIP: u32 = 5;
/// See [`VIP_IPIP`].
pub const VIP6_IPIP: u32 = 6;
/// Their backends: IPv4 and IPv6, with a next hop and a limit of 1,500 bytes, and the same by the kernel's tables.
pub const IPIP: [u32; 4] = [8, 9, 10, 11];
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
/// MAC address of a backend by the neighbour table.
pub fn neighbour_mac(id: u32) -> [u8; 6] {
    [2, 0, 0, 0, 0, 10 + id as u8]
}

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

/// Where clients send to, by number of the VIP.
pub fn vip_socket(number: u32) -> SocketAddr {
    match number {
        VIP => vip(),
        VIP6 => vip6(),
        VIP6_DSR | VIP6_IPIP => socket(&format!("[2001:db8::c:{number}]:5060")),
        _ => socket(&format!("192.0.2.{}:5060", 10 + number)),
    }
}

/// The VIP with this address; 0 is none.
pub fn vip_number(address: IpAddr) -> u32 {
    (1..=SIZES.vips).find(|&number| vip_socket(number).ip() == address).unwrap_or(0)
}

/// A client.
pub fn client() -> SocketAddr {
    socket("198.51.100.7:15062")
}

/// An IPv6 client.
pub fn client6() -> SocketAddr {
    socket("[2001:db8:1::7]:15062")
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
        9 | 11 => socket(&format!("[2001:db8::{}]:{}", 10 + id, 5070 + id)),
        _ => socket(&format!("10.0.0.{}:{}", 10 + id, 5070 + id)),
    }
}

/// The rules of the IPv4 VIP: keys are users, and [`DOMAIN`] is ours.
pub fn rules() -> Rules {
    with_domains(KeyKind::User, 0, &[DOMAIN])
}

/// Rules with these domains.
pub fn with_domains(key: KeyKind, number_tail: u8, domains: &[&str]) -> Rules {
    Rules { key: key as u8, number_tail, ..Rules::with_domains(SEED, domains) }
}

/// The name by which a backend is meant, with any port.
pub fn alias(id: u32) -> String {
    format!("b{id}.example.net")
}

/// A name by which messages mean the VIP itself.
pub const VIP_NAME: &str = "sip.example.net";

/// The port of the IPv4 VIP that is the second backend's own, and that backend's port for it.
pub const OWN_PORT: OwnPort = OwnPort { vip_port: 15_062, port: 5_082 };

/// The same for the IPv6 VIP and its backend.
pub const OWN_PORT6: OwnPort = OwnPort { vip_port: 15_066, port: 5_086 };

/// The port that is a backend's own.
pub fn own_port(id: u32) -> Option<OwnPort> {
    match id {
        2 => Some(OWN_PORT),
        BACKEND6 => Some(OWN_PORT6),
        _ => None,
    }
}

/// How packets get to a backend.
pub fn mode(id: u32) -> Mode {
    match id {
        DSR => Mode::Dsr,
        id if IPIP.contains(&id) => Mode::Ipip,
        _ => Mode::Nat,
    }
}

/// Outer source addresses of what is sent to a backend inside another packet; the last 16 or 32 bits are a flow's.
pub fn tunnel_source(id: u32) -> IpAddr {
    if backend(id).is_ipv4() { [10, 200, 0, 0].into() } else { [0x2001, 0xdb8, 0x200, 1, 2, 3, 0, 0].into() }
}

/// The names that the IPv4 VIP knows.
pub fn names() -> BTreeMap<Name, Named> {
    names_of(VIP)
}

/// The backends of a VIP.
pub fn backends_of(vip: u32) -> Vec<u32> {
    match vip {
        VIP => (1..=STANDBY).collect(),
        VIP6 => vec![BACKEND6],
        VIP_DSR | VIP6_DSR => vec![DSR],
        _ => IPIP.to_vec(),
    }
}

/// The names that a VIP knows.
pub fn names_of(vip: u32) -> BTreeMap<Name, Named> {
    let name = |host: &str, port| Name { host: host.to_owned(), port };
    let host = |socket: SocketAddr| match socket.ip() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let mut names = BTreeMap::new();
    let address = vip_socket(vip);
    for port in [NamePort::None, NamePort::Any] {
        names.insert(name(VIP_NAME, port), Named::Vip);
    }
    for port in [NamePort::None, NamePort::Exactly(address.port())] {
        names.insert(name(&host(address), port), Named::Vip);
    }
    for id in backends_of(vip) {
        for port in [NamePort::None, NamePort::Any] {
            names.insert(name(&alias(id), port), Named::Backend(id));
        }
        let socket = backend(id);
        names.insert(name(&host(socket), NamePort::Exactly(socket.port())), Named::Backend(id));
        if let Some(own) = own_port(id) {
            names.insert(name(&host(address), NamePort::Exactly(own.vip_port)), Named::Backend(id));
        }
    }
    names
}

/// The next hop to a backend, if user space knows it: over the loopback device with 0, 1 and 2 VLAN tags, and over
/// [`OUT`] with none.
pub fn next_hop(id: u32) -> Option<NextHop> {
    let (interface, tags): (_, &[(u16, u16)]) = match id {
        1 | BACKEND6 => (LOOPBACK, &[]),
        2 | DSR | 8 => (LOOPBACK, &[(0x8100, 0x6123)]),
        3 => (LOOPBACK, &[(0x88a8, 0x0200), (0x8100, 0x0301)]),
        4 | 9 => (OUT, &[]),
        _ => return None,
    };
    let mut vlans = Vlans { count: tags.len() as u32, ..Vlans::default() };
    for (i, (protocol, control)) in tags.iter().enumerate() {
        (vlans.protocols[i], vlans.tags[i]) = (protocol.to_be(), control.to_be());
    }
    let destination = [6, 0, 0, 0, 0, 10 + id as u8];
    Some(NextHop { interface, destination, source: [6, 0, 0, 0, 0, 1], vlans, mtu: MTU })
}

/// Longest packet of every next hop, in bytes.
pub const MTU: u32 = 1_500;

/// The state of a node on which all is well.
pub fn image() -> Image {
    let table = |group: fn(usize) -> usize| -> Slots {
        let slots: Vec<u16> = (0..SLOTS).map(|slot| group(slot) as u16).collect();
        Arc::new(slots.try_into().expect("there is a group for every slot"))
    };
    let vip = |number| {
        let table = Some(if number <= VIP6 { number } else { 3 + (number - VIP_DSR) / 2 });
        (
            number,
            Vip { socket: vip_socket(number), rules: rules(), table, change: None, names: names_of(number) },
        )
    };
    let backend = |id| {
        let vip = (1..=SIZES.vips).find(|&vip| backends_of(vip).contains(&id));
        let backend = Backend {
            mode: mode(id),
            own_port: own_port(id),
            tunnel_source: tunnel_source(id),
            ..Backend::new(backend(id), vip, next_hop(id))
        };
        (id, backend)
    };
    Image {
        vips: (1..=SIZES.vips).map(vip).collect(),
        tables: [
            (1, table(|slot| 1 + slot % 4)),
            (2, table(|_| 5)),
            (3, table(|_| 6)),
            (4, table(|slot| 7 + slot % 4)),
        ]
        .into(),
        // The standby has no group that is its own.
        groups: (1..=10).map(|id| (id, Group::served_by(Some(if id < 5 { id } else { id + 1 })))).collect(),
        backends: (1..=SIZES.backends).map(backend).collect(),
        hosts: [(node().ip(), Host::Node), (peer().ip(), Host::Peer)].into(),
    }
}

/// Room for [`image`].
pub const SIZES: Sizes = Sizes {
    vips: 6,
    pools: 5,
    groups: 10,
    backends: 11,
    names: 96,
    fragments: 1_024,
    transactions: 1_024,
    fingerprint: 0,
};

/// Lets a change of the first VIP's pool be in progress, which moves the users of the first group to its standby, and those
/// of the second group to the fourth.
pub fn change(image: &mut Image, number: u32, phase: Phase) {
    let vip = image.vips.get_mut(&VIP).expect("there is a VIP");
    let before = vip.table.expect("it has a lookup table");
    let slots = image.tables[&before].iter().map(|&group| if group == 2 { 4 } else { group });
    let slots: Vec<u16> = slots.collect();
    let after = SIZES.pools;
    image.tables.insert(after, Arc::new(slots.try_into().expect("there is a group for every slot")));
    let [table, other_table] = phase_order(phase, before, after);
    (vip.table, vip.change) = (Some(table), Some(Moving { number, other_table: Some(other_table), phase }));
    let [active, other] = phase_order(phase, 1, STANDBY).map(Some);
    image.groups.insert(1, Group { active, other });
}

/// What is live in a phase of a change, and what is in the other state.
fn phase_order(phase: Phase, before: u32, after: u32) -> [u32; 2] {
    match phase {
        Phase::Recording => [before, after],
        Phase::Switched => [after, before],
    }
}

/// A datagram from the client to the VIP.
pub fn from_client(payload: &[u8]) -> Datagram {
    Datagram {
        link: Link { destination: OUT_MAC, source: ROUTER_MAC, tags: Vec::new() },
        from: client(),
        to: vip(),
        ttl: 64,
        options: Vec::new(),
        extensions: Vec::new(),
        fragment: DONT_FRAGMENT,
        part: None,
        protocol: UDP,
        ip_checksum_off: 0,
        checksum: Checksum::Right,
        payload: payload.to_vec(),
        trailer: Vec::new(),
    }
}

/// A datagram from a backend's SIP socket to a client of its family.
pub fn from_backend(id: u32, payload: &[u8]) -> Datagram {
    let from = backend(id);
    Datagram { from, to: if from.is_ipv4() { client() } else { client6() }, ..from_client(payload) }
}

/// A datagram from a client to a VIP of either family.
pub fn to_vip(number: u32, payload: &[u8]) -> Datagram {
    let to = vip_socket(number);
    Datagram { from: if to.is_ipv4() { client() } else { client6() }, to, ..from_client(payload) }
}
