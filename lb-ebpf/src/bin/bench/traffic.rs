//! What `cargo xtask bench scale` runs: the benchmark's programs under random traffic.
//!
//! Before each packet another user, another of many addresses and another client are written into the frame, as the plan at
//! its end asks ([`lb_common::traffic`]); [`undone`] puts the headers back. `traffic_alone` does that and nothing else: what
//! it takes is taken off the others' figures.

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    helpers::generated::bpf_ktime_get_ns,
    macros::{map, xdp},
    maps::Array,
    programs::XdpContext,
};
use core::mem::size_of;
use lb_common::traffic::{Plan, letters, next, one_of};

use crate::{at_vip, layer_4, packet::Packet, pipeline, turns::turns, undone};

/// Four times the second-level cache of what this was written on: read through, it leaves nothing there of what was.
const OTHER_BYTES: usize = 2 << 20;
const LINE: u64 = 64;
const LINES_A_TURN: u64 = 8;

/// Memory that is no packet's.
#[map]
static OTHER: Array<[u8; OTHER_BYTES]> = Array::with_max_entries(1, 0);

/// The writing alone.
#[xdp(frags)]
fn traffic_alone(context: XdpContext) -> u32 {
    traffic(
        context,
        #[inline(always)]
        |_| xdp_action::XDP_TX,
    )
}

/// The plain layer 4 balancer.
#[xdp(frags)]
fn traffic_l4(context: XdpContext) -> u32 {
    traffic(context, layer_4)
}

/// siplb itself.
#[xdp(frags)]
fn traffic_siplb(context: XdpContext) -> u32 {
    traffic(
        context,
        #[inline(always)]
        |packet| pipeline::balance(packet, at_vip::judge),
    )
}

/// Makes the frame another packet, runs a program on it, and adds the time to the plan where that is asked for. What it does
/// itself is in functions of their own, so that the program has the stack to itself.
#[inline(always)]
fn traffic(context: XdpContext, program: impl FnOnce(Packet) -> u32) -> u32 {
    if traffic_draw(context.ctx) == 0 {
        return xdp_action::XDP_ABORTED;
    }
    undone(
        context,
        #[inline(always)]
        |packet| {
            traffic_clock(packet.ctx, 0);
            let action = program(packet);
            traffic_clock(packet.ctx, 1);
            action
        },
    )
}

/// Writes another packet's headers, and makes caches cold where that is asked for. Returns 1 if it did, else 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn traffic_draw(ctx: *mut xdp_md) -> u64 {
    let Some(cold) = draw(Packet { ctx }) else { return 0 };
    // It is 0 or 1, which the verifier can't know.
    (cold == 0 || forget(cold ^ 1)) as u64
}

/// Takes the time off the plan's sum before the program, and adds it behind it, where that is asked for.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn traffic_clock(ctx: *mut xdp_md, is_behind: u64) -> u64 {
    let Some(plan) = plan(Packet { ctx }) else { return 0 };
    // SAFETY: `plan` compared all of it with the frame's end.
    unsafe {
        if (&raw const (*plan).is_cold).read_unaligned() != 0 {
            let sum = &raw mut (*plan).took_ns;
            let time = if is_behind != 0 { now() } else { now().wrapping_neg() };
            sum.write_unaligned(sum.read_unaligned().wrapping_add(time));
        }
    }
    1
}

/// The plan at the frame's end.
#[inline(always)]
fn plan(packet: Packet) -> Option<*mut Plan> {
    packet.at(packet.linear_bytes() - size_of::<Plan>() as u64)
}

/// Writes what is drawn. `None` where it does not fit into the frame; otherwise 1 if caches are to be cold, and 0 if not.
#[inline(always)]
fn draw(packet: Packet) -> Option<u64> {
    let place = plan(packet)?;
    // SAFETY: `plan` compared all of it with the frame's end.
    let plan = unsafe { place.read_unaligned() };
    let first = next(plan.random);
    let second = next(first);
    // SAFETY: as above.
    unsafe { (&raw mut (*place).random).write_unaligned(second) };
    let user = one_of(plan.users, first as u32);
    let address = plan.first_address + one_of(plan.addresses, (first >> 32) as u32);
    let client = plan.first_client + one_of(plan.clients, second as u32);
    let port = 1_024 + one_of(if plan.clients == 1 { 1 } else { 60_000 }, (second >> 32) as u32);
    let is_written = packet.write(plan.user_at as u64, letters(user))
        && packet.write(plan.address_at as u64, address.to_be())
        && packet.write(plan.client_at as u64, client.to_be())
        && packet.write(plan.client_port_at as u64, (port as u16).to_be());
    is_written.then_some(plan.is_cold as u64)
}

/// Reads other memory until nothing else is in the nearer caches. Returns whether it did. `zero` is one that the verifier can't
/// see: it would follow each turn of a loop that begins with a number that it knows.
#[inline(always)]
fn forget(zero: u64) -> bool {
    const MASK: u64 = OTHER_BYTES as u64 - 1;
    let Some(other) = OTHER.get_ptr(0) else { return false };
    let other: *const u64 = other.cast();
    let mut at = zero;
    turns(
        #[inline(always)]
        || {
            let start = at & MASK & !(LINES_A_TURN * LINE - 1);
            let mut line = 0;
            while line < LINES_A_TURN {
                // SAFETY: the mask keeps all lines of a turn inside of the value.
                unsafe { other.byte_add((start + line * LINE) as usize).read_volatile() };
                line += 1;
            }
            at += LINES_A_TURN * LINE;
            (at < OTHER_BYTES as u64) as u64
        },
    );
    true
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: takes nothing and changes nothing.
    unsafe { bpf_ktime_get_ns() }
}
