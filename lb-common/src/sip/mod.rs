//! The SIP scanner, one body of code for kernel and host.
//!
//! It reads a message through [`Message`]: words at offsets, and a loop driver. The host's implementation is a slice
//! ([`Bytes`]); the kernel's proves every read to the verifier. Stages are functions from offsets to offsets, in files of
//! their own, in the order in which a message meets them: [`start_line`], [`uri`], [`user`], [`headers`], [`address`], [`via`],
//! [`list`].
//! Each is also a method of [`Message`], so that the kernel can make it a function that is verified once: the bodies
//! below are the only ones.
//!
//! Offsets count from the start of the payload. What a stage finds is packed into one `u64`, which is what a function of
//! a BPF program can return; the types here unpack it. Nothing is copied, nothing fails: what can't be read is a value.

pub mod address;
pub mod headers;
pub mod list;
pub mod start_line;
pub mod uri;
pub mod user;
pub mod via;

use crate::limits::SCAN_LIMIT;
use address::Address;
use headers::{Headers, Wanted};
use start_line::StartLine;
use uri::{Form, Uri};

/// A SIP message that can be scanned.
pub trait Message: Copy {
    /// Zero, which the kernel's verifier can't know to be zero.
    ///
    /// The verifier follows every path, and forks for each value that it knows. [`Message::hide`] makes it forget: it then
    /// meets the same unknown number on all paths and checks what follows once. On the host this is plain 0.
    fn zero(self) -> u64;

    /// How many bytes can be read: the payload, at most [`SCAN_LIMIT`].
    fn len(self) -> u64;

    /// Does the payload go on behind what can be read?
    fn is_cut(self) -> bool;

    /// Eight bytes from `at`, little-endian; 0 in place of those past the end.
    fn word(self, at: u64) -> u64;

    /// `N` words from `at`, as [`Message::word`] reads each.
    #[inline(always)]
    fn words<const N: usize>(self, at: u64) -> [u64; N] {
        let mut words = [0; N];
        let mut i = 0;
        while i < N {
            words[i] = self.word(at + 8 * i as u64);
            i += 1;
        }
        words
    }

    /// Calls `turn(at, words)` with the `N` words at `from`, 0 in place of bytes past the end. Its answer, 1 to `8 * N`, is how
    /// many bytes the next turn steps; 0 ends, as does the end of the message.
    fn windows<const N: usize>(self, from: u64, turn: impl FnMut(u64, [u64; N]) -> u64);

    /// `value`, of which the verifier knows nothing any more.
    #[inline(always)]
    fn hide(self, value: u64) -> u64 {
        value ^ self.zero()
    }

    /// The lesser of two numbers below 2^63, without a comparison, of which the verifier would follow both answers.
    #[inline(always)]
    fn least(self, a: u64, b: u64) -> u64 {
        // Hidden, or LLVM would recognise the comparison in it.
        let is_a = self.hide((a.wrapping_sub(b) as i64 >> 63) as u64);
        b ^ ((a ^ b) & is_a)
    }

    /// Is there nothing to read?
    #[inline(always)]
    fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Stage [`start_line::scan`].
    #[inline(always)]
    fn start_line(self) -> StartLine {
        start_line::scan(self)
    }

    /// Stage [`uri::scan`].
    #[inline(always)]
    fn uri(self, at: u64, form: Form) -> Uri {
        uri::scan(self, at, form)
    }

    /// Stage [`uri::host_end`].
    #[inline(always)]
    fn host_end(self, at: u64) -> u64 {
        uri::host_end(self, at)
    }

    /// Stage [`uri::port`].
    #[inline(always)]
    fn port(self, at: u64, in_via: bool) -> u64 {
        uri::port(self, at, in_via)
    }

    /// Stage [`uri::has_gr`].
    #[inline(always)]
    fn has_gr(self, at: u64) -> bool {
        uri::has_gr(self, at)
    }

    /// Stage [`user::hash`].
    #[inline(always)]
    fn user_hash(self, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
        user::hash(self, at, end, tail, seed)
    }

    /// Stage [`user::plain_length`].
    #[inline(always)]
    fn user_plain_length(self, at: u64, end: u64, tail: u8) -> u64 {
        user::plain_length(self, at, end, tail)
    }

    /// Stage [`user::hash_decoded`], the way of users with escapes and of numbers with separators.
    #[inline(always)]
    fn user_hash_decoded(self, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
        user::hash_decoded(self, at, end, tail, seed)
    }

    /// Stage [`user::hash_text`].
    #[inline(always)]
    fn text_hash(self, at: u64, end: u64, seed: u64) -> u64 {
        user::hash_text(self, at, end, seed)
    }

    /// Stage [`headers::scan`].
    #[inline(always)]
    fn headers(self, from: u64, wanted: Wanted, until: Wanted) -> Headers {
        headers::scan(self, from, wanted, until)
    }

    /// Stage [`headers::value`].
    #[inline(always)]
    fn header_value(self, at: u64) -> u64 {
        headers::value(self, at)
    }

    /// Stage [`headers::token_end`].
    #[inline(always)]
    fn token_end(self, at: u64) -> u64 {
        headers::token_end(self, at)
    }

    /// Stage [`address::scan`].
    #[inline(always)]
    fn address(self, at: u64) -> Address {
        address::scan(self, at)
    }

    /// Stage [`via::sent_by`].
    #[inline(always)]
    fn sent_by(self, at: u64) -> u64 {
        via::sent_by(self, at)
    }

    /// Stage [`list::next_element`].
    #[inline(always)]
    fn next_element(self, at: u64, form: Form) -> u64 {
        list::next_element(self, at, form)
    }
}

/// A message in memory: the host's [`Message`].
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(&'a [u8], bool);

impl<'a> Bytes<'a> {
    /// Of a payload; what lies behind [`SCAN_LIMIT`] is not read.
    pub fn new(payload: &'a [u8]) -> Self {
        let read = payload.len().min(SCAN_LIMIT as usize);
        Self(&payload[..read], read < payload.len())
    }

    /// The text between two offsets; empty where there is none.
    pub fn text(self, at: u64, end: u64) -> &'a [u8] {
        self.0.get(at as usize..end as usize).unwrap_or_default()
    }
}

impl Message for Bytes<'_> {
    fn zero(self) -> u64 {
        0
    }

    fn len(self) -> u64 {
        self.0.len() as u64
    }

    fn is_cut(self) -> bool {
        self.1
    }

    fn word(self, at: u64) -> u64 {
        let rest = self.0.get(at as usize..).unwrap_or_default();
        let mut word = [0; 8];
        let there = rest.len().min(8);
        word[..there].copy_from_slice(&rest[..there]);
        u64::from_le_bytes(word)
    }

    fn windows<const N: usize>(self, from: u64, mut turn: impl FnMut(u64, [u64; N]) -> u64) {
        let mut at = from;
        while at < self.len() {
            let step = turn(at, self.words(at));
            if step == 0 {
                break;
            }
            at += step;
        }
    }
}
