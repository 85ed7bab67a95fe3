//! The way of a frame through the program, in the order in which a packet meets it; ARCHITECTURE.md draws it.

use crate::{
    account::{Outcome, account},
    fragments,
    frame::{self, Part},
    icmp,
    notes::Notes,
    packet::Packet,
    reply,
    state::State,
    vip,
};
use aya_ebpf::bindings::xdp_action;
use lb_common::{
    layout::{Ports, Vip},
    reason::Reason,
};

/// Balances one frame, lets `judge` decide about what is to a VIP, and returns the XDP return code.
#[inline(always)]
pub(crate) fn balance(packet: Packet, judge: impl Fn(Packet, &mut Notes, &Vip)) -> u32 {
    let (Some(state), Some(notes)) = (State::live(), Notes::of_this_cpu()) else {
        return xdp_action::XDP_PASS;
    };
    (notes.generation, notes.zero) = (state.generation as u64, state.zero);
    let bytes = packet.linear_bytes();
    let outcome = match frame::parse(packet, notes) {
        Ok(()) => outcome(packet, &state, notes, judge),
        Err(reason) => Outcome::new(reason),
    };
    account(bytes, outcome)
}

/// What becomes of a datagram. What is neither to a VIP nor from a backend's SIP socket pays for its headers and for two
/// bits of a bitmap.
#[inline(always)]
fn outcome(
    packet: Packet,
    state: &State,
    notes: &mut Notes,
    judge: impl Fn(Packet, &mut Notes, &Vip),
) -> Outcome {
    let datagram = &notes.datagram;
    if datagram.part >= Part::Later as u64 {
        return if datagram.is(Part::Icmp) {
            icmp::from_anybody(packet, state, notes)
        } else {
            fragments::follow(packet, notes)
        };
    }
    let Some(ports) = state.ports() else { return Outcome::new(Reason::Foreign as u8) };
    if Ports::has(&ports.vips, datagram.destination_port)
        && let Some(vip) = state.vip(datagram.destination, datagram.destination_port)
    {
        return vip::to_vip(packet, state, notes, vip, judge);
    }
    if Ports::has(&ports.backends, datagram.source_port)
        && let Some(socket) = state.socket(datagram.source, datagram.source_port)
    {
        return reply::from_backend(packet, notes, socket);
    }
    Outcome::new(Reason::Foreign as u8)
}
