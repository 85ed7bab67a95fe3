//! What every BPF program of this crate must carry.

/// The kernel lets GPL-compatible programs alone use the helpers we need.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// A panic that could be reached is an endless loop, which the verifier refuses: none can be reached.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
