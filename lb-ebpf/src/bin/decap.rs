//! What `siplb decap` attaches on a backend whose kernel has no ipip module: takes the outer header off packets that a node
//! has encapsulated, and hands the inner one to the network stack as if it had come by itself.
//!
//! Invariant: it opens nothing. A packet is changed only if its outer destination is an address of this machine and its
//! inner destination one that was allowed; every other goes to the stack as it came. The outer header's checksum is not
//! checked: whatever it got wrong, the inner packet is protected by checksums of its own.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![no_std]
#![no_main]

#[expect(dead_code, reason = "the load balancer asks more of a frame")]
#[path = "../bytes.rs"]
mod bytes;
#[path = "../program.rs"]
mod program;

use aya_ebpf::{
    bindings::xdp_action,
    macros::{map, xdp},
    maps::{HashMap, PerCpuArray},
    programs::XdpContext,
};
use bytes::Packet;
use lb_common::{
    decap::{ADDRESSES_LIMIT, AddressKey, Header, Outcome, PROTOCOL_IPV4, PROTOCOL_IPV6},
    layout::Address,
    limits::VLAN_LIMIT,
};

const ETHERNET_BYTES: u64 = 14;
const VLAN_BYTES: u64 = 4;
const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
const VLAN: u16 = 0x8100_u16.to_be();
const QINQ: u16 = 0x88a8_u16.to_be();
/// The flag "more fragments" and the fragment offset.
const FRAGMENT: u16 = 0x3fff_u16.to_be();

/// Destinations that headers may have.
#[map]
static ADDRESSES: HashMap<AddressKey, u32> = HashMap::with_max_entries(ADDRESSES_LIMIT, 0);

/// Packets by outcome.
#[map]
static OUTCOMES: PerCpuArray<u64> = PerCpuArray::with_max_entries(Outcome::ALL.len() as u32, 0);

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

/// What an IP header says, of either family.
#[derive(Clone, Copy)]
struct Ip {
    header_bytes: u64,
    /// Of header and payload together.
    total_bytes: u64,
    /// What the payload is.
    protocol: u8,
    is_fragment: bool,
    destination: Address,
}

/// Takes the outer header off, if there is one that may be taken off.
#[xdp(frags)]
fn decap(context: XdpContext) -> u32 {
    let packet = Packet { ctx: context.ctx };
    let (outcome, action) = match open(packet) {
        Ok(action) => (Outcome::Decapsulated, action),
        Err(outcome) => (outcome, xdp_action::XDP_PASS),
    };
    if let Some(packets) = OUTCOMES.get_ptr_mut(outcome as u32) {
        // SAFETY: the entry belongs to this CPU, and programs on one CPU do not interrupt each other.
        unsafe { *packets += 1 };
    }
    action
}

#[inline(always)]
fn open(packet: Packet) -> Result<u32, Outcome> {
    let (ethertype, tags) = link(packet).ok_or(Outcome::Malformed)?;
    let at = ETHERNET_BYTES + tags * VLAN_BYTES;
    let outer = ip(packet, at, ethertype)?;
    let inner_ethertype = match outer.protocol {
        PROTOCOL_IPV4 => IPV4,
        PROTOCOL_IPV6 => IPV6,
        _ => return Err(Outcome::Passed),
    };
    if outer.is_fragment || !may_be(Header::Outer, outer.destination) {
        return Err(Outcome::Passed);
    }
    let is_whole = packet.has_fragments() || at + outer.total_bytes <= packet.linear_bytes();
    let inner = ip(packet, at + outer.header_bytes, inner_ethertype)?;
    if !is_whole || outer.header_bytes + inner.total_bytes > outer.total_bytes {
        return Err(Outcome::Malformed);
    }
    if !may_be(Header::Inner, inner.destination) {
        return Err(Outcome::Refused);
    }
    let Some(addresses) = packet.read::<[u32; 3]>(0) else { return Err(Outcome::Malformed) };
    let Some(both) = packet.read::<[u32; 2]>(ETHERNET_BYTES - 2) else { return Err(Outcome::Malformed) };
    if !packet.grow_head(-(outer.header_bytes as i32)) {
        return Err(Outcome::Malformed);
    }
    // What was in front of the outer header stands in front of the inner one now. A frame that held two IP headers has room
    // for that, so that the other answer is never given.
    let wrote = packet.write(0, addresses)
        && match tags {
            0 => packet.write(ETHERNET_BYTES - 2, inner_ethertype),
            1 => {
                packet.write(ETHERNET_BYTES - 2, both[0])
                    && packet.write(ETHERNET_BYTES + VLAN_BYTES - 2, inner_ethertype)
            }
            _ => {
                packet.write(ETHERNET_BYTES - 2, both)
                    && packet.write(ETHERNET_BYTES + 2 * VLAN_BYTES - 2, inner_ethertype)
            }
        };
    Ok(if wrote { xdp_action::XDP_PASS } else { xdp_action::XDP_ABORTED })
}

/// The ethertype behind the VLAN tags, and how many tags there are.
#[inline(always)]
fn link(packet: Packet) -> Option<(u16, u64)> {
    let mut ethertype = packet.read::<u16>(ETHERNET_BYTES - 2)?;
    let mut tags = 0;
    while tags < VLAN_LIMIT as u64 && (ethertype == VLAN || ethertype == QINQ) {
        tags += 1;
        ethertype = packet.read::<u16>(ETHERNET_BYTES + tags * VLAN_BYTES - 2)?;
    }
    Some((ethertype, tags))
}

/// Reads the IP header at an offset, of the family that whatever stands in front announces.
#[inline(always)]
fn ip(packet: Packet, at: u64, ethertype: u16) -> Result<Ip, Outcome> {
    match ethertype {
        IPV4 => ipv4(packet, at),
        IPV6 => ipv6(packet, at),
        _ => return Err(Outcome::Passed),
    }
    .ok_or(Outcome::Malformed)
}

#[inline(always)]
fn ipv4(packet: Packet, at: u64) -> Option<Ip> {
    let header = packet.read::<Ipv4>(at)?;
    let header_bytes = (header.version_and_length as u64 & 0xf) * 4;
    let total_bytes = u16::from_be(header.total_bytes) as u64;
    let is_sound = header.version_and_length >> 4 == 4
        && header_bytes >= size_of::<Ipv4>() as u64
        && total_bytes >= header_bytes;
    is_sound.then_some(Ip {
        header_bytes,
        total_bytes,
        protocol: header.protocol,
        is_fragment: header.fragment & FRAGMENT != 0,
        destination: Address::v4(header.destination),
    })
}

/// Extension headers are not followed: no node of ours writes any in front of a packet that it encapsulates, and a fragment
/// of one has a protocol of its own and is passed.
#[inline(always)]
fn ipv6(packet: Packet, at: u64) -> Option<Ip> {
    let header = packet.read::<Ipv6>(at)?;
    let header_bytes = size_of::<Ipv6>() as u64;
    (u32::from_be(header.version_and_flow) >> 28 == 6).then_some(Ip {
        header_bytes,
        total_bytes: header_bytes + u16::from_be(header.payload_bytes) as u64,
        protocol: header.next_header,
        is_fragment: false,
        destination: Address { words: header.destination },
    })
}

/// May a header have this destination?
#[inline(always)]
fn may_be(header: Header, destination: Address) -> bool {
    ADDRESSES.get_ptr(AddressKey::new(header, destination)).is_some()
}
