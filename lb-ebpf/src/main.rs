//! The XDP program of siplb. [`pipeline`] reads in the order in which a packet meets it:
//!
//! `frame -> eth/vlan -> ip -> udp -> vip -> sip -> key -> slot -> group -> backend -> rewrite -> account -> verdict`,
//! and on the way back
//! `frame -> eth/vlan -> ip -> udp -> backend socket -> rewrite -> account -> verdict`.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![no_std]
#![no_main]

mod account;
mod at_vip;
mod bytes;
mod change;
mod deliver;
mod fragments;
mod frame;
mod icmp;
mod limiter;
mod maps;
mod notes;
mod packet;
mod pipeline;
mod program;
mod reply;
mod stages;
mod state;
mod trace;
mod turns;
mod unnamed;
mod vip;

use aya_ebpf::{macros::xdp, programs::XdpContext};

/// Balances one frame.
#[xdp(frags)]
fn siplb(context: XdpContext) -> u32 {
    let action = pipeline::balance(packet::Packet { ctx: context.ctx }, at_vip::judge);
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(&context, "XDP return code {}", action);
    action
}
