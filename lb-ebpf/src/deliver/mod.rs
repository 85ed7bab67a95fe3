//! `rewrite`: what is done to a packet whose backend, or whose client, is known.

pub(crate) mod answers;
mod header;
mod ipip;
mod nat;
pub(crate) mod next_hop;
mod too_big;

pub(crate) use nat::{End, Rewrite, readdress, rewrite};

use crate::{frame::Part, notes::Notes, packet::Packet, state::State};
use lb_common::{
    layout::{Backend, Mode},
    reason::Reason,
};

/// Sends a packet to a backend, in the way that its pool has chosen. `rewriting` is what `nat` does.
#[inline(always)]
pub(crate) fn to_backend(
    packet: Packet,
    state: &State,
    notes: &mut Notes,
    backend: &'static Backend,
    rewriting: &Rewrite<'_>,
) -> Result<u32, u8> {
    let hop = state.next_hop(backend.next_hop);
    if backend.mode == Mode::Nat as u32 {
        if notes.datagram.is(Part::Later) {
            readdress(packet, &notes.datagram, rewriting)?;
        } else {
            rewrite(packet, &notes.datagram, rewriting)?;
        }
        return match hop {
            Some(hop) => next_hop::send(packet, &notes.datagram, hop),
            None => next_hop::route(packet, &notes.datagram),
        };
    }
    if backend.mode == Mode::Ipip as u32 {
        return ipip::send(packet, notes, backend, hop);
    }
    // The backend takes packets to the VIP: nothing changes but the MAC addresses. The stack can't help where that of
    // the backend is not known: the VIP is this node's own address too.
    nat::has_life(packet, &notes.datagram)?;
    let hop = hop.ok_or(Reason::NoNextHop as u8)?;
    next_hop::send(packet, &notes.datagram, hop)
}
