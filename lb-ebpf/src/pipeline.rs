//! The way of a frame through the program, in the order in which a packet meets it; ARCHITECTURE.md draws it.

use crate::{
    account::{Outcome, account},
    frame::{self, Datagram},
    packet::Packet,
    reply,
    state::State,
    vip,
};
use aya_ebpf::bindings::xdp_action;
use lb_common::{decide::decide, layout::Ports, reason::Reason};

/// Balances one frame and returns the XDP return code.
#[inline(always)]
pub(crate) fn balance(packet: Packet) -> u32 {
    let Some(state) = State::live() else { return xdp_action::XDP_PASS };
    let bytes = packet.linear_bytes();
    frame::parse(
        packet,
        state.zero,
        #[inline(always)]
        |datagram| match datagram {
            Ok(datagram) => account(bytes, outcome(packet, &state, &datagram)),
            Err(reason) => account(bytes, Outcome::new(reason)),
        },
    )
}

/// What becomes of a datagram. What is neither to a VIP nor from a backend's SIP socket pays for its headers and for two
/// bits of a bitmap.
#[expect(
    clippy::redundant_closure,
    reason = "a function passed by its name would be called, on a stack of its own"
)]
#[inline(always)]
fn outcome(packet: Packet, state: &State, datagram: &Datagram) -> Outcome {
    let Some(ports) = state.ports() else { return Outcome::new(Reason::Foreign as u8) };
    if Ports::has(&ports.vips, datagram.destination_port)
        && let Some(vip) = state.vip(datagram.destination, datagram.destination_port)
    {
        return vip::to_vip(
            packet,
            state,
            datagram,
            vip,
            #[inline(always)]
            |payload, rules, source| decide(payload, rules, source),
        );
    }
    if Ports::has(&ports.backends, datagram.source_port)
        && let Some(socket) = state.socket(datagram.source, datagram.source_port)
    {
        return reply::from_backend(packet, state, datagram, socket);
    }
    Outcome::new(Reason::Foreign as u8)
}
