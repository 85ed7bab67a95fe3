//! stub
#![no_std]
#![no_main]
use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
/// stub
#[xdp]
pub fn siplb(_ctx: XdpContext) -> u32 { xdp_action::XDP_PASS }
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! { loop {} }
