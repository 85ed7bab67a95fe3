//! `frame -> eth/vlan -> ip -> udp`: from the bytes of a frame to a datagram, or the reason why it is not ours.

use crate::packet::Packet;
use lb_common::{
    decide::Source,
    layout::{Address, PROTOCOL_UDP, Port, Vlans},
    limits::VLAN_LIMIT,
    reason::Reason,
};

const ETHERNET_BYTES: u64 = 14;
const VLAN_BYTES: u64 = 4;
const IPV6_BYTES: u64 = 40;
const UDP_BYTES: u64 = 8;
const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
const VLAN: u16 = 0x8100_u16.to_be();
const QINQ: u16 = 0x88a8_u16.to_be();
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Which IP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Where a frame's layers lie.
#[derive(Clone, Copy)]
pub(crate) struct Layers {
    /// Offset of the IP header.
    pub(crate) ip: u64,
    /// Offset of the UDP header.
    pub(crate) udp: u64,
    /// VLAN tags in front of the IP header.
    pub(crate) tags: u64,
}

/// A UDP datagram, or its first fragment.
pub(crate) struct Datagram {
    pub(crate) layers: Layers,
    pub(crate) family: Family,
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) source_port: Port,
    pub(crate) destination_port: Port,
    /// Is this the first of several fragments?
    pub(crate) is_fragment: bool,
    /// Bytes of payload that the UDP header announces; `None` when it contradicts the IP header.
    pub(crate) announced: Option<u64>,
}

impl Datagram {
    /// Where it came from.
    #[inline(always)]
    pub(crate) fn source(&self) -> Source {
        Source { address: self.source, port: self.source_port }
    }

    /// Offset of the payload.
    #[inline(always)]
    pub(crate) fn payload(&self) -> u64 {
        self.layers.udp + UDP_BYTES
    }
}

/// An IPv4 header without options (RFC 791 section 3.1), each field with its bytes as they lie in the packet.
#[derive(Clone, Copy)]
#[repr(C)]
struct Ipv4 {
    version_and_length: u8,
    service: u8,
    total_bytes: u16,
    id: u16,
    fragment: u16,
    ttl: u8,
    protocol: u8,
    checksum: u16,
    source: u32,
    destination: u32,
}

/// An IPv6 header (RFC 8200 section 3).
#[derive(Clone, Copy)]
#[repr(C)]
struct Ipv6 {
    version_and_flow: u32,
    payload_bytes: u16,
    next_header: u8,
    hop_limit: u8,
    source: [u32; 4],
    destination: [u32; 4],
}

/// A UDP header (RFC 768).
#[derive(Clone, Copy)]
#[repr(C)]
struct Udp {
    source: u16,
    destination: u16,
    bytes: u16,
    checksum: u16,
}

/// Reads a frame down to the UDP ports, and hands what it is to `with`.
///
/// `with` is compiled once for each family, which then is a constant in it: nobody carries four words for an address of
/// one. `zero` hides from the verifier which of the few possible offsets it is dealing with, or it would follow each.
#[inline(always)]
pub(crate) fn parse<T>(packet: Packet, zero: u64, with: impl Fn(Result<Datagram, u8>) -> T) -> T {
    let Some(mut ethertype) = packet.read::<u16>(ETHERNET_BYTES - 2) else {
        return with(Err(Reason::Malformed as u8));
    };
    let mut tags = 0;
    while tags < VLAN_LIMIT as u64 && (ethertype == VLAN || ethertype == QINQ) {
        tags += 1;
        let Some(next) = packet.read::<u16>(ETHERNET_BYTES + tags * VLAN_BYTES - 2) else {
            return with(Err(Reason::Malformed as u8));
        };
        ethertype = next;
    }
    let tags = tags ^ zero;
    let ip = ETHERNET_BYTES + (tags & 3) * VLAN_BYTES;
    if ethertype == IPV4 {
        with(ipv4(packet, ip, tags, zero))
    } else if ethertype == IPV6 {
        with(ipv6(packet, ip, tags))
    } else {
        with(Err(Reason::NotIp as u8))
    }
}

#[inline(always)]
fn ipv4(packet: Packet, ip: u64, tags: u64, zero: u64) -> Result<Datagram, u8> {
    let header = packet.read::<Ipv4>(ip).ok_or(Reason::Malformed as u8)?;
    if header.protocol != PROTOCOL_UDP {
        return Err(Reason::NotUdp as u8);
    }
    let header_bytes = (header.version_and_length as u64 & 0xf) * 4;
    if header.version_and_length >> 4 != 4 || header_bytes < size_of::<Ipv4>() as u64 {
        return Err(Reason::Malformed as u8);
    }
    let fragment = u16::from_be(header.fragment);
    if fragment & FRAGMENT_OFFSET != 0 {
        return Err(Reason::LaterFragment as u8);
    }
    let udp = ip + (header_bytes ^ zero);
    let ports = packet.read::<Udp>(udp).ok_or(Reason::Malformed as u8)?;
    let total = u16::from_be(header.total_bytes) as u64;
    let room = if total > packet.linear_bytes() - ip && !packet.has_fragments() {
        0
    } else {
        total.saturating_sub(header_bytes)
    };
    let udp_bytes = u16::from_be(ports.bytes) as u64;
    Ok(Datagram {
        layers: Layers { ip, udp, tags },
        family: Family::V4,
        source: Address::v4(header.source),
        destination: Address::v4(header.destination),
        source_port: Port(ports.source),
        destination_port: Port(ports.destination),
        is_fragment: fragment & MORE_FRAGMENTS != 0,
        announced: announced(udp_bytes, room),
    })
}

/// IPv6 without extension headers: enough to see that something is for a VIP.
#[inline(always)]
fn ipv6(packet: Packet, ip: u64, tags: u64) -> Result<Datagram, u8> {
    let header = packet.read::<Ipv6>(ip).ok_or(Reason::Malformed as u8)?;
    if header.next_header != PROTOCOL_UDP {
        return Err(Reason::NotUdp as u8);
    }
    let udp = ip + IPV6_BYTES;
    let ports = packet.read::<Udp>(udp).ok_or(Reason::Malformed as u8)?;
    Ok(Datagram {
        layers: Layers { ip, udp, tags },
        family: Family::V6,
        source: Address { words: header.source },
        destination: Address { words: header.destination },
        source_port: Port(ports.source),
        destination_port: Port(ports.destination),
        is_fragment: false,
        announced: announced(u16::from_be(ports.bytes) as u64, u16::from_be(header.payload_bytes) as u64),
    })
}

/// The payload's length by the UDP header, if the IP payload has room for it.
#[inline(always)]
fn announced(udp_bytes: u64, room: u64) -> Option<u64> {
    if udp_bytes < UDP_BYTES || udp_bytes > room { None } else { Some(udp_bytes - UDP_BYTES) }
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

/// Ethertype of a family.
#[inline(always)]
pub(crate) const fn ethertype(family: Family) -> u16 {
    match family {
        Family::V4 => IPV4,
        Family::V6 => IPV6,
    }
}
