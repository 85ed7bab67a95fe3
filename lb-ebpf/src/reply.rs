//! `backend socket -> rewrite`: a packet from a backend's SIP socket.
//!
//! It leaves as the VIP, whatever it is and whomever it is for, so that a client is answered from where it asked. That
//! needs no memory of the request: a backend's socket belongs to exactly one VIP. Left alone is what was never to pass for
//! the VIP: answers to health checks, and what backends say to each other.

use crate::{
    account::Outcome,
    deliver::{
        nat::{self, End},
        next_hop,
    },
    frame::{Datagram, Family},
    packet::Packet,
    state::State,
    trace::trace,
};
use lb_common::{
    layout::{Host, Socket},
    reason::Reason,
};

/// Sends a packet from a backend's SIP socket on as its VIP's.
#[inline(always)]
pub(crate) fn from_backend(packet: Packet, state: &State, datagram: &Datagram, socket: &Socket) -> Outcome {
    let mut outcome =
        Outcome { vip: socket.vip, backend: socket.backend, ..Outcome::new(Reason::Foreign as u8) };
    trace(|trace| (trace.generation, trace.payload) = (state.generation, datagram.payload() as u16));
    outcome.reason = match reply(packet, state, datagram, socket, &mut outcome.action) {
        Ok(reason) | Err(reason) => reason,
    };
    outcome
}

#[inline(always)]
fn reply(
    packet: Packet,
    state: &State,
    datagram: &Datagram,
    socket: &Socket,
    action: &mut u32,
) -> Result<u8, u8> {
    match state.host(datagram.destination) {
        None => {}
        Some(Host::Node) => return Err(Reason::FromBackendToNode as u8),
        Some(Host::Peer) => return Err(Reason::FromBackendToPeer as u8),
        Some(Host::Backend) => return Err(Reason::FromBackendToBackend as u8),
    }
    if datagram.family == Family::V6 {
        return Err(Reason::Ipv6 as u8);
    }
    if datagram.is_fragment {
        return Err(Reason::Fragment as u8);
    }
    if datagram.announced.is_none() {
        return Err(Reason::Truncated as u8);
    }
    let sums = (&socket.backend_sums, &socket.vip_sums);
    nat::rewrite(packet, &datagram.layers, End::Source, sums, (&socket.address, socket.port))?;
    *action = next_hop::route(packet, datagram)?;
    Ok(Reason::Replied as u8)
}
