//! `frame -> eth/vlan -> ip -> udp`: from the bytes of a frame to a datagram, or the reason why it is not ours.

use crate::{
    notes::Notes,
    packet::{Packet, opaque},
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    layout::{Address, PROTOCOL_UDP, Port, Vlans},
    limits::{EXTENSIONS_LIMIT, VLAN_LIMIT},
    reason::Reason,
};

pub(crate) const ETHERNET_BYTES: u64 = 14;
const VLAN_BYTES: u64 = 4;
pub(crate) const IPV4_BYTES: u64 = 20;
pub(crate) const IPV6_BYTES: u64 = 40;
pub(crate) const UDP_BYTES: u64 = 8;
const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
const VLAN: u16 = 0x8100_u16.to_be();
const QINQ: u16 = 0x88a8_u16.to_be();
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// IP protocol numbers.
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
/// IPv6 extension headers (RFC 8200 section 4).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// Which IP.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Family {
    V4 = 4,
    V6 = 6,
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Part {
    /// All of it.
    Whole = 0,
    /// The first of several fragments.
    First = 1,
    /// A later one, without ports.
    Later = 2,
    /// No datagram but an ICMP message.
    Icmp = 3,
}

/// A UDP datagram, a fragment of one, or an ICMP message.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Datagram {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    /// Offset of the IP header.
    pub(crate) ip: u64,
    /// Offset of what IP carries: the UDP header, the ICMP header, or the bytes of a later fragment.
    pub(crate) udp: u64,
    /// VLAN tags in front of the IP header.
    pub(crate) tags: u64,
    /// A [`Family`], as a number.
    pub(crate) family: u64,
    /// A [`Part`], as a number.
    pub(crate) part: u64,
    /// Bytes of payload that the UDP header announces; [`CONTRADICTORY`] when it contradicts the IP header.
    pub(crate) announced: u64,
    /// Bytes of payload that this packet holds, by its IP header.
    pub(crate) held: u64,
    /// Identification of the fragments, in network byte order.
    pub(crate) id: u32,
    pub(crate) source_port: Port,
    pub(crate) destination_port: Port,
}

/// See [`Datagram::announced`].
pub(crate) const CONTRADICTORY: u64 = u64::MAX;

impl Datagram {
    /// Offset of the payload.
    #[inline(always)]
    pub(crate) fn payload(&self) -> u64 {
        self.udp + UDP_BYTES
    }

    /// Is it IPv4?
    #[inline(always)]
    pub(crate) fn is_v4(&self) -> bool {
        self.family == Family::V4 as u64
    }

    /// Is it this part of a datagram?
    #[inline(always)]
    pub(crate) fn is(&self, part: Part) -> bool {
        self.part == part as u64
    }
}

/// An IPv4 header without options (RFC 791 section 3.1), each field with its bytes as they lie in the packet.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Ipv4 {
    pub(crate) version_and_length: u8,
    service: u8,
    total_bytes: u16,
    id: u16,
    fragment: u16,
    ttl: u8,
    pub(crate) protocol: u8,
    checksum: u16,
    pub(crate) source: u32,
    pub(crate) destination: u32,
}

impl Ipv4 {
    /// Is it a whole packet or a first fragment, with ports behind it?
    #[inline(always)]
    pub(crate) fn has_ports(&self) -> bool {
        u16::from_be(self.fragment) & FRAGMENT_OFFSET == 0
    }
}

/// An IPv6 header (RFC 8200 section 3).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Ipv6 {
    version_and_flow: u32,
    payload_bytes: u16,
    pub(crate) next_header: u8,
    hop_limit: u8,
    pub(crate) source: [u32; 4],
    pub(crate) destination: [u32; 4],
}

/// A UDP header (RFC 768).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Udp {
    pub(crate) source: u16,
    pub(crate) destination: u16,
    pub(crate) bytes: u16,
    checksum: u16,
}

/// The fragment header of IPv6 (RFC 8200 section 4.5).
#[derive(Clone, Copy)]
#[repr(C)]
struct FragmentHeader {
    next_header: u8,
    reserved: u8,
    offset_and_more: u16,
    id: [u16; 2],
}

