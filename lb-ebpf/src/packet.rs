//! All access to packet bytes. Everything unsafe about packets is in this file.
//!
//! The verifier admits a read when it saw the same pointer compared with `data_end`. LLVM likes to compute the sum in the
//! comparison and in the read in two different ways, of which the verifier then knows nothing; [`opaque`] makes one value
//! of it. Offsets are masked, so that the verifier has an upper bound for them.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_csum_diff, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
};
use core::mem::size_of;
use lb_common::sip::{
    Message,
    address::Address,
    headers::{Headers, Wanted},
    start_line::StartLine,
    uri::{Form, Uri},
};

use crate::{stages, turns::turns};

/// Mask of every offset into a frame: the linear part of an XDP frame is shorter than a page.
const OFFSET_MASK: u64 = 4095;

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
fn veil(mut value: u64, zero: u64) -> u64 {
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
        unsafe { bpf_xdp_load_bytes(self.ctx, (offset & OFFSET_MASK) as u32, to.as_mut_ptr().cast(), length) == 0 }
    }
}

/// A SIP message in a frame: the kernel's [`Message`]. Three words, for each loop has it on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Payload {
    packet: Packet,
    /// Offset of the message in the frame (bits 0 to 15), how many bytes of it can be read (16 to 31), and whether it goes on
    /// behind them (32). The offset is at least 42, so that the 16 bytes before any offset can be read too.
    place: u64,
    zero: u64,
}

impl Payload {
    /// Of a payload of `announced` bytes at `base`, of which `len` can be read.
    #[inline(always)]
    pub(crate) fn new(packet: Packet, base: u64, len: u64, announced: u64, zero: u64) -> Self {
        let is_cut = len < announced;
        Self { packet, place: base | len << 16 | (is_cut as u64) << 32, zero }
    }

    /// The same inside a function of its own, from its arguments.
    #[inline(always)]
    pub(crate) fn unpack(ctx: *mut xdp_md, place: u64, zero: u64) -> Self {
        Self { packet: Packet { ctx }, place, zero }
    }

    #[inline(always)]
    fn base(self) -> u64 {
        self.place & 0xffff
    }
}

impl Message for Payload {
    /// Not the same number every time, for all that the verifier knows: what it learns of one would tell it of the others.
    #[inline(always)]
    fn zero(self) -> u64 {
        self.hide(0)
    }

    #[inline(always)]
    fn hide(self, value: u64) -> u64 {
        veil(value, self.zero)
    }

    #[inline(always)]
    fn len(self) -> u64 {
        self.place >> 16 & 0xffff
    }

    #[inline(always)]
    fn is_cut(self) -> bool {
        self.place >> 32 & 1 != 0
    }

    #[inline(always)]
    fn word(self, at: u64) -> u64 {
        // Near the end, the word that ends with the message is read and shifted; past it, all is shifted out.
        let end = self.least(at + 8, self.len());
        let over = self.least(at + 8 - end, 8);
        match self.packet.read::<u64>(self.base() + at - over) {
            Some(word) => self.hide(word >> (4 * over) >> (4 * over)),
            None => self.zero,
        }
    }

    /// One comparison for all of them, where the message goes on behind them: it nearly always does.
    #[inline(always)]
    fn words<const N: usize>(self, at: u64) -> [u64; N] {
        let mut words = [self.zero; N];
        if at + 8 * N as u64 <= self.len()
            && let Some(there) = self.packet.read::<[u64; N]>(self.base() + at)
        {
            words = there;
        } else {
            let mut i = 0;
            while i < N {
                words[i] = self.word(at + 8 * i as u64);
                i += 1;
            }
        }
        let mut i = 0;
        while i < N {
            words[i] = self.hide(words[i]);
            i += 1;
        }
        words
    }

