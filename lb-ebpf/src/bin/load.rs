//! What the benchmarks load beside siplb: a generator of numbered messages, a sink that tells what became of them, and the
//! least that can stand between the two.
//!
//! The generator runs in live test runs (`BPF_PROG_TEST_RUN` with `BPF_F_TEST_XDP_LIVE_FRAMES`, Linux 5.18): the kernel
//! hands it one frame after the other, and what it makes of them leaves by an interface. A frame that comes back from its
//! receiver is used again as the receiver left it, so all of it is written each time. A test run takes some 20 ms to begin
//! and to end, so one makes all frames of a run, and waits between them: [`wait`].
//!
//! Invariant: every frame that was made has a number of its own, at its end, and the sink counts a number once.
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
    helpers::generated::{bpf_ktime_get_ns, bpf_redirect, bpf_xdp_load_bytes, bpf_xdp_store_bytes},
    macros::{map, xdp},
    maps::{Array, DevMap, PerCpuArray},
    programs::XdpContext,
};
use bytes::{Packet, opaque};
use lb_common::load::{
    Arrived, BUCKETS, DESTINATIONS_LIMIT, Destination, FRAME_MAX, NUMBERS_LIMIT, Pace, Run, Setup, TEMPLATES,
    Template, Trailer, USERS_LIMIT, bucket, name, user,
};

const IP_ID: u64 = 18;
const IP_CHECKSUM: u64 = 24;
const IP_DESTINATION: u64 = 30;
const UDP_SOURCE: u64 = 34;

#[map]
static SETUP: Array<Setup> = Array::with_max_entries(1, 0);

#[map]
static MESSAGES: Array<Template> = Array::with_max_entries(TEMPLATES, 0);

#[map]
static DESTINATIONS: Array<Destination> = Array::with_max_entries(DESTINATIONS_LIMIT, 0);

/// When frames are made. One generator runs at a time.
#[map]
static PACE: Array<Pace> = Array::with_max_entries(1, 0);

/// What the sink has to know.
#[map]
static RUN: Array<Run> = Array::with_max_entries(1, 0);

#[map]
static ARRIVED: PerCpuArray<Arrived> = PerCpuArray::with_max_entries(1, 0);

#[map]
static LATENCIES: PerCpuArray<u64> = PerCpuArray::with_max_entries(BUCKETS, 0);

/// A bit for each number.
#[map]
static SEEN: Array<u64> = Array::with_max_entries((NUMBERS_LIMIT / 64) as u32, 0);

/// Where each user's first message arrived: the last byte of the server's address, 0 for nowhere yet.
#[map]
static SERVERS: Array<u32> = Array::with_max_entries(USERS_LIMIT, 0);

/// Interfaces of the wire's far ends.
#[map]
static OUTLETS: DevMap = DevMap::with_max_entries(DESTINATIONS_LIMIT, 0);

#[map]
static TURN: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// Makes the frame that it is given one of the messages, and sends it off.
#[xdp]
fn generate(context: XdpContext) -> u32 {
    make(Packet { ctx: context.ctx }).unwrap_or(xdp_action::XDP_ABORTED)
}

#[inline(always)]
fn make(packet: Packet) -> Option<u32> {
    let setup = SETUP.get(0)?;
    let pace = PACE.get_ptr_mut(0)?;
    // SAFETY: an entry of an array is always there, and nobody else writes to this one while the generator runs.
    let pace = unsafe { &mut *pace };
    let made_ns = wait(pace);
    if made_ns - pace.first_ns > pace.limit_ns {
        return Some(xdp_action::XDP_DROP);
    }
    pace.last_ns = made_ns;
    let number = pace.number + pace.made;
    pace.made += 1;
    let template = MESSAGES.get(number as u32 % TEMPLATES)?;
    // The verifier wants both bounds in one chain of instructions.
    let bytes = (opaque(setup.frame_bytes as u64 - 1) & (FRAME_MAX as u64 - 1)) as u32 + 1;
    // SAFETY: the context is valid, and the template has `FRAME_MAX` bytes.
    if unsafe { bpf_xdp_store_bytes(packet.ctx, 0, template.frame.as_ptr().cast_mut().cast(), bytes) } != 0 {
        return None;
    }
    let user = user(number, setup.users);
    address(packet, setup, number, user)?;
    let name = name(user);
    let mut i = 0;
    while i < template.user_at.len() {
        if template.user_at[i] != 0 && !packet.write(template.user_at[i] as u64, name) {
            return None;
        }
        i += 1;
    }
    let mut server = 0;
    if template.server_at != 0 {
        server = user % setup.servers.max(1) + 1;
        packet.write(template.server_at as u64, b'0' + server as u8).then_some(())?;
    }
    let trailer = Trailer { made_ns, number, user, server, mark: Trailer::MARK };
    packet.write(bytes as u64 - Trailer::BYTES as u64, trailer).then_some(())?;
    // SAFETY: a helper that takes numbers.
    Some(unsafe { bpf_redirect(setup.interface, 0) } as u32)
}

/// Waits until the frame is due, and returns what time it is then.
#[inline(always)]
fn wait(pace: &mut Pace) -> u64 {
    let begun = now_ns();
    if pace.made == 0 {
        (pace.first_ns, pace.due_ns) = (begun, begun);
    }
    let mut now = begun;
    if pace.made.is_multiple_of(pace.burst.max(1)) {
        let busy_ns = begun - pace.burst_ns;
        if pace.made != 0 && busy_ns < pace.longest_ns() {
            pace.busy_ns += busy_ns;
            pace.busy_frames += pace.burst;
        } else if pace.made != 0 {
            pace.stolen_ns += busy_ns;
        }
        while now < pace.due_ns && may_go_on() {
            now = now_ns();
        }
        pace.burst_ns = now;
        pace.due_ns = pace.next_ns(pace.due_ns, now);
    }
    now
}