/// Reads a frame down to the UDP ports, and notes what it is. The offsets are hidden from the verifier, or it
/// would follow each of the few possible ones.
#[inline(always)]
pub(crate) fn parse(packet: Packet, notes: &mut Notes) -> Result<(), u8> {
    let zero = notes.zero;
    let mut ethertype = packet.read::<u16>(ETHERNET_BYTES - 2).ok_or(Reason::Malformed as u8)?;
    let mut tags = 0;
    while tags < VLAN_LIMIT as u64 && (ethertype == VLAN || ethertype == QINQ) {
        tags += 1;
        ethertype =
            packet.read::<u16>(ETHERNET_BYTES + tags * VLAN_BYTES - 2).ok_or(Reason::Malformed as u8)?;
    }
    let tags = tags ^ zero;
    notes.datagram.tags = tags;
    let ip = ETHERNET_BYTES + (tags & 3) * VLAN_BYTES;
    if ethertype == IPV4 {
        ipv4(packet, ip, zero, &mut notes.datagram)
    } else if ethertype == IPV6 {
        match frame_ipv6(packet.ctx, notes, ip) {
            PARSED => Ok(()),
            reason => Err(reason as u8),
        }
    } else {
        Err(Reason::NotIp as u8)
    }
}

#[inline(always)]
fn ipv4(packet: Packet, ip: u64, zero: u64, datagram: &mut Datagram) -> Result<(), u8> {
    let header = packet.read::<Ipv4>(ip).ok_or(Reason::Malformed as u8)?;
    if header.protocol != PROTOCOL_UDP && header.protocol != ICMP {
        return Err(Reason::NotUdp as u8);
    }
    let header_bytes = (header.version_and_length as u64 & 0xf) * 4;
    if header.version_and_length >> 4 != 4 || header_bytes < IPV4_BYTES {
        return Err(Reason::Malformed as u8);
    }
    datagram.source = Address::v4(header.source);
    datagram.destination = Address::v4(header.destination);
    datagram.family = Family::V4 as u64;
    datagram.ip = ip;
    datagram.udp = ip + (header_bytes ^ zero);
    let total = u16::from_be(header.total_bytes) as u64;
    let room = if total > packet.linear_bytes() - ip && !packet.has_fragments() {
        0
    } else {
        total.saturating_sub(header_bytes)
    };
    let fragment = u16::from_be(header.fragment);
    if fragment & (FRAGMENT_OFFSET | MORE_FRAGMENTS) == 0 && header.protocol == PROTOCOL_UDP {
        datagram.part = Part::Whole as u64;
        return udp(packet, room, datagram);
    }
    datagram.id = header.id as u32;
    let part = fragment_part(fragment & FRAGMENT_OFFSET != 0, fragment & MORE_FRAGMENTS != 0);
    carried(packet, header.protocol, part, room, datagram)
}

/// Which part of a datagram has this offset and this flag.
#[inline(always)]
fn fragment_part(has_offset: bool, has_more: bool) -> Part {
    match (has_offset, has_more) {
        (false, false) => Part::Whole,
        (false, true) => Part::First,
        (true, _) => Part::Later,
    }
}

/// What does not go the way of nearly all: fragments, ICMP, and whatever stands behind IPv6 extension headers.
#[inline(always)]
fn carried(packet: Packet, protocol: u8, part: Part, room: u64, datagram: &mut Datagram) -> Result<(), u8> {
    datagram.part = part as u64;
    if protocol == ICMP || protocol == ICMP_V6 {
        if part as u64 != Part::Whole as u64 {
            return Err(Reason::NotUdp as u8);
        }
        datagram.part = Part::Icmp as u64;
        datagram.held = room;
        return Ok(());
    }
    if protocol != PROTOCOL_UDP {
        return Err(Reason::NotUdp as u8);
    }
    if part as u64 == Part::Later as u64 {
        return later(room, datagram);
    }
    udp(packet, room, datagram)
}

