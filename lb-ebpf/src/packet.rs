//! A SIP message in a frame: what the scanner reads in the kernel.

use aya_ebpf::bindings::xdp_md;
use lb_common::sip::{
    Message,
    address::Address,
    headers::{Headers, Wanted},
    start_line::StartLine,
    uri::{Form, Uri},
};

use crate::{
    bytes::{OFFSET_MASK, veil},
    stages,
    turns::turns,
};

pub(crate) use crate::bytes::{Packet, opaque};

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
    fn windows<const N: usize>(self, from: u64, mut turn: impl FnMut(u64, [u64; N]) -> u64) {
        let mut at = self.hide(from);
        turns(
            #[inline(always)]
            move || {
                if at >= self.len() {
                    return 0;
                }
                // Each comparison leaves a bound that rises with every turn, and no turn would look like an earlier one.
                at = self.hide(at) & OFFSET_MASK;
                let step = turn(at, self.words(at));
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
