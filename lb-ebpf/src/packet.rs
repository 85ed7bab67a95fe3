//! A SIP message in a frame: what the scanner reads in the kernel.

use aya_ebpf::bindings::xdp_md;
use lb_common::sip::{
    Message,
    address::Address,
    headers::{Headers, Wanted},
    start_line::StartLine,
    uri::{Form, Uri},
};

use crate::{bytes::OFFSET_MASK, stages};

pub(crate) use crate::bytes::{Packet, opaque};

/// A SIP message in a frame: the kernel's [`Message`].
#[derive(Clone, Copy)]
pub(crate) struct Payload {
    packet: Packet,
    /// Offset of the message in the frame: at least 42, so that the 16 bytes before any offset can be read too.
    base: u64,
    len: u64,
    /// Does the payload go on behind `len`?
    is_cut: bool,
    zero: u64,
}

impl Payload {
    /// Of a payload of `announced` bytes at `base`, of which `len` can be read.
    #[inline(always)]
    pub(crate) fn new(packet: Packet, base: u64, len: u64, announced: u64, zero: u64) -> Self {
        Self { packet, base, len, is_cut: len < announced, zero }
    }

    /// Rebuilds what [`Payload::place`] packed, inside a function of its own.
    #[inline(always)]
    pub(crate) fn unpack(ctx: *mut xdp_md, place: u64, zero: u64) -> Self {
        // No stage asks whether the payload goes on.
        Self { packet: Packet { ctx }, base: place & 0xffff, len: place >> 16, is_cut: false, zero }
    }

    /// Base and length in one argument.
    #[inline(always)]
    fn place(self) -> u64 {
        self.base | self.len << 16
    }
}

impl Message for Payload {
    #[inline(always)]
    fn zero(self) -> u64 {
        self.zero
    }

    #[inline(always)]
    fn len(self) -> u64 {
        self.len
    }

    #[inline(always)]
    fn is_cut(self) -> bool {
        self.is_cut
    }

    #[inline(always)]
    fn word(self, at: u64) -> u64 {
        // Near the end, the word that ends with the message is read and shifted; past it, all is shifted out.
        let end = self.least(at + 8, self.len);
        let over = self.least(at + 8 - end, 8);
        match self.packet.read::<u64>(self.base + at - over) {
            Some(word) => self.hide(word >> (4 * over) >> (4 * over)),
            None => self.zero,
        }
    }

    /// One comparison for all of them, where the message goes on behind them: it nearly always does.
    #[inline(always)]
    fn words<const N: usize>(self, at: u64) -> [u64; N] {
        let mut words = [self.zero; N];
        if at + 8 * N as u64 <= self.len
            && let Some(there) = self.packet.read::<[u64; N]>(self.base + at)
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
        loop {
            #[cfg(target_arch = "bpf")]
            // SAFETY: may_goto leaves the loop or goes on; it touches no register and no memory of ours.
            unsafe {
                core::arch::asm!("may_goto {0}", label { break });
            }
            if at >= self.len {
                break;
            }
            // Each comparison leaves a bound that rises with every turn, and no turn would look like an earlier one.
            at = self.hide(at) & OFFSET_MASK;
            let (low, high) = if at + 16 <= self.len {
                let Some([low, high]) = self.packet.read::<[u64; 2]>(self.base + at) else { break };
                (low, high)
            } else {
                let over = at + 16 - self.len;
                let Some([low, high]) = self.packet.read::<[u64; 2]>(self.base + at - over) else { break };
                shift(low, high, over)
            };
            let step = turn(at, self.hide(low), self.hide(high));
            if step == 0 {
                break;
            }
            at += step;
        }
    }

    #[inline(always)]
    fn start_line(self) -> StartLine {
        StartLine(stages::sip_start_line(self.packet.ctx, self.place(), self.zero))
    }

    #[inline(always)]
    fn uri(self, at: u64, form: Form) -> Uri {
        Uri(stages::sip_uri(self.packet.ctx, self.place(), self.zero, at, form as u64))
    }

    #[inline(always)]
    fn host_end(self, at: u64) -> u64 {
        stages::sip_host_end(self.packet.ctx, self.place(), self.zero, at)
    }

    #[inline(always)]
    fn has_gr(self, at: u64) -> bool {
        stages::sip_has_gr(self.packet.ctx, self.place(), self.zero, at) != 0
    }

    #[inline(always)]
    fn user_hash(self, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
        stages::sip_user_hash(self.packet.ctx, self.place(), self.zero, span(at, end, tail), seed)
    }

    #[inline(always)]
    fn user_hash_long(self, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
        stages::sip_user_hash_long(self.packet.ctx, self.place(), self.zero, span(at, end, tail), seed)
    }

    #[inline(always)]
    fn user_hash_decoded(self, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
        stages::sip_user_hash_decoded(self.packet.ctx, self.place(), self.zero, span(at, end, tail), seed)
    }

    #[inline(always)]
    fn text_hash(self, at: u64, end: u64, seed: u64) -> u64 {
        stages::sip_text_hash(self.packet.ctx, self.place(), self.zero, span(at, end, 0), seed)
    }

    #[inline(always)]
    fn headers(self, from: u64, wanted: Wanted) -> Headers {
        Headers(stages::sip_headers(self.packet.ctx, self.place(), self.zero, from, wanted.0))
    }

    #[inline(always)]
    fn header_value(self, at: u64) -> u64 {
        stages::sip_header_value(self.packet.ctx, self.place(), self.zero, at)
    }

    #[inline(always)]
    fn token_end(self, at: u64) -> u64 {
        stages::sip_token_end(self.packet.ctx, self.place(), self.zero, at)
    }

    #[inline(always)]
    fn address(self, at: u64) -> Address {
        Address(stages::sip_address(self.packet.ctx, self.place(), self.zero, at))
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