/// A later fragment: it has no ports.
#[inline(always)]
fn later(room: u64, datagram: &mut Datagram) -> Result<(), u8> {
    datagram.part = Part::Later as u64;
    (datagram.source_port, datagram.destination_port) = (Port(0), Port(0));
    datagram.announced = 0;
    datagram.held = room;
    Ok(())
}

/// A function of its own, for its stack: extension headers take more of it than all else here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn frame_ipv6(ctx: *mut xdp_md, notes: *mut Notes, ip: u64) -> u64 {
    let Some(notes) = Notes::handed(notes) else { return Reason::Malformed as u64 };
    match ipv6(Packet { ctx }, opaque(ip), notes.zero, &mut notes.datagram) {
        Ok(()) => PARSED,
        Err(reason) => reason as u64,
    }
}

/// What [`frame_ipv6`] answers when it has no reason to give.
const PARSED: u64 = 0x100;

#[inline(always)]
fn ipv6(packet: Packet, ip: u64, zero: u64, datagram: &mut Datagram) -> Result<(), u8> {
    let header = packet.read::<Ipv6>(ip).ok_or(Reason::Malformed as u8)?;
    if header.version_and_flow.to_be() >> 28 != 6 {
        return Err(Reason::Malformed as u8);
    }
    datagram.source = Address { words: header.source };
    datagram.destination = Address { words: header.destination };
    if datagram.source.as_v4().is_some() || datagram.destination.as_v4().is_some() {
        // The mapped form of an IPv4 address is how maps hold one, and is not to be seen on a wire.
        return Err(Reason::Malformed as u8);
    }
    datagram.family = Family::V6 as u64;
    datagram.ip = ip;
    datagram.udp = ip + IPV6_BYTES;
    let bytes = u16::from_be(header.payload_bytes) as u64;
    let room =
        if bytes + IPV6_BYTES > packet.linear_bytes() - ip && !packet.has_fragments() { 0 } else { bytes };
    if header.next_header == PROTOCOL_UDP {
        datagram.part = Part::Whole as u64;
        return udp(packet, room, datagram);
    }
    extensions(packet, header.next_header, room, zero, datagram)
}

