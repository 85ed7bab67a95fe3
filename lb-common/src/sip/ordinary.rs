//! The ordinary ways to write things, each in a straight line: no loop, no call, a few words that are read once.
//!
//! Nearly every message is written in these ways, and in the kernel a call costs as much as twenty comparisons do. What is
//! written in any other way is nothing here ([`None`]), and goes through the stages, which know all ways. Whatever is found
//! here, the stages find too: property tests hold the two to one result. All of it, with the byte behind it, lies within
//! the message, so that nothing that is found here was cut short.

use super::{
    Message,
    uri::{NOT_A_PORT, SIP, Uri, number},
    user,
};
use crate::{
    hash::short_key_hash,
    swar::{below, equal, first_of_some, high, keep_before, lower, splat},
};

/// A canonical user, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The URI that it is in.
    pub uri: Uri,
    /// Its key hash.
    pub hash: u64,
}

/// A host: [`host`] finds ordinary ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Host {
    /// Offset behind it.
    pub end: u64,
    /// Its key hash.
    pub hash: u64,
}

/// The canonical user in the Request-URI at `at`: of a `sip` URI without a password, parameters, escapes and separators, and
/// shorter than three words.
#[inline(always)]
pub fn request_user<M: Message>(message: M, at: u64, tail: u8, seed: u64) -> Option<User> {
    let [word] = message.whole(at)?;
    if is_sip(word) { user(message, at + 4, tail, seed) } else { None }
}

/// The same in the To, From or Route whose name ends at `at`: `: <sip:user@`, `: Name <sip:user@` or `: "Name" <sip:user@`
/// with a name shorter than three words.
#[inline(always)]
pub fn address_user<M: Message>(message: M, at: u64, tail: u8, seed: u64) -> Option<User> {
    let at = address(message, at)?;
    user(message, at, tail, seed)
}

/// From behind the name of a To, From or Route, over the colon, a name and `<sip:`, to what stands behind.
#[inline(always)]
pub fn address<M: Message>(message: M, at: u64) -> Option<u64> {
    let [word] = message.whole(at)?;
    if byte(word, 0) != b':' as u64 {
        return None;
    }
    let blank = (byte(word, 1) == b' ' as u64) as u64;
    let value = message.hide(at + 1 + blank);
    let word = message.hide(word >> 8 >> (8 * blank));
    if is_open(word) {
        return Some(value + 5);
    }
    if byte(word, 0) <= b' ' as u64 {
        return None;
    }
    let is_quoted = (byte(word, 0) == b'"' as u64) as u64;
    let name = message.hide(value + is_quoted);
    // What ends a name, and what means something in either kind of name: those with any of it are left to the stages.
    let text = text(message, name, |word| {
        let ends = equal(word, b'"') | equal(word, b'<') | equal(word, b':');
        ends | below(word, b' ') | equal(word, b'\\')
    })?;
    let end = message.hide(name + text.length);
    let [word] = message.whole(end)?;
    let closed = is_quoted & (byte(word, 0) == b'"' as u64) as u64;
    if closed != is_quoted {
        return None;
    }
    let word = word >> (8 * closed);
    let blank = closed & (byte(word, 0) == b' ' as u64) as u64;
    if is_open(word >> (8 * blank)) { Some(message.hide(end + closed + blank + 5)) } else { None }
}

/// Has the URI, whose scheme ends at `at`, no user? Only for one that ends with its bracket within eight words.
#[inline(always)]
pub fn is_userless<M: Message>(message: M, at: u64) -> bool {
    let Some(words) = message.whole::<8>(at) else { return false };
    let mut i = 0;
    while i < 8 {
        let word = words[i];
        let marks = equal(word, b'@') | equal(word, b'>') | below(word, b'!');
        if marks != 0 {
            return byte(word, first_of_some(marks)) == b'>' as u64;
        }
        i += 1;
    }
    false
}

/// From behind the name of a Via to the sent-by: over `: SIP/2.0/UDP `.
#[inline(always)]
pub fn sent_by<M: Message>(message: M, at: u64) -> Option<u64> {
    const VIA: [u64; 2] = [u64::from_le_bytes(*b": sip/2."), u64::from_le_bytes(*b"0/udp \0\0") << 16];
    let [low, high] = message.whole(at)?;
    let is_udp = low | 0x20_2020_0000 == VIA[0] && (high | 0x20_2020_0000) << 16 == VIA[1];
    if is_udp && byte(high, 6) > b' ' as u64 { Some(at + 14) } else { None }
}

