//! The bytes of every map, declared once for kernel and user space.
//!
//! Everything that a packet reads lies in two *halves*: one is live, the other is rewritten and then made live by one
//! store to [`Meta::generation`]. A packet reads the generation once and takes all its look-ups from that half
//! ([`half`]), so that it sees one whole state. Array maps hold both halves one behind the other ([`index`]); hash maps
//! have the half in their key.
//!
//! Addresses and ports lie as they do in the packet, in network byte order. IPv4 addresses are IPv4-mapped IPv6 ones
//! (RFC 4291 section 2.5.5.2). Padding is named: it is part of a key. Index and id 0 mean "none" everywhere, since a
//! zeroed array entry would otherwise look configured.

pub use crate::address::{Address, Port, Sums};
use crate::{limits::DOMAINS_LIMIT, slot::SLOTS};
use core::mem::size_of;

/// Number of this layout. Any change to a type in this module raises it; pins of another number are not adopted.
pub const ABI: u32 = 1;

/// Bit of [`Meta::generation`] that tells the half: generations alternate between the two.
#[inline(always)]
pub const fn half(generation: u32) -> u32 {
    generation & 1
}

/// Index of entry `id` of a half in an array map whose halves hold `limit` entries each.
#[inline(always)]
pub const fn index(half: u32, limit: u32, id: u32) -> u32 {
    half * limit + id
}

/// IP protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// Transport of SIP over UDP. TCP, TLS and others follow with numbers of their own.
pub const TRANSPORT_UDP: u8 = 1;

/// Key of the maps `VIPS` and `SOCKETS`: where a packet goes to, or comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct SocketKey {
    /// IP address.
    pub address: Address,
    /// Port.
    pub port: Port,
    /// IP protocol number.
    pub protocol: u8,
    /// SIP transport: [`TRANSPORT_UDP`].
    pub transport: u8,
    /// The half this entry belongs to.
    pub half: u32,
}

impl SocketKey {
    /// Of SIP over UDP.
    #[inline(always)]
    pub const fn udp(half: u32, address: Address, port: Port) -> Self {
        Self { address, port, protocol: PROTOCOL_UDP, transport: TRANSPORT_UDP, half }
    }
}

/// Which bytes of a request that is for nobody of ours decide (`key` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// User of the Request-URI.
    User = 0,
    /// User and host of the Request-URI, the address-of-record.
    Aor = 1,
    /// User of From.
    From = 2,
    /// Call-ID.
    CallId = 3,
    /// Source address and port.
    Source = 4,
}

/// What a VIP's messages are judged by: the part of a VIP that kernel and host share as [`crate::decide`]'s input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Rules {
    /// Seed of the key hash.
    pub seed: u64,
    /// A [`KeyKind`], as a number.
    pub key: u8,
    /// Numbers of so many digits or more count by so many last ones; 0 is off.
    pub number_tail: u8,
    /// How many of `domains` are used.
    pub domain_count: u8,
    /// Padding.
    pub pad: [u8; 5],
    /// Key hashes of the host parts that are ours.
    pub domains: [u64; DOMAINS_LIMIT],
}

/// Value of the map `VIPS`. User space has resolved the VIP's pool into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Vip {
    /// How messages are judged.
    pub rules: Rules,
    /// Number of the VIP, for its counters; never 0.
    pub id: u32,
    /// Entry of `TABLES` within the half; 0 is none.
    pub table: u32,
    /// The VIP's part of the checksums.
    pub sums: Sums,
}

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
    /// Padding.
    pub pad: u32,
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
    /// Padding.
    pub pad: u16,
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

/// Key of the map `HOSTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct HostKey {
    /// IP address.
    pub address: Address,
    /// The half this entry belongs to.
    pub half: u32,
}

/// Value of the map `HOSTS`: whose address it is, where a backend's packet to it is not a reply to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Host {
    /// An address of this node.
    Node = 1,
    /// An address of a peer node.
    Peer = 2,
    /// A backend.
    Backend = 3,
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

