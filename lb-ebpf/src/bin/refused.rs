//! A program that the verifier must refuse: it reads a frame without asking where that ends.
//!
//! `cargo xtask verifier` loads it like all others. If the kernel took it, the figures of the others would mean nothing.
#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use aya_ebpf::{macros::xdp, programs::XdpContext};

/// Answers with the first byte of a frame, which may have none.
#[xdp]
fn refused(context: XdpContext) -> u32 {
    // SAFETY: there is none, which is the point; no kernel runs this.
    unsafe { *(context.data() as *const u8) as u32 }
}
