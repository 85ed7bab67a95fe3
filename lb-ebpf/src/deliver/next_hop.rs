//! The way out: interface, MAC addresses and VLAN tags.
//!
//! Towards a backend user space has resolved them. Where it has not, and towards clients, the kernel's routing and
//! neighbour tables are asked, which costs as much as all else that a reply pays: so what they said of a client is remembered
//! for a moment ([`super::answers`]). Where they do not know the neighbour yet, the rewritten packet goes to the network stack,
//! which resolves it and forwards the packet itself.

use super::answers::Answer;
use crate::{
    frame::{Datagram, ethertype, write_link},
    maps::INTERFACES,
    packet::{Packet, opaque},
};
use aya_ebpf::{
    bindings::{bpf_fib_lookup, xdp_action, xdp_md},
    helpers::generated::bpf_fib_lookup as bpf_fib_lookup_helper,
};
use core::mem::{size_of, zeroed};
use lb_common::{
    layout::{Address, NextHop, PROTOCOL_UDP, Vlans},
    reason::Reason,
};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Offset of the source address in an IPv4 and in an IPv6 header; the destination follows it.
const IPV4_SOURCE: u64 = 12;
const IPV6_SOURCE: u64 = 8;
/// Answers of `bpf_fib_lookup` (linux/bpf.h, `BPF_FIB_LKUP_RET_*`).
const FOUND: i64 = 0;
const BLACKHOLE: i64 = 1;
const PROHIBIT: i64 = 3;

/// Sends a rewritten packet over a next hop that user space resolved.
#[inline(always)]
pub(crate) fn send(packet: Packet, datagram: &Datagram, hop: &NextHop) -> Result<u32, u8> {
    let ethertype = ethertype(datagram.is_v4());
    if !write_link(packet, datagram.tags, hop.destination, hop.source, &hop.vlans, ethertype) {
        return Err(Reason::NoHeadroom as u8);
    }
    Ok(out_of(packet, hop.interface))
}

/// Sends a rewritten packet to a client, from the address of a VIP: as [`route`] does, or has just done.
#[inline(always)]
pub(crate) fn route_to_client(packet: Packet, datagram: &Datagram, vip: &Address) -> Result<u32, u8> {
    match Answer::remembered(packet, vip, &datagram.destination) {
        Some(answer) => answered(packet, datagram.tags, datagram.is_v4(), answer),
        None => route(packet, datagram),
    }
}

/// Sends a packet where an answer says.
#[inline(always)]
fn answered(packet: Packet, tags: u64, is_v4: bool, answer: &Answer) -> Result<u32, u8> {
    let untagged = Vlans { protocols: [0; 2], tags: [0; 2], count: 0 };
    if !write_link(packet, tags, answer.destination_mac, answer.source_mac, &untagged, ethertype(is_v4)) {
        return Err(Reason::NoHeadroom as u8);
    }
    Ok(out_of(packet, answer.interface))
}

/// Sends a rewritten packet where the kernel's tables say, from and to the addresses that it has now.
#[inline(always)]
pub(crate) fn route(packet: Packet, datagram: &Datagram) -> Result<u32, u8> {
    let answer = deliver_route(packet.ctx, datagram.ip, datagram.tags, datagram.is_v4() as u64);
    if answer & REASON == 0 { Ok(answer as u32) } else { Err(answer as u8) }
}

/// Marks an answer of [`deliver_route`] that is a reason and not an XDP return code.
const REASON: u64 = 0x100;

/// A function of its own, since the question would take a fifth of the stack of the whole program.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn deliver_route(ctx: *mut xdp_md, ip: u64, tags: u64, is_v4: u64) -> u64 {
    match ask(Packet { ctx }, opaque(ip), opaque(tags), opaque(is_v4) != 0) {
        Ok(action) => action as u64,
        Err(reason) => REASON | reason as u64,
    }
}

#[inline(always)]
fn ask(packet: Packet, ip: u64, tags: u64, is_v4: bool) -> Result<u32, u8> {
    // SAFETY: all zeroes is a valid value of this C structure.
    let mut question: bpf_fib_lookup = unsafe { zeroed() };
    let (from, to) = addresses(packet, ip, is_v4).ok_or(Reason::Truncated as u8)?;
    if is_v4 {
        question.family = AF_INET;
        question.__bindgen_anon_3.ipv4_src = from.words[3];
        question.__bindgen_anon_4.ipv4_dst = to.words[3];
    } else {
        question.family = AF_INET6;
        question.__bindgen_anon_3.ipv6_src = from.words;
        question.__bindgen_anon_4.ipv6_dst = to.words;
    }
    question.l4_protocol = PROTOCOL_UDP;
    question.ifindex = packet.ingress();
    let bytes = size_of::<bpf_fib_lookup>() as i32;
    // SAFETY: context and question are valid, and the size is the question's.
    match unsafe { bpf_fib_lookup_helper(packet.ctx.cast(), &mut question, bytes, 0) } {
        FOUND => {
            let (destination, source) = (mac(&question.dmac), mac(&question.smac));
            let answer = Answer::remember(packet, from, to).ok_or(Reason::NoRoute as u8)?;
            (answer.interface, answer.destination_mac, answer.source_mac) =
                (question.ifindex, destination, source);
            answered(packet, tags, is_v4, answer)
        }
        BLACKHOLE..=PROHIBIT => Err(Reason::NoRoute as u8),
        _ => Ok(xdp_action::XDP_PASS),
    }
}

/// Where a packet comes from and goes to.
#[inline(always)]
fn addresses(packet: Packet, ip: u64, is_v4: bool) -> Option<(Address, Address)> {
    if is_v4 {
        let [from, to] = packet.read::<[u32; 2]>(ip + IPV4_SOURCE)?;
        Some((Address::v4(from), Address::v4(to)))
    } else {
        let [from, to] = packet.read::<[[u32; 4]; 2]>(ip + IPV6_SOURCE)?;
        Some((Address { words: from }, Address { words: to }))
    }
}

/// Back out of the same interface, or over to another. One that was not configured may be unable to take redirected
/// frames, which would then vanish without a word: such packets go to the stack.
#[inline(always)]
fn out_of(packet: Packet, interface: u32) -> u32 {
    if interface == packet.ingress() {
        return xdp_action::XDP_TX;
    }
    INTERFACES.redirect(interface, xdp_action::XDP_PASS as u64).unwrap_or_else(|action| action)
}

/// A MAC address on the stack, read by two bytes: it lies at an odd place, and the verifier wants accesses to the stack
/// aligned, which the compiler, told that unaligned ones are fine, would not heed.
#[inline(always)]
fn mac(bytes: &[u8; 6]) -> [u8; 6] {
    let words: *const u16 = bytes.as_ptr().cast();
    // SAFETY: the three reads cover the six bytes; both addresses lie at an even offset of `bpf_fib_lookup`.
    let [a, b, c] =
        unsafe { [words.read_volatile(), words.add(1).read_volatile(), words.add(2).read_volatile()] };
    let ([a, b], [c, d], [e, f]) = (a.to_ne_bytes(), b.to_ne_bytes(), c.to_ne_bytes());
    [a, b, c, d, e, f]
}