/// Over the extension headers of IPv6 to what it carries.
#[inline(always)]
fn extensions(packet: Packet, first: u8, room: u64, zero: u64, datagram: &mut Datagram) -> Result<(), u8> {
    let mut protocol = first as u64 ^ zero;
    let mut at = datagram.udp ^ zero;
    let mut part = Part::Whole as u64 ^ zero;
    let mut i = 0;
    while i <= EXTENSIONS_LIMIT {
        (protocol, at, part) = (protocol ^ zero, at ^ zero, part ^ zero);
        let kind = protocol as u8;
        let is_fragment = kind == FRAGMENT;
        if !is_fragment && !is_extension(kind) {
            break;
        }
        let header = packet.read::<FragmentHeader>(at).ok_or(Reason::Malformed as u8)?;
        if is_fragment {
            let field = u16::from_be(header.offset_and_more);
            datagram.id = header.id[0] as u32 | (header.id[1] as u32) << 16;
            part = fragment_part(field & 0xfff8 != 0, field & 1 != 0) as u64;
        }
        protocol = header.next_header as u64;
        // Lengths are in units of eight bytes, but for the authentication header (RFC 4302 section 2.2).
        let units = header.reserved as u64;
        at += match kind {
            FRAGMENT => 8,
            AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        i += 1;
        if part == Part::Later as u64 {
            // What follows is not a header but bytes from the middle of the datagram.
            break;
        }
    }
    let (protocol, part) = (protocol ^ zero, part ^ zero);
    let room = room.saturating_sub(at - datagram.udp);
    datagram.udp = at ^ zero;
    if i > EXTENSIONS_LIMIT {
        return Err(Reason::Extensions as u8);
    }
    if part == Part::Later as u64 {
        // Behind more extension headers only the first fragment says what the datagram carries.
        return if protocol as u8 == PROTOCOL_UDP || is_extension(protocol as u8) {
            later(room, datagram)
        } else {
            Err(Reason::NotUdp as u8)
        };
    }
    if protocol as u8 == ICMP {
        return Err(Reason::NotUdp as u8);
    }
    let part = if part == Part::First as u64 { Part::First } else { Part::Whole };
    carried(packet, protocol as u8, part, room, datagram)
}

/// Is it the number of an extension header, other than the fragment header?
#[inline(always)]
fn is_extension(kind: u8) -> bool {
    kind == HOP_BY_HOP || kind == ROUTING || kind == DESTINATION || kind == AUTHENTICATION
}

/// The UDP header, of a datagram or of its first fragment.
#[inline(always)]
fn udp(packet: Packet, room: u64, datagram: &mut Datagram) -> Result<(), u8> {
    let ports = packet.read::<Udp>(datagram.udp).ok_or(Reason::Malformed as u8)?;
    (datagram.source_port, datagram.destination_port) = (Port(ports.source), Port(ports.destination));
    let bytes = u16::from_be(ports.bytes) as u64;
    let fits = room >= UDP_BYTES && (bytes <= room || datagram.part == Part::First as u64);
    datagram.held = room.wrapping_sub(UDP_BYTES);
    datagram.announced = if bytes < UDP_BYTES || !fits { CONTRADICTORY } else { bytes - UDP_BYTES };
    Ok(())
}

/// Writes the Ethernet header and the VLAN tags of the way out in front of the IP header.
///
/// Returns false when the driver left no room for more tags than the frame came with.
#[inline(always)]
pub(crate) fn write_link(
    packet: Packet,
    tags: u64,
    destination: [u8; 6],
    source: [u8; 6],
    vlans: &Vlans,
    ethertype: u16,
) -> bool {
    if vlans.count as u64 != tags {
        let grow = (vlans.count as i32 - tags as i32) * VLAN_BYTES as i32;
        if !packet.grow_head(grow) {
            return false;
        }
    }
    let wrote = packet.write(0, destination) && packet.write(6, source);
    if vlans.count == 0 {
        return wrote && packet.write(ETHERNET_BYTES - 2, ethertype);
    }
    let wrote = wrote && packet.write(12, [vlans.protocols[0], vlans.tags[0]]);
    if vlans.count == 1 {
        return wrote && packet.write(16, ethertype);
    }
    wrote && packet.write(16, [vlans.protocols[1], vlans.tags[1]]) && packet.write(20, ethertype)
}

/// Copies the Ethernet header and the tags from `from` bytes behind the frame's beginning to there, for what is IPv4 now, or
/// IPv6.
#[inline(always)]
pub(crate) fn keep_link(packet: Packet, from: u64, tags: u64, is_v4: bool) -> bool {
    let Some(addresses) = packet.read::<[u32; 3]>(from) else { return false };
    move_link(packet, from, tags, addresses)
        && packet.write(ETHERNET_BYTES - 2 + (tags & 3) * VLAN_BYTES, ethertype(is_v4))
}

/// The same, with the MAC addresses changed round: back to the sender.
#[inline(always)]
pub(crate) fn swap_link(packet: Packet, from: u64, tags: u64) -> bool {
    let Some([a, b, c]) = packet.read::<[u32; 3]>(from) else { return false };
    let Some(ethertype) = packet.read::<u16>(from + ETHERNET_BYTES - 2 + (tags & 3) * VLAN_BYTES) else {
        return false;
    };
    move_link(packet, from, tags, [b >> 16 | c << 16, c >> 16 | a << 16, a >> 16 | b << 16])
        && packet.write(ETHERNET_BYTES - 2 + (tags & 3) * VLAN_BYTES, ethertype)
}

/// Writes MAC addresses to the front, and behind them the tags from `from` bytes further on.
#[inline(always)]
fn move_link(packet: Packet, from: u64, tags: u64, addresses: [u32; 3]) -> bool {
    // Two words cover both tags, or one and the ethertype with what follows it, which is written over.
    let Some(behind) = packet.read::<[u32; 2]>(from + 12) else { return false };
    packet.write(0, addresses) && (tags == 0 || packet.write(12, behind))
}

/// Ethertype of IPv4 or IPv6.
#[inline(always)]
pub(crate) const fn ethertype(is_v4: bool) -> u16 {
    if is_v4 { IPV4 } else { IPV6 }
}