    #[inline(always)]
    fn windows(self, from: u64, mut turn: impl FnMut(u64, u64, u64) -> u64) {
        let mut at = self.hide(from);
        turns(
            #[inline(always)]
            move || {
                if at >= self.len() {
                    return 0;
                }
                // Each comparison leaves a bound that rises with every turn, and no turn would look like an earlier one.
                at = self.hide(at) & OFFSET_MASK;
                let (low, high) = if at + 16 <= self.len() {
                    let Some([low, high]) = self.packet.read::<[u64; 2]>(self.base() + at) else { return 0 };
                    (low, high)
                } else {
                    let over = at + 16 - self.len();
                    let Some([low, high]) = self.packet.read::<[u64; 2]>(self.base() + at - over) else {
                        return 0;
                    };
                    shift(low, high, over)
                };
                let step = turn(at, self.hide(low), self.hide(high));
                at = self.hide(at + step);
                step
            },
        );
    }

    #[inline(always)]
    fn start_line(self) -> StartLine {
        StartLine(stages::sip_start_line(self.packet.ctx, self.place, self.zero))
    }

    #[inline(always)]
    fn uri(self, at: u64, form: Form) -> Uri {
        Uri(stages::sip_uri(self.packet.ctx, self.place, self.zero, at, form as u64))
    }

    #[inline(always)]
    fn host_end(self, at: u64) -> u64 {
        stages::sip_host_end(self.packet.ctx, self.place, self.zero, at)
    }

    #[inline(always)]
    fn port(self, at: u64, in_via: bool) -> u64 {
        stages::sip_port(self.packet.ctx, self.place, self.zero, at, in_via as u64)
    }

    #[inline(always)]
    fn has_gr(self, at: u64) -> bool {
        stages::sip_has_gr(self.packet.ctx, self.place, self.zero, at) != 0
    }

    #[inline(always)]
    fn user_hash(self, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
        stages::sip_user_hash(self.packet.ctx, self.place, self.zero, span(at, end, tail), seed)
    }

    #[inline(always)]
    fn user_plain_length(self, at: u64, end: u64, tail: u8) -> u64 {
        stages::sip_user_plain_length(self.packet.ctx, self.place, self.zero, span(at, end, tail))
    }

    #[inline(always)]
    fn user_hash_decoded(self, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
        stages::sip_user_decode(self.packet.ctx, self.place, self.zero, span(at, end, tail));
        stages::sip_user_decoded_hash(seed)
    }

    #[inline(always)]
    fn text_hash(self, at: u64, end: u64, seed: u64) -> u64 {
        stages::sip_text_hash(self.packet.ctx, self.place, self.zero, span(at, end, 0), seed)
    }

    #[inline(always)]
    fn headers(self, from: u64, wanted: Wanted, until: Wanted) -> Headers {
        let sets = wanted.0 | until.0 << 8;
        Headers(stages::sip_headers(self.packet.ctx, self.place, self.zero, from, sets))
    }

    #[inline(always)]
    fn header_value(self, at: u64) -> u64 {
        stages::sip_header_value(self.packet.ctx, self.place, self.zero, at)
    }

    #[inline(always)]
    fn token_end(self, at: u64) -> u64 {
        stages::sip_token_end(self.packet.ctx, self.place, self.zero, at)
    }

    #[inline(always)]
    fn address(self, at: u64) -> Address {
        Address(stages::sip_address(self.packet.ctx, self.place, self.zero, at))
    }

    #[inline(always)]
    fn sent_by(self, at: u64) -> u64 {
        stages::sip_sent_by(self.packet.ctx, self.place, self.zero, at)
    }

    #[inline(always)]
    fn next_element(self, at: u64, form: Form) -> u64 {
        stages::sip_next_element(self.packet.ctx, self.place, self.zero, at, form as u64)
    }
}

/// Two offsets and a small number in one argument.
#[inline(always)]
fn span(at: u64, end: u64, tail: u8) -> u64 {
    at | end << 16 | (tail as u64) << 32
}

/// Shifts sixteen bytes down by `bytes`, 1 to 15.
#[inline(always)]
fn shift(low: u64, high: u64, bytes: u64) -> (u64, u64) {
    let bits = 8 * (bytes & 7);
    let (low, high) = if bytes >= 8 { (high, 0) } else { (low, high) };
    // Two shifts, since one by 64 is not defined.
    ((low >> bits) | (high << (63 - bits) << 1), high >> bits)
}
