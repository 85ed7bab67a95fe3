//! The way of a frame through the program, in the order in which a packet meets it; ARCHITECTURE.md draws it.

use crate::{
    account::{Outcome, account},
    frame::{self, Datagram},
    packet::{Packet, Payload},
    reply,
    state::State,
    vip,
};
use aya_ebpf::bindings::xdp_action;
use lb_common::{
    decide::Decision,
    layout::{Ports, Rules},
    reason::Reason,
};

/// Balances one frame, lets `judge` decide about what is to a VIP, and returns the XDP return code.
#[inline(always)]
pub(crate) fn balance(packet: Packet, judge: impl Fn(Payload, &Rules, &Datagram) -> Decision + Copy) -> u32 {
    let Some(state) = State::live() else { return xdp_action::XDP_PASS };
    let bytes = packet.linear_bytes();
    frame::parse(
        packet,
        state.zero,
        #[inline(always)]
        |datagram| match datagram {
            Ok(datagram) => account(bytes, outcome(packet, &state, &datagram, judge)),
            Err(reason) => account(bytes, Outcome::new(reason)),
        },
    )
}

/// What becomes of a datagram. What is neither to a VIP nor from a backend's SIP socket pays for its headers and for two
/// bits of a bitmap.
#[inline(always)]
fn outcome(
    packet: Packet,
    state: &State,
    datagram: &Datagram,
    judge: impl Fn(Payload, &Rules, &Datagram) -> Decision + Copy,
) -> Outcome {
    let Some(ports) = state.ports() else { return Outcome::new(Reason::Foreign as u8) };
    if Ports::has(&ports.vips, datagram.destination_port)
        && let Some(vip) = state.vip(datagram.destination, datagram.destination_port)
    {
        return vip::to_vip(packet, state, datagram, vip, judge);
    }
    if Ports::has(&ports.backends, datagram.source_port)
        && let Some(socket) = state.socket(datagram.source, datagram.source_port)
    {
        return reply::from_backend(packet, state, datagram, socket);
    }
    Outcome::new(Reason::Foreign as u8)
}
