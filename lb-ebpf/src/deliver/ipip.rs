//! The packet inside another one: IP in IP (RFC 2003) and its kin in IPv6 (RFC 2473), to backends that are elsewhere.
//!
//! The outer source address is made from the flow, in a network that is configured, so that the receiver's queues share
//! the packets of one node; nobody answers to it.

use super::{
    header::{HeaderV4, HeaderV6},
    nat::age,
    next_hop,
    too_big::too_big,
};
use crate::{
    frame::{Datagram, ETHERNET_BYTES, Family, IPV4_BYTES, IPV6_BYTES, Part, keep_link},
    notes::Notes,
    packet::{Packet, opaque},
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    layout::{Address, Backend, NextHop},
    reason::Reason,
};

/// IP protocol numbers of IPv4 and of IPv6 inside.
const IPV4_INSIDE: u8 = 4;
const IPV6_INSIDE: u8 = 41;
const DONT_FRAGMENT: u16 = 0x4000_u16.to_be();

/// Marks an answer of [`deliver_ipip`] that is a reason and not an XDP return code.
const REASON: u64 = 0x100;

/// An answer of [`deliver_ipip`]: the outer packet is ready, and the kernel's tables are to be asked for its way.
const ROUTE: u64 = 0x200;

/// Sends a packet to a backend inside another one.
#[inline(always)]
pub(super) fn send(
    packet: Packet,
    notes: &mut Notes,
    backend: &'static Backend,
    hop: Option<&'static NextHop>,
) -> Result<u32, u8> {
    let hop = hop.map_or(core::ptr::null(), core::ptr::from_ref);
    let answer = deliver_ipip(packet.ctx, notes, backend, hop);
    if answer == ROUTE {
        // Not from within that function: the two would share the stack.
        return next_hop::route(packet, &notes.datagram);
    }
    if answer & REASON == 0 { Ok(answer as u32) } else { Err(answer as u8) }
}

/// A function of its own: checked once for requests and fragments.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn deliver_ipip(
    ctx: *mut xdp_md,
    notes: *mut Notes,
    backend: *const Backend,
    hop: *const NextHop,
) -> u64 {
    // SAFETY: callers hand over entries of maps, or nothing.
    let (backend, hop) = unsafe { (backend.as_ref(), hop.as_ref()) };
    let (Some(notes), Some(backend)) = (Notes::handed(notes), backend) else {
        return REASON | Reason::Malformed as u64;
    };
    match encapsulate(Packet { ctx }, notes, backend, hop) {
        Ok(answer) => answer,
        Err(reason) => REASON | reason as u64,
    }
}

#[inline(always)]
fn encapsulate(
    packet: Packet,
    notes: &mut Notes,
    backend: &Backend,
    hop: Option<&NextHop>,
) -> Result<u64, u8> {
    let inner_bytes = bytes(packet, &notes.datagram)?;
    let is_v4 = backend.address.as_v4().is_some();
    let outer_bytes = if is_v4 { IPV4_BYTES } else { IPV6_BYTES };
    if let Some(hop) = hop
        && hop.mtu != 0
        && inner_bytes + outer_bytes > hop.mtu as u64
    {
        return Err(too_big(packet, notes, inner_bytes, hop.mtu as u64 - outer_bytes));
    }
    age(packet, &notes.datagram)?;
    if !packet.grow_head(outer_bytes as i32) || !keep_link(packet, outer_bytes, notes.datagram.tags, is_v4) {
        return Err(Reason::NoHeadroom as u8);
    }
    let at = ETHERNET_BYTES + (notes.datagram.tags & 3) * 4;
    let protocol = if notes.datagram.is_v4() { IPV4_INSIDE } else { IPV6_INSIDE };
    let flow = flow(&notes.datagram);
    let wrote = if is_v4 {
        packet.write(at, outer_v4(inner_bytes, protocol, backend, flow))
    } else {
        packet.write(at, outer_v6(inner_bytes, protocol, backend, flow))
    };
    if !wrote {
        return Err(Reason::Truncated as u8);
    }
    // From here on the outer packet is what is sent.
    notes.datagram.family = if is_v4 { Family::V4 as u64 } else { Family::V6 as u64 };
    match hop {
        Some(hop) => Ok(next_hop::send(packet, &notes.datagram, hop)? as u64),
        None => Ok(ROUTE),
    }
}

/// Length of an IP packet, by its header.
#[inline(always)]
fn bytes(packet: Packet, datagram: &Datagram) -> Result<u64, u8> {
    const TOTAL: u64 = 2;
    const PAYLOAD: u64 = 4;
    let at = datagram.ip + if datagram.is_v4() { TOTAL } else { PAYLOAD };
    let field = u16::from_be(packet.read::<u16>(at).ok_or(Reason::Truncated as u8)?) as u64;
    Ok(if datagram.is_v4() { field } else { field + IPV6_BYTES })
}

/// What tells flows apart. Fragments of one datagram are one flow: only the first has ports. Of an ICMP error, the port is
/// that of the packet which it quotes.
#[inline(always)]
fn flow(datagram: &Datagram) -> u32 {
    let is_fragment = datagram.is(Part::First) || datagram.is(Part::Later);
    let port = if is_fragment { datagram.id } else { datagram.source_port.0 as u32 };
    let [a, b, c, d] = datagram.source.words;
    let mixed = (a ^ b ^ c ^ d).wrapping_mul(0x9E37_79B1) ^ port.wrapping_mul(0x85EB_CA77);
    (mixed ^ mixed >> 15).wrapping_mul(0xC2B2_AE3D)
}

#[inline(always)]
fn outer_v4(inner_bytes: u64, protocol: u8, backend: &Backend, flow: u32) -> HeaderV4 {
    // The last two bytes of the address are the flow's.
    let source = backend.tunnel.words[3] & 0xffff_u32 | flow << 16;
    HeaderV4::new(inner_bytes, DONT_FRAGMENT, protocol, source, backend.address.words[3])
}

#[inline(always)]
fn outer_v6(inner_bytes: u64, protocol: u8, backend: &Backend, flow: u32) -> HeaderV6 {
    let Address { words: [a, b, c, _] } = backend.tunnel;
    // The flow label is the flow's too (RFC 6438).
    let label = opaque(flow as u64) as u32;
    HeaderV6::new(inner_bytes, label, protocol, Address { words: [a, b, c, flow] }, backend.address)
}
