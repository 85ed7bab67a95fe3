//! Fragments: the first one of a datagram is judged like a whole one, the others follow it.
//!
//! A later fragment has no ports and no SIP: it is known by addresses, protocol and identification. Where its datagram
//! went is remembered in a map of bounded size, of which the least recently used entries are forgotten, and which only
//! fragments pay for. XDP can't hold a packet back: a later fragment that overtakes the first is dropped, and the sender
//! repeats the datagram.

use crate::{
    account::Outcome,
    deliver::{self, End, Rewrite, next_hop},
    frame::Part,
    maps::{BACKENDS, FRAGMENTS},
    notes::Notes,
    packet::{Packet, opaque},
    state::State,
    trace::trace,
};
use aya_ebpf::{bindings::xdp_md, helpers::generated::bpf_ktime_get_coarse_ns};
use lb_common::{
    layout::{Address, Backend, Fragment, FragmentKey, Host, KeySource, PROTOCOL_UDP, Port, Socket, Sums},
    limits::FRAGMENT_AGE_NS,
    reason::Reason,
};

/// Remembers that the first fragment of a datagram to a VIP went to this backend.
#[inline(always)]
pub(crate) fn remember_request(notes: &mut Notes, backend: u32, entry: &Backend) {
    let removed = Sums::new(&notes.datagram.destination, Port(0)).address;
    let sums = removed as u64 | (entry.sums.address as u64) << 32;
    fragment_remember(notes, &entry.address, sums, backend as u64 | notes.vip << 32, 0);
}

/// Remembers that the first fragment of a backend's datagram left as this VIP.
#[inline(always)]
pub(crate) fn remember_reply(notes: &mut Notes, socket: &Socket) {
    let sums = socket.backend_sums.address as u64 | (socket.vip_sums.address as u64) << 32;
    fragment_remember(notes, &socket.address, sums, socket.backend as u64 | (socket.vip as u64) << 32, 1);
}

/// A function of its own, for its stack. `sums` has the sum of the address that is replaced, and above it that of the one
/// that replaces it; `ids` that of the backend, and above it that of the VIP.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fragment_remember(
    notes: *mut Notes,
    address: *const Address,
    sums: u64,
    ids: u64,
    is_reply: u64,
) -> u64 {
    let Some(notes) = Notes::handed(notes) else { return 0 };
    // SAFETY: callers hand over a part of a map's entry.
    let Some(address) = (unsafe { address.as_ref() }) else { return 0 };
    let (sums, ids) = (opaque(sums), opaque(ids));
    let fragment = Fragment {
        seen_ns: now(),
        address: *address,
        removed: sums as u32,
        added: (sums >> 32) as u32,
        backend: ids as u32,
        vip: (ids >> 32) as u32,
        is_reply: opaque(is_reply) as u32,
        pad: 0,
    };
    // A map that is full makes room by itself; what can't be remembered is dropped as an orphan.
    let _ = FRAGMENTS.insert(key(notes), fragment, 0);
    0
}

/// Forgets where the fragments of an earlier datagram with this identification went, since this one's go nowhere.
#[inline(always)]
pub(crate) fn forget(notes: &mut Notes) {
    if notes.datagram.is(Part::First) {
        fragment_forget(notes);
    }
}

/// A function of its own, as [`fragment_remember`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fragment_forget(notes: *mut Notes) -> u64 {
    if let Some(notes) = Notes::handed(notes) {
        // There may be none.
        let _ = FRAGMENTS.remove(key(notes));
    }
    0
}

#[inline(always)]
fn key(notes: &Notes) -> FragmentKey {
    let datagram = &notes.datagram;
    FragmentKey {
        source: datagram.source,
        destination: datagram.destination,
        id: datagram.id,
        protocol: PROTOCOL_UDP as u32,
    }
}

/// The time, to some milliseconds.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: takes nothing and reads a clock.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Sends a later fragment the way of its first.
#[inline(always)]
pub(crate) fn follow(packet: Packet, notes: &mut Notes) -> Outcome {
    Outcome::unpack(fragment_follow(packet.ctx, notes))
}

/// A function of its own, since few packets come by here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fragment_follow(ctx: *mut xdp_md, notes: *mut Notes) -> u64 {
    let Some(notes) = Notes::handed(notes) else { return 0 };
    let Some(state) = State::of(notes) else { return 0 };
    judge(Packet { ctx }, &state, notes).pack()
}

#[inline(always)]
fn judge(packet: Packet, state: &State, notes: &mut Notes) -> Outcome {
    // SAFETY: entries are replaced whole, and are of use whichever of two is read.
    let Some(fragment) = (unsafe { FRAGMENTS.get(key(notes)) }) else { return orphan(state, notes) };
    if now() - fragment.seen_ns > FRAGMENT_AGE_NS {
        return orphan(state, notes);
    }
    let mut outcome =
        Outcome { vip: fragment.vip, backend: fragment.backend, ..Outcome::new(Reason::Foreign as u8) };
    trace(|trace| (trace.generation, trace.source) = (state.generation, KeySource::Fragment as u8));
    let rewrite = Rewrite {
        end: if fragment.is_reply == 0 { End::Destination } else { End::Source },
        old: Sums { address: fragment.removed, socket: 0 },
        address: &fragment.address,
        new_address: fragment.added,
        port: Port(0),
    };
    outcome.reason = match sent(packet, state, notes, fragment, &rewrite, &mut outcome.action) {
        Ok(reason) | Err(reason) => reason,
    };
    outcome
}

#[inline(always)]
fn sent(
    packet: Packet,
    state: &State,
    notes: &mut Notes,
    fragment: &Fragment,
    rewrite: &Rewrite<'_>,
    action: &mut u32,
) -> Result<u8, u8> {
    if notes.datagram.held == 0 {
        return Err(Reason::Truncated as u8);
    }
    if fragment.is_reply == 0 {
        let backend = state.entry(&BACKENDS, state.meta.backends, fragment.backend);
        let backend = backend.ok_or(Reason::FragmentOrphan as u8)?;
        *action = deliver::to_backend(packet, state, notes, backend, rewrite)?;
        Ok(Reason::FragmentFollowed as u8)
    } else {
        deliver::readdress(packet, &notes.datagram, rewrite)?;
        *action = next_hop::route(packet, &notes.datagram)?;
        Ok(Reason::FragmentReplied as u8)
    }
}

/// What becomes of a later fragment whose first one is not known.
#[inline(always)]
fn orphan(state: &State, notes: &Notes) -> Outcome {
    match state.host(notes.datagram.destination) {
        Some(Host::Vip) => Outcome::new(Reason::FragmentOrphan as u8),
        _ => Outcome::new(Reason::LaterFragment as u8),
    }
}