/// The host at `at`, without a dot at its end, shorter than three words; no IPv6 reference.
#[inline(always)]
pub fn host<M: Message>(message: M, at: u64, seed: u64) -> Option<Host> {
    const ENDS: u64 = 1 << b':' | 1 << b';' | 1 << b'>' | 1 << b' ' | 1 << b'\r';
    // More than what ends a host: what else is no part of one ends the look at it.
    let text = text(message, at, |word| {
        // `Y` and `_` are taken for brackets: these four differ in two bits.
        below(word, b'-') | above_digits(word) | high(word) | equal(word & !splat(6), b'Y')
    })?;
    if text.length == 0 || text.stop > 63 || (ENDS >> text.stop) & 1 == 0 {
        return None;
    }
    let end = message.hide(at + text.length);
    let [last] = message.whole(end - 1)?;
    if byte(last, 0) == b'.' as u64 {
        return None;
    }
    Some(Host { end, hash: text.hash(seed) })
}

/// The port behind the host of a Via that ends at `at`, as [`super::uri::port`] has it.
#[inline(always)]
pub fn via_port<M: Message>(message: M, at: u64) -> Option<u64> {
    let [word] = message.whole(at)?;
    if byte(word, 0) == b';' as u64 {
        return Some(0);
    }
    let port = number(word >> 8);
    if byte(word, 0) == b':' as u64 && port != NOT_A_PORT { Some(port) } else { None }
}

/// The canonical user that begins at `at` and ends with an `@`.
#[inline(always)]
fn user<M: Message>(message: M, at: u64, tail: u8, seed: u64) -> Option<User> {
    // What ends a user part, what is cut off it and what is decoded, and some that are rare.
    let text = text(message, at, |word| below(word, b'+') | above_digits(word) | high(word))?;
    if text.length == 0 || text.stop != b'@' as u64 {
        return None;
    }
    let hash = user::hash_of(text.words, text.length, tail, seed);
    if hash == user::NOT_SO {
        return None;
    }
    let end = message.hide(at + text.length);
    Some(User { uri: Uri::of_user(at, end), hash })
}

/// Marks `:;<=>?@`, the bytes between the digits and the letters.
#[inline(always)]
const fn above_digits(word: u64) -> u64 {
    let low = word & splat(0x7f);
    (low + splat(0x80 - b':')) & !(low + splat(0x7f - b'@')) & splat(0x80)
}

/// Does the word begin with `sip:`?
#[inline(always)]
const fn is_sip(word: u64) -> bool {
    (word | 0x20_2020) & 0xffff_ffff == SIP
}

/// Does the word begin with `<sip:`?
#[inline(always)]
const fn is_open(word: u64) -> bool {
    byte(word, 0) == b'<' as u64 && is_sip(word >> 8)
}

#[inline(always)]
const fn byte(word: u64, index: u64) -> u64 {
    (word >> (8 * index)) & 0xff
}

/// A text of less than three words: NUL-filled, and the byte that ends it.
struct Text {
    words: [u64; 3],
    length: u64,
    stop: u64,
}

impl Text {
    #[inline(always)]
    fn hash(&self, seed: u64) -> u64 {
        short_key_hash(self.words.map(lower), (self.length + 7) >> 3, seed)
    }
}

/// The text from `at` to the first byte that is marked.
#[inline(always)]
fn text<M: Message>(message: M, at: u64, stops: impl Fn(u64) -> u64) -> Option<Text> {
    let [a, b, c] = message.whole(at)?;
    // One branch for each length in words: what is not there is not looked at.
    let marks = stops(a);
    if marks != 0 {
        return Some(ended(message, [keep_before(a, marks), 0, 0], 0, a, marks));
    }
    let marks = stops(b);
    if marks != 0 {
        return Some(ended(message, [a, keep_before(b, marks), 0], 8, b, marks));
    }
    let marks = stops(c);
    if marks != 0 { Some(ended(message, [a, b, keep_before(c, marks)], 16, c, marks)) } else { None }
}

/// A text that ends within `last`, in front of which there are `before` bytes of it.
#[inline(always)]
fn ended<M: Message>(message: M, words: [u64; 3], before: u64, last: u64, marks: u64) -> Text {
    let index = first_of_some(marks);
    let [a, b, c] = words;
    Text {
        words: [message.hide(a), message.hide(b), message.hide(c)],
        length: message.hide(before + index),
        stop: message.hide(byte(last, index)),
    }
}

#[cfg(test)]
mod tests;
