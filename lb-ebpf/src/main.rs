//! The XDP program of siplb. It reads in the order in which a packet meets it:
//!
//! `frame -> eth/vlan -> ip -> udp -> vip -> sip -> key -> slot -> group -> backend -> rewrite -> account -> verdict`,
//! and on the way back
//! `frame -> eth/vlan -> ip -> udp -> backend socket -> rewrite -> account -> verdict`.
//!
//! What is neither to a VIP nor from a backend's SIP socket pays for its headers and for two bits of a bitmap.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![no_std]
#![no_main]

mod account;
mod deliver;
mod frame;
mod maps;
mod packet;
mod program;
mod reply;
mod stages;
mod state;
mod vip;

use account::{Outcome, account};
use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use lb_common::{decide::decide, layout::Ports, reason::Reason};
use packet::Packet;
use state::State;

/// Balances one frame.
#[xdp(frags)]
pub fn siplb(context: XdpContext) -> u32 {
    let packet = Packet { ctx: context.ctx };
    let Some(state) = State::live() else { return xdp_action::XDP_PASS };
    let bytes = packet.linear_bytes();
    let outcome = balance(packet, &state);
    account(bytes, &outcome)
}

/// What becomes of a frame.
#[inline(always)]
fn balance(packet: Packet, state: &State) -> Outcome {
    let datagram = match frame::parse(packet, state.zero) {
        Ok(datagram) => datagram,
        Err(reason) => return Outcome::new(reason),
    };
    let Some(ports) = state.ports() else { return Outcome::new(Reason::Foreign as u8) };
    if Ports::has(&ports.vips, datagram.destination_port)
        && let Some(vip) = state.vip(datagram.destination, datagram.destination_port)
    {
        return vip::to_vip(packet, state, &datagram, vip, decide);
    }
    if Ports::has(&ports.backends, datagram.source_port)
        && let Some(socket) = state.socket(datagram.source, datagram.source_port)
    {
        return reply::from_backend(packet, state, &datagram, socket);
    }
    Outcome::new(Reason::Foreign as u8)
}

