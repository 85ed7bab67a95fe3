//! What `cargo xtask bench datapath` runs: siplb, and how little a packet could cost.
//!
//! `l4` is a plain layer 4 balancer, made of the program's own parts but for SIP: a hash of addresses and ports takes the
//! place of the scanner. So the difference between the two is what SIP costs, and nothing else.
//!
//! A test run hands what a program made of a frame to its next turn. So each of these but `empty` puts the headers back at
//! the end ([`undone`]), which is some nanoseconds in each of their figures.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![no_std]
#![no_main]

#[path = "../account.rs"]
mod account;
#[path = "../at_vip.rs"]
mod at_vip;
#[path = "../bytes.rs"]
mod bytes;
#[path = "../change.rs"]
mod change;
#[path = "../deliver/mod.rs"]
mod deliver;
#[path = "../fragments.rs"]
mod fragments;
#[path = "../frame.rs"]
mod frame;
#[path = "../icmp.rs"]
mod icmp;
#[path = "../limiter.rs"]
mod limiter;
#[path = "../maps.rs"]
mod maps;
#[path = "../notes.rs"]
mod notes;
#[path = "../packet.rs"]
mod packet;
#[path = "../pipeline.rs"]
mod pipeline;
#[path = "../program.rs"]
mod program;
#[path = "../reply.rs"]
mod reply;
#[path = "../stages.rs"]
mod stages;
#[path = "../state.rs"]
mod state;
#[path = "../trace.rs"]
mod trace;
// Measured with the faster loop alone: the other one has no stack to spare.
#[cfg(not(feature = "bpf-loop"))]
#[path = "bench/traffic.rs"]
mod traffic;
#[path = "../turns.rs"]
mod turns;
#[path = "../unnamed.rs"]
mod unnamed;
#[path = "../vip.rs"]
mod vip;

use account::{Outcome, account};
use aya_ebpf::{
    bindings::xdp_action,
    macros::{map, xdp},
    maps::PerCpuArray,
    programs::XdpContext,
};
use lb_common::{
    decide::{Decision, Found, Key, PassedOver},
    hash::short_key_hash,
    layout::KeySource,
    reason::Reason,
    sip::start_line::StartLine,
};
use notes::Notes;
use packet::Packet;
use state::State;

/// What a frame was before the program: not on the stack, which the program needs.
#[repr(C)]
struct Before {
    /// Its bytes from the IP header on.
    headers: [u64; 6],
    /// How many bytes it had.
    bytes: u64,
    ethertype: u64,
}

#[map]
static BEFORE: PerCpuArray<Before> = PerCpuArray::with_max_entries(1, 0);

/// Runs a program and puts back what it rewrites in an untagged frame: a header in front of it, and 48 bytes from the IP
/// header on, in which IPv4 and IPv6 have all that forwarding changes.
#[inline(always)]
fn undone(context: XdpContext, program: impl FnOnce(Packet) -> u32) -> u32 {
    const ETHERTYPE: u64 = 12;
    const IP: u64 = 14;
    let packet = Packet { ctx: context.ctx };
    let (Some(ethertype), Some(headers), Some(before)) =
        (packet.read::<u16>(ETHERTYPE), packet.at::<[u64; 6]>(IP), before())
    else {
        return xdp_action::XDP_ABORTED;
    };
    (before.bytes, before.ethertype) = (packet.linear_bytes(), ethertype as u64);
    copy(headers, &raw mut before.headers);
    let action = program(packet);
    let Some(before) = self::before() else { return xdp_action::XDP_ABORTED };
    let now = packet.linear_bytes();
    if now != before.bytes && !packet.grow_head((before.bytes as i64 - now as i64) as i32) {
        return xdp_action::XDP_ABORTED;
    }
    let wrote = packet.write(ETHERTYPE, before.ethertype as u16);
    let Some(headers) = packet.at::<[u64; 6]>(IP).filter(|_| wrote) else {
        return xdp_action::XDP_ABORTED;
    };
    copy(&raw const before.headers, headers);
    action
}

#[inline(always)]
fn before() -> Option<&'static mut Before> {
    // SAFETY: the entry belongs to this CPU, and programs on one CPU do not interrupt each other.
    BEFORE.get_ptr_mut(0).map(|before| unsafe { &mut *before })
}

/// Word by word, with nothing on the stack.
#[inline(always)]
fn copy(from: *const [u64; 6], to: *mut [u64; 6]) {
    let (from, to): (*const u64, *mut u64) = (from.cast(), to.cast());
    let mut i = 0;
    while i < 6 {
        // SAFETY: one of the two is a place in the frame whose six words `at` has compared with its end, the other the entry of
        // this CPU; the kernel targets allow unaligned access.
        unsafe { to.add(i).write_unaligned(from.add(i).read_unaligned()) };
        i += 1;
    }
}

/// Nothing at all: what a test run costs by itself.
#[xdp(frags)]
fn empty(_: XdpContext) -> u32 {
    xdp_action::XDP_TX
}

/// The least that sends a frame back: the MAC addresses change places.
#[xdp(frags)]
fn swap(context: XdpContext) -> u32 {
    undone(context, |packet| {
        let Some([a, b, c]) = packet.read::<[u32; 3]>(0) else { return xdp_action::XDP_PASS };
        packet.write(0, [b >> 16 | c << 16, c >> 16 | a << 16, a >> 16 | b << 16]);
        xdp_action::XDP_TX
    })
}

/// A header parse, counted: what no program that counts can do without.
#[xdp(frags)]
fn parse(context: XdpContext) -> u32 {
    undone(context, |packet| {
        let (Some(state), Some(notes)) = (State::live(), Notes::of_this_cpu()) else {
            return xdp_action::XDP_PASS;
        };
        (notes.generation, notes.zero) = (state.generation as u64, state.zero);
        let bytes = packet.linear_bytes();
        match frame::parse(packet, notes) {
            Ok(()) if notes.datagram.destination_port.0 == 0 => xdp_action::XDP_DROP,
            Ok(()) => account(bytes, Outcome::new(Reason::Foreign as u8)),
            Err(reason) => account(bytes, Outcome::new(reason)),
        }
    })
}

/// A plain layer 4 balancer.
#[xdp(frags)]
fn l4(context: XdpContext) -> u32 {
    undone(context, layer_4)
}

#[inline(always)]
fn layer_4(packet: Packet) -> u32 {
    pipeline::balance(
        packet,
        #[inline(always)]
        |_, notes, vip| {
            let datagram = &notes.datagram;
            let addresses = datagram.source.words[3] as u64 | (datagram.destination.words[3] as u64) << 32;
            let ports = datagram.source_port.0 as u64 | (datagram.destination_port.0 as u64) << 16;
            let hash = short_key_hash([addresses, ports, 0], 2, vip.rules.seed);
            let key = Key { source: KeySource::Source, hash, at: 0, end: 0 };
            notes.decide(Decision {
                reason: Reason::Forwarded,
                named: 0,
                key,
                start: StartLine(0),
                passed: PassedOver::NOTHING,
                unnamed: Found::NOBODY,
            });
        },
    )
}

/// siplb itself.
#[xdp(frags)]
fn siplb(context: XdpContext) -> u32 {
    undone(context, |packet| pipeline::balance(packet, at_vip::judge))
}