#[inline(always)]
fn now_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Turns of a loop until the kernel says that it is enough: the instruction `may_goto`, Linux 6.9.
#[inline(always)]
fn may_go_on() -> bool {
    #[cfg(target_arch = "bpf")]
    // SAFETY: jumps or does not.
    unsafe {
        core::arch::asm!("may_goto {0}", label { return false }, options(nostack));
    }
    true
}

/// Source and destination of a user's message, and the number that fragments would have in common.
#[inline(always)]
fn address(packet: Packet, setup: &Setup, number: u64, user: u32) -> Option<()> {
    let to = DESTINATIONS.get(user % setup.destinations.max(1))?;
    let id = number as u16;
    let mut sum = to.sum + id as u32;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    let port = setup.port.wrapping_add((user % (setup.ports as u32).max(1)) as u16);
    let is_written = packet.write(IP_ID, id.to_be())
        && packet.write(IP_CHECKSUM, (!sum as u16).to_be())
        && packet.write(IP_DESTINATION, to.address)
        && (setup.ports == 0 || packet.write(UDP_SOURCE, port.to_be()));
    is_written.then_some(())
}

/// Counts numbered messages and ends them; leaves all others to the stack.
#[xdp(frags)]
fn sink(context: XdpContext) -> u32 {
    let packet = Packet { ctx: context.ctx };
    let Some(arrived) = ARRIVED.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: the entry belongs to this CPU, and programs on one CPU do not interrupt each other.
    let arrived = unsafe { &mut *arrived };
    match take(packet, arrived) {
        Some(()) => xdp_action::XDP_DROP,
        None => {
            arrived.foreign += 1;
            xdp_action::XDP_PASS
        }
    }
}

#[inline(always)]
fn take(packet: Packet, arrived: &mut Arrived) -> Option<()> {
    let run = RUN.get(0)?;
    let trailer = trailer(packet)?;
    let word = SEEN.get_ptr_mut((trailer.number / 64) as u32)?;
    let bit = 1 << (trailer.number % 64);
    if set(word, bit) & bit != 0 {
        arrived.again += 1;
        return Some(());
    }
    if trailer.number < run.first {
        arrived.late += 1;
        return Some(());
    }
    arrived.first += 1;
    let latency_ns = now_ns().saturating_sub(trailer.made_ns);
    if let Some(count) = LATENCIES.get_ptr_mut(bucket(latency_ns)) {
        // SAFETY: the entry belongs to this CPU.
        unsafe { *count += 1 };
    }
    if run.has_owners != 0 {
        judge(packet, &trailer, arrived);
    }
    Some(())
}

/// Sets a bit, and returns what the word was before. Rust's own atomics have no such operation for this target.
#[inline(always)]
fn set(word: *mut u64, bit: u64) -> u64 {
    let mut before = bit;
    #[cfg(target_arch = "bpf")]
    // SAFETY: the pointer is to a word of a map, which is aligned and always there.
    unsafe {
        core::arch::asm!("{0} = atomic_fetch_or((u64 *)({1} + 0), {0})", inout(reg) before, in(reg) word, options(nostack));
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: as above; this is for the compiler's checks on other targets, and runs nowhere.
    unsafe {
        before = *word;
        *word |= bit;
    }
    before
}

/// Is the message where its user's are, or where it says?
#[inline(always)]
fn judge(packet: Packet, trailer: &Trailer, arrived: &mut Arrived) {
    /// Servers' addresses end in 10 and their number.
    const BEFORE_THE_FIRST: u32 = 10;
    let Some(last) = packet.read::<u8>(IP_DESTINATION + 3) else { return };
    let here = last as u32;
    if trailer.server != 0 {
        arrived.misplaced += (here != trailer.server + BEFORE_THE_FIRST) as u64;
        return;
    }
    let Some(server) = SERVERS.get_ptr_mut(trailer.user) else { return };
    // SAFETY: the entry is there; two messages that meet here each leave a server that was true.
    unsafe {
        if *server == 0 {
            *server = here;
        }
        arrived.moved += (*server != here) as u64;
    }
}

#[inline(always)]
fn trailer(packet: Packet) -> Option<Trailer> {
    let bytes = packet.linear_bytes();
    if bytes < Trailer::BYTES as u64 {
        return None;
    }
    let mut trailer = Trailer { made_ns: 0, number: 0, user: 0, server: 0, mark: 0 };
    let offset = (bytes - Trailer::BYTES as u64) as u32;
    // SAFETY: the context is valid, and the trailer has room for itself.
    let failed =
        unsafe { bpf_xdp_load_bytes(packet.ctx, offset, (&raw mut trailer).cast(), Trailer::BYTES as u32) };
    (failed == 0 && trailer.mark == Trailer::MARK).then_some(trailer)
}

/// Hands every frame to the next outlet, unread: what the way costs by itself.
#[xdp(frags)]
fn wire(_: XdpContext) -> u32 {
    let (Some(turn), Some(setup)) = (TURN.get_ptr_mut(0), SETUP.get(0)) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: the entry belongs to this CPU.
    let turn = unsafe {
        *turn = turn.read().wrapping_add(1);
        *turn
    };
    OUTLETS.redirect(turn % setup.servers.max(1), 0).unwrap_or(xdp_action::XDP_ABORTED)
}
