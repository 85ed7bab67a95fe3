//! `backend socket -> rewrite`: a packet from a backend's SIP socket.
//!
//! It leaves as the VIP, whatever it is and whomever it is for, so that a client is answered from where it asked. That
//! needs no memory of the request: a backend's socket belongs to exactly one VIP. Left alone is what was never to pass for
//! the VIP: answers to health checks, and what backends say to each other.

use crate::{
    account::Outcome,
    deliver::{self, End, Rewrite, next_hop},
    fragments,
    frame::{CONTRADICTORY, Part},
    notes::Notes,
    packet::Packet,
    state::State,
    trace::trace,
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    layout::{Host, Socket},
    reason::Reason,
};

/// Sends a packet from a backend's SIP socket on as its VIP's.
#[inline(always)]
pub(crate) fn from_backend(packet: Packet, notes: &mut Notes, socket: &Socket) -> Outcome {
    Outcome::unpack(reply_forward(packet.ctx, notes, socket))
}

/// A function of its own, as the way there has one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn reply_forward(ctx: *mut xdp_md, notes: *mut Notes, socket: *const Socket) -> u64 {
    // SAFETY: callers hand over an entry of the live half.
    let (Some(notes), Some(socket)) = (Notes::handed(notes), unsafe { socket.as_ref() }) else { return 0 };
    let Some(state) = State::of(notes) else { return 0 };
    let mut outcome =
        Outcome { vip: socket.vip, backend: socket.backend, ..Outcome::new(Reason::Foreign as u8) };
    trace(|trace| (trace.generation, trace.payload) = (state.generation, notes.datagram.payload() as u16));
    outcome.reason = match reply(Packet { ctx }, &state, notes, socket, &mut outcome.action) {
        Ok(reason) => reason,
        Err(reason) => {
            fragments::forget(notes);
            reason
        }
    };
    outcome.pack()
}

#[inline(always)]
fn reply(
    packet: Packet,
    state: &State,
    notes: &mut Notes,
    socket: &Socket,
    action: &mut u32,
) -> Result<u8, u8> {
    match state.host(notes.datagram.destination) {
        None => {}
        Some(Host::Node | Host::Vip) => return Err(Reason::FromBackendToNode as u8),
        Some(Host::Peer) => return Err(Reason::FromBackendToPeer as u8),
        Some(Host::Backend) => return Err(Reason::FromBackendToBackend as u8),
    }
    if notes.datagram.announced == CONTRADICTORY {
        return Err(Reason::Truncated as u8);
    }
    let rewrite = Rewrite {
        end: End::Source,
        old: socket.backend_sums,
        address: &socket.address,
        new_address: socket.vip_sums.address,
        port: socket.port,
    };
    deliver::rewrite(packet, &notes.datagram, &rewrite)?;
    *action = next_hop::route_to_client(packet, &notes.datagram, &socket.address)?;
    if !notes.datagram.is(Part::Whole) {
        fragments::remember_reply(notes, socket);
    }
    Ok(Reason::Replied as u8)
}
