//! Plain access to the bytes of a frame: what every program of this crate shares. Everything unsafe about packets is here.
//!
//! The verifier admits a read when it saw the same pointer compared with `data_end`. LLVM likes to compute the sum in the
//! comparison and in the read in two different ways, of which the verifier then knows nothing; [`opaque`] makes one value
//! of it. Offsets are masked, so that the verifier has an upper bound for them.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{
        bpf_csum_diff, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
    },
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

/// `value ^ zero`, of which LLVM does not know that it is that: two of these would cancel each other.
#[inline(always)]
pub(crate) fn veil(mut value: u64, zero: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    // SAFETY: changes one register.
    unsafe {
        core::arch::asm!("{0} ^= {1}", inout(reg) value, in(reg) zero, options(pure, nomem, nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        value ^= zero;
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

    /// Cuts the frame to so many bytes. Returns whether it was that long.
    #[inline(always)]
    pub(crate) fn cut(self, bytes: u64) -> bool {
        // SAFETY: as above.
        let there = unsafe { bpf_xdp_get_buff_len(self.ctx) };
        // SAFETY: as above.
        bytes <= there && unsafe { bpf_xdp_adjust_tail(self.ctx, (bytes as i64 - there as i64) as i32) == 0 }
    }

    /// The ones' complement sum of `N` bytes at an offset, added to `sum`; `N` is a multiple of 4, at most 512.
    #[inline(always)]
    pub(crate) fn sum<const N: usize>(self, offset: u64, sum: u32) -> Option<u32> {
        let start = self.at::<[u8; N]>(offset)?;
        // SAFETY: `at` compared all `N` bytes with the end of the frame.
        Some(unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, start.cast(), N as u32, sum) } as u32)
    }

    /// Copies `length` bytes from an offset to the front of `to`: from 1 to `N`, which is a power of two.
    #[inline(always)]
    pub(crate) fn copy<const N: usize>(self, offset: u64, length: u64, to: &mut [u8; N]) -> bool {
        // The verifier wants both bounds in one chain of instructions.
        let length = (opaque(length.wrapping_sub(1)) & (N as u64 - 1)) as u32 + 1;
        // SAFETY: the context is valid, and `to` has room for `length` bytes.
        unsafe {
            bpf_xdp_load_bytes(self.ctx, (offset & OFFSET_MASK) as u32, to.as_mut_ptr().cast(), length) == 0
        }
    }
}