/// The one value of the map `META`, which user space also has mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Meta {
    /// Number of the live state; [`half`] tells where it lies. 0: nothing was published yet.
    pub generation: u32,
    /// [`ABI`] of whoever made the maps.
    pub abi: u32,
    /// Entries in one half of `TABLES`.
    pub tables: u32,
    /// Entries in one half of `GROUPS`.
    pub groups: u32,
    /// Entries in one half of `BACKENDS`.
    pub backends: u32,
    /// Entries in one half of `NEXT_HOPS`.
    pub next_hops: u32,
    /// VIP numbers that have counters.
    pub vips: u32,
    /// Fingerprint of the hash key: a node with another key would send users elsewhere.
    pub fingerprint: u32,
    /// Always 0, which the verifier can't know: see [`crate::sip::Message::zero`].
    pub zero: u64,
}

/// Value of the per-CPU maps of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes of the frames' linear parts: of a frame beyond some 3,500 bytes, as much as lies there.
    pub bytes: u64,
}

/// Value of the per-CPU map `BACKEND_COUNTERS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BackendCounter {
    /// Towards the backend.
    pub requests: Counter,
    /// From the backend, left as the VIP.
    pub replies: Counter,
}

/// Where the key came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum KeySource {
    /// No key.
    #[default]
    None = 0,
    /// User of the Request-URI.
    RequestUri = 1,
    /// User, or host, of To.
    To = 2,
    /// User of From.
    From = 3,
    /// Call-ID.
    CallId = 4,
    /// Source address and port.
    Source = 5,
}

impl KeySource {
    /// Every source, by number.
    pub const ALL: [Self; 6] =
        [Self::None, Self::RequestUri, Self::To, Self::From, Self::CallId, Self::Source];

    /// The name shown to people and machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RequestUri => "request-uri",
            Self::To => "to",
            Self::From => "from",
            Self::CallId => "call-id",
            Self::Source => "source",
        }
    }
}

/// The one value of the map `TRACE`: what an instance loaded for `explain` says about the packet it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Trace {
    /// Hash of the key; 0 is none.
    pub hash: u64,
    /// Generation that was read.
    pub generation: u32,
    /// Number of the VIP; 0 is none.
    pub vip: u32,
    /// Slot; only with a hash.
    pub slot: u32,
    /// Id of the group; 0 is none.
    pub group: u32,
    /// Id of the backend; 0 is none.
    pub backend: u32,
    /// Offset of the payload in the frame, as it came; 0 is none.
    pub payload: u16,
    /// Offset in the payload of the text that the key was taken from.
    pub key_at: u16,
    /// Offset behind it.
    pub key_end: u16,
    /// Offset in the payload of the method.
    pub method_at: u16,
    /// Offset behind it; equal to `method_at` when there is none.
    pub method_end: u16,
    /// A [`Reason`](crate::reason::Reason), as a number.
    pub reason: u8,
    /// A [`KeySource`], as a number.
    pub source: u8,
}

const _: () = {
    assert!(size_of::<Address>() == 16);
    assert!(size_of::<SocketKey>() == 24);
    assert!(size_of::<HostKey>() == 20);
    assert!(size_of::<Rules>() == 16 + 8 * DOMAINS_LIMIT);
    assert!(size_of::<Vip>() == size_of::<Rules>() + 16);
    assert!(size_of::<Table>() == 131_080);
    assert!(size_of::<Group>() == 8);
    assert!(size_of::<Backend>() == 32);
    assert!(size_of::<Vlans>() == 12);
    assert!(size_of::<NextHop>() == 28);
    assert!(size_of::<Socket>() == 48);
    assert!(size_of::<Ports>() == 16_384);
    assert!(size_of::<Meta>() == 40);
    assert!(size_of::<BackendCounter>() == 32);
    assert!(size_of::<Trace>() == 40);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmap_tells_ports_apart() {
        let mut ports = Ports::EMPTY;
        Ports::set(&mut ports.vips, Port::new(5060));
        assert!(Ports::has(&ports.vips, Port::new(5060)));
        assert!((0..=u16::MAX).filter(|&p| Ports::has(&ports.vips, Port(p))).count() == 1);
        assert!(!Ports::has(&ports.backends, Port::new(5060)));
    }
}
