//! The one loop of the scanner: `Payload::windows` calls it, and each of its turns takes a window.
//!
//! The verifier has to be shown that a loop ends. Two ways to do so are built from the same text, one for each of two
//! objects, and user space loads the one that the kernel takes (`lb-user/src/datapath/object.rs`):
//!
//! - `may_goto`, an instruction (Linux 6.9);
//! - `bpf_loop`, a helper that calls a function again and again (Linux 5.17), with the feature `bpf-loop`. Slower: what the
//!   turns share lies on the stack, and not in registers.
//!
//! What a closure may and may not do so that both take it: docs/adr/0001-one-scanner.md.

/// Calls `turn` until it answers 0.
#[cfg(not(feature = "bpf-loop"))]
#[inline(always)]
pub(crate) fn turns(mut turn: impl FnMut() -> u64) {
    loop {
        #[cfg(target_arch = "bpf")]
        // SAFETY: may_goto leaves the loop or goes on; it touches no register and no memory of ours.
        unsafe {
            core::arch::asm!("may_goto {0}", label { break });
        }
        if turn() == 0 {
            break;
        }
    }
}

/// Calls `turn` until it answers 0.
#[cfg(feature = "bpf-loop")]
#[inline(always)]
pub(crate) fn turns<T: FnMut() -> u64>(mut turn: T) {
    use crate::packet::opaque;
    use aya_ebpf::helpers::generated::bpf_loop;
    use core::ffi::c_void;

    /// More than the turns of any scan: each steps by a byte at least, and no message that is read is longer.
    const MOST: u32 = 4_096;
    const { assert!(MOST as u64 >= lb_common::limits::SCAN_LIMIT) };

    /// What the kernel calls: 0 goes on, 1 ends.
    extern "C" fn one<T: FnMut() -> u64>(_: u32, turn: *mut c_void) -> u64 {
        // SAFETY: the pointer is the one that is handed over below, to a `T` that outlives the loop and that nobody else uses
        // meanwhile.
        let turn = unsafe { &mut *turn.cast::<T>() };
        // Opaque, or LLVM makes `step == 0` of a hidden step a question about the zero that hides it, whose value the verifier
        // would then know.
        if opaque(turn()) == 0 { 1 } else { 0 }
    }

    let state: *mut T = &mut turn;
    // SAFETY: the function takes what the helper gives it, and `state` is a `T` of its own, alive until the helper returns.
    unsafe { bpf_loop(MOST, one::<T> as *mut c_void, state.cast(), 0) };
}
