//! What `cargo xtask bench datapath` compares the program with: how little a packet could cost.
//!
//! `l4` is a plain layer 4 balancer, made of the program's own parts but for SIP: a hash of addresses and ports takes the
//! place of the scanner. So the difference between the two is what SIP costs, and nothing else.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![no_std]
#![no_main]
#![expect(dead_code, unused_imports, reason = "the program's modules, of which a baseline uses parts")]

#[path = "../account.rs"]
mod account;
#[path = "../deliver/mod.rs"]
mod deliver;
#[path = "../frame.rs"]
mod frame;
#[path = "../maps.rs"]
mod maps;
#[path = "../packet.rs"]
mod packet;
#[path = "../program.rs"]
mod program;
#[path = "../stages.rs"]
mod stages;
#[path = "../state.rs"]
mod state;
#[path = "../vip.rs"]
mod vip;

use account::{Outcome, account};
use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use lb_common::{
    decide::{Decision, Key},
    hash::{WORDS, key_hash},
    layout::{KeySource, Ports},
    reason::Reason,
    sip::start_line::StartLine,
};
use packet::Packet;
use state::State;

/// Nothing at all: what a test run costs by itself.
#[xdp(frags)]
fn empty(_: XdpContext) -> u32 {
    xdp_action::XDP_TX
}

/// The least that sends a frame back: the MAC addresses change places.
#[xdp(frags)]
fn swap(context: XdpContext) -> u32 {
    let packet = Packet { ctx: context.ctx };
    let Some([a, b, c]) = packet.read::<[u32; 3]>(0) else { return xdp_action::XDP_PASS };
    packet.write(0, [b >> 16 | c << 16, c >> 16 | a << 16, a >> 16 | b << 16]);
    xdp_action::XDP_TX
}

/// A header parse: what no balancer can do without.
#[xdp(frags)]
fn parse(context: XdpContext) -> u32 {
    let packet = Packet { ctx: context.ctx };
    let Some(state) = State::live() else { return xdp_action::XDP_PASS };
    match frame::parse(packet, state.zero) {
        Ok(datagram) => datagram.destination_port.0 as u32 & 1,
        Err(_) => xdp_action::XDP_PASS,
    }
}

/// A plain layer 4 balancer.
#[xdp(frags)]
fn l4(context: XdpContext) -> u32 {
    let packet = Packet { ctx: context.ctx };
    let Some(state) = State::live() else { return xdp_action::XDP_PASS };
    let bytes = packet.linear_bytes();
    account(bytes, &balance(packet, &state))
}

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
        return vip::to_vip(packet, state, &datagram, vip, |_, rules, source| {
            let mut words = [0; WORDS];
            words[0] = source.address.words[3] as u64 | (datagram.destination.words[3] as u64) << 32;
            words[1] = source.port.0 as u64 | (datagram.destination_port.0 as u64) << 16;
            let hash = key_hash(&words, 2, rules.seed);
            let key = Key { source: KeySource::Source, hash, at: 0, end: 0 };
            Decision { reason: Reason::Forwarded, key, start: StartLine(0) }
        });
    }
    Outcome::new(Reason::Foreign as u8)
}
