//! Plain access to the bytes of a frame: what every program of this crate shares. Everything unsafe about packets is here.
//!
//! The verifier admits a read when it saw the same pointer compared with `data_end`. LLVM likes to compute the sum in the
//! comparison and in the read in two different ways, of which the verifier then knows nothing; [`opaque`] makes one value
//! of it. Offsets are masked, so that the verifier has an upper bound for them.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_get_buff_len},
};
use core::mem::size_of;

/// Mask of every offset into a frame: the linear part of an XDP frame is shorter than a page.
pub(crate) const OFFSET_MASK: u64 = 4095;

/// The same value, of which LLVM does not know where it came from. It has to be an instruction: empty assembly would put
/// two line entries on one instruction, which the kernel refuses.
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    // SAFETY: moves a register to itself.
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        value = core::hint::black_box(value);
    }
    value
}

/// A frame.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) ctx: *mut xdp_md,
}

impl Packet {
    /// Address of the first byte.
    #[inline(always)]
    fn data(self) -> u64 {
        // SAFETY: the kernel hands the program a valid context.
        unsafe { (*self.ctx).data as u64 }
    }

    /// Address behind the last byte of the linear part.
    #[inline(always)]
    fn data_end(self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.ctx).data_end as u64 }
    }

    /// Bytes in the linear part.
    #[inline(always)]
    pub(crate) fn linear_bytes(self) -> u64 {
        opaque(self.data_end() - self.data())
    }

    /// Does the frame go on outside its linear part?
    #[inline(always)]
    pub(crate) fn has_fragments(self) -> bool {
        // SAFETY: as above.
        unsafe { bpf_xdp_get_buff_len(self.ctx) > self.linear_bytes() }
    }

    /// Interface that the frame came in by.
    #[inline(always)]
    pub(crate) fn ingress(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.ctx).ingress_ifindex }
    }

    /// A pointer to a `T` at an offset, if the frame holds one there.
    #[inline(always)]
    pub(crate) fn at<T>(self, offset: u64) -> Option<*mut T> {
        let start = opaque(self.data() + (offset & OFFSET_MASK));
        if start + size_of::<T>() as u64 > self.data_end() { None } else { Some(start as *mut T) }
    }

    /// Reads a `T` at an offset, if the frame holds one there.
    #[inline(always)]
    pub(crate) fn read<T: Copy>(self, offset: u64) -> Option<T> {
        // SAFETY: `at` compared the whole `T` with the end of the frame; the kernel targets allow unaligned reads.
        self.at::<T>(offset).map(|pointer| unsafe { pointer.read_unaligned() })
    }

    /// Writes a `T` at an offset, if the frame has room for one there. Returns whether it had.
    #[inline(always)]
    pub(crate) fn write<T: Copy>(self, offset: u64, value: T) -> bool {
        let Some(pointer) = self.at::<T>(offset) else { return false };
        // SAFETY: as for `read`.
        unsafe { pointer.write_unaligned(value) };
        true
    }

    /// Moves the beginning of the frame forward by `bytes` (or back, if negative). Returns whether there was room.
    #[inline(always)]
    pub(crate) fn grow_head(self, bytes: i32) -> bool {
        // SAFETY: the context is valid; every later access compares with the new bounds.
        unsafe { bpf_xdp_adjust_head(self.ctx, -bytes) == 0 }
    }
}
