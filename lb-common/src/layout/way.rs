//! The way of a packet, there and back: tables, groups, backends, next hops, sockets, hosts, ports.

use super::{Address, PROTOCOL_UDP, Port, ProbeKey, Sums};
use crate::slot::SLOTS;

/// Value of the map `TABLES`: the group of every slot, 0 is none.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Table {
    /// Slot to group id.
    pub groups: [u16; SLOTS],
    /// Padding.
    pub pad: [u16; 3],
}

/// Value of the map `GROUPS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Group {
    /// Id of the backend that serves the group; 0 is none, the group is down.
    pub active: u32,
    /// Id of the backend that serves it in the other state of a change in progress, before or after it; 0 is none.
    pub other: u32,
}

/// Value of the map `BACKENDS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Backend {
    /// IP address.
    pub address: Address,
    /// The backend's part of the checksums.
    pub sums: Sums,
    /// Entry of `NEXT_HOPS` within the half; 0 is none: ask the kernel's routing table.
    pub next_hop: u32,
    /// Port.
    pub port: Port,
    /// Port for what came to the port of the VIP that is this backend's own; 0 is none.
    pub own_port: Port,
    /// A [`Mode`], as a number.
    pub mode: u32,
    /// With [`Mode::Ipip`], the network of the outer source address; what it leaves open is filled for each flow.
    pub tunnel: Address,
    /// 1 while it is up, so that transactions which it has can go on.
    pub is_up: u32,
}

/// How packets get to a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    /// The destination is rewritten, and on the way back the source.
    #[default]
    Nat = 0,
    /// The packet is sent to the backend's MAC address as it is; the backend answers as the VIP itself.
    Dsr = 1,
    /// The packet is sent inside another one (RFC 2003, RFC 2473); the backend answers as the VIP itself.
    Ipip = 2,
}

/// Value of the map `NEXT_HOPS`: what user space has learnt from routes and neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct NextHop {
    /// Interface index of the way out: the device under the VLANs.
    pub interface: u32,
    /// Destination MAC address.
    pub destination: [u8; 6],
    /// Source MAC address.
    pub source: [u8; 6],
    /// VLAN tags of the way out.
    pub vlans: Vlans,
    /// Longest IP packet of the way out, in bytes; 0 is not known.
    pub mtu: u32,
}

/// VLAN tags as they lie in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Vlans {
    /// Ethertypes (0x8100, 0x88a8), in network byte order; outermost first.
    pub protocols: [u16; crate::limits::VLAN_LIMIT],
    /// Tag control information, in network byte order.
    pub tags: [u16; crate::limits::VLAN_LIMIT],
    /// How many there are.
    pub count: u32,
}

/// Value of the map `SOCKETS`: what a backend's SIP socket leaves as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Socket {
    /// Address of the VIP.
    pub address: Address,
    /// The VIP's part of the checksums.
    pub vip_sums: Sums,
    /// The backend's part of the checksums.
    pub backend_sums: Sums,
    /// Number of the VIP.
    pub vip: u32,
    /// Number of the backend.
    pub backend: u32,
    /// Port of the VIP.
    pub port: Port,
    /// Padding.
    pub pad: [u16; 3],
}

/// Key of the probed array `ENDPOINTS`: what packets go to and come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct EndpointKey {
    /// IP address.
    pub address: Address,
    /// Port; 0 for a host.
    pub port: Port,
    /// IP protocol number; 0 for a host.
    pub protocol: u8,
    /// An [`EndpointKind`], as a number.
    pub kind: u8,
    /// Padding.
    pub pad: u32,
}

impl EndpointKey {
    /// The SIP socket of a VIP or of a backend, over UDP.
    #[inline(always)]
    pub const fn udp(kind: EndpointKind, address: Address, port: Port) -> Self {
        Self { address, port, protocol: PROTOCOL_UDP, kind: kind as u8, pad: 0 }
    }

    /// A host.
    #[inline(always)]
    pub const fn host(address: Address) -> Self {
        Self { address, port: Port(0), protocol: 0, kind: EndpointKind::Host as u8, pad: 0 }
    }
}

impl ProbeKey for EndpointKey {
    #[inline(always)]
    fn words(&self) -> [u64; 3] {
        let [a, b, c, d] = self.address.words;
        let port = self.port.0 as u64 | (self.protocol as u64) << 16 | (self.kind as u64) << 24;
        [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32, port | (self.pad as u64) << 32]
    }
}

/// What an endpoint is, and what its value in `ENDPOINTS` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EndpointKind {
    /// A VIP's socket: an entry of `VIPS`.
    Vip = 1,
    /// A backend's SIP socket: an entry of `SOCKETS`.
    Backend = 2,
    /// An address: a [`Host`].
    Host = 3,
}

/// Value in `ENDPOINTS`, in the size that an entry of an array has anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Endpoint {
    /// By the [`EndpointKind`].
    pub means: u32,
    /// Padding.
    pub pad: u32,
}

/// Whose address it is, where a backend's packet to it is not a reply to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Host {
    /// An address of this node.
    Node = 1,
    /// An address of a peer node.
    Peer = 2,
    /// A backend.
    Backend = 3,
    /// A VIP, which is an address of this node too.
    Vip = 4,
}

impl Host {
    /// The host of a number.
    #[inline(always)]
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Node),
            2 => Some(Self::Peer),
            3 => Some(Self::Backend),
            4 => Some(Self::Vip),
            _ => None,
        }
    }
}

/// Value of the map `PORTS`: bitmaps, so that foreign traffic pays no hash look-up. Bit n belongs to the port whose two
/// bytes in network order read as n on this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Ports {
    /// Ports of VIPs.
    pub vips: [u64; 1024],
    /// SIP ports of backends.
    pub backends: [u64; 1024],
}

impl Ports {
    /// No port at all.
    pub const EMPTY: Self = Self { vips: [0; 1024], backends: [0; 1024] };

    /// Is the port's bit set in one of the two bitmaps?
    #[inline(always)]
    pub const fn has(bitmap: &[u64; 1024], port: Port) -> bool {
        bitmap[(port.0 >> 6) as usize] & (1 << (port.0 & 63)) != 0
    }

    /// Sets the port's bit.
    pub const fn set(bitmap: &mut [u64; 1024], port: Port) {
        bitmap[(port.0 >> 6) as usize] |= 1 << (port.0 & 63);
    }
}
