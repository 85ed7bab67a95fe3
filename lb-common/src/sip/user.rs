//! Stage three: the canonical user, and its hash.
//!
//! A user part is cut at its first `:` (a password) and at its first `;` (parameters); then percent-escapes are decoded
//! once, and what they give is never cut again; then, if what is left is a telephone number - an optional `+`, at least one
//! digit, and visual separators `-.()` (RFC 3966 section 5.1.1) - the separators go. No user is left: the hash is 0.
//!
//! The key must never be finer than a server's own idea of one user: merging two users costs balance, splitting one costs
//! calls. So the hash takes letters without case, and a user longer than [`KEY_LIMIT`] bytes counts by the first ones.
//!
//! Most users need none of this. [`hash`] takes them as words from the message, and leaves those with an escape or a
//! separator to [`hash_decoded`], which goes byte by byte. A property test holds the two to one result.

use super::Message;
use crate::{
    hash::{WORDS, Words, key_hash},
    limits::KEY_LIMIT,
    swar::{differs, equal, first, keep, lower, not_digit},
};

/// A canonical user: its bytes, NUL-filled, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// The bytes.
    pub words: Words,
    /// How many there are, at most [`KEY_LIMIT`].
    pub length: u64,
}

impl Canonical {
    /// The hash of the key; 0 when it is empty.
    #[inline(always)]
    fn hash(&self, seed: u64) -> u64 {
        if self.length == 0 {
            return 0;
        }
        let mut words = self.words;
        let mut i = 0;
        while i < WORDS {
            words[i] = lower(words[i]);
            i += 1;
        }
        key_hash(&words, self.length.div_ceil(8), seed)
    }

    /// The bytes, for the host.
    pub fn bytes(&self) -> [u8; KEY_LIMIT as usize] {
        let mut bytes = [0; KEY_LIMIT as usize];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// The key hash of the text between two offsets, without case; 0 when there is none.
#[inline(always)]
pub fn hash_text<M: Message>(message: M, at: u64, end: u64, seed: u64) -> u64 {
    let length = if end - at > KEY_LIMIT { KEY_LIMIT } else { end - at };
    let mut text = Canonical { words: [0; WORDS], length };
    let mut i = 0;
    while i < WORDS as u64 && 8 * i < length {
        let rest = length - 8 * i;
        text.words[i as usize] = keep(message.word(at + 8 * i), if rest > 8 { 8 } else { rest });
        i += 1;
    }
    text.hash(seed)
}

/// The key hash of the canonical user in the user part between two offsets; 0 when there is none.
///
/// `tail`: a number of more digits than this counts by its last `tail` digits; 0 is off.
#[inline(always)]
pub fn hash<M: Message>(message: M, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
    if end - at > KEY_LIMIT {
        return message.user_hash_decoded(at, end, tail, seed);
    }
    let mut user = Canonical { words: [0; WORDS], length: end - at };
    let mut escapes = 0;
    let mut letters = 0;
    let mut i = 0;
    while i < WORDS as u64 && 8 * i < user.length {
        let rest = user.length - 8 * i;
        let word = keep(message.word(at + 8 * i), if rest > 8 { 8 } else { rest });
        let cut = first(equal(word, b':') | equal(word, b';'));
        let here = if cut < rest { cut } else if rest > 8 { 8 } else { rest };
        let word = keep(word, here);
        user.words[i as usize] = word;
        escapes |= equal(word, b'%');
        letters |= not_digit(word | !keep(!0, here) & 0x3030_3030_3030_3030);
        if cut < 8 && cut < rest {
            user.length = 8 * i + cut;
            break;
        }
        i += 1;
    }
    let leads = user.words[0] & 0xff;
    // A number begins with one of `(+-.` or a digit; 0x28 to 0x39 has these and `)*,/`. One of digits only is canonical.
    let may_be_number = leads >= b'(' as u64 && leads <= b'9' as u64;
    let only_digits = letters == 0 || (letters == 0x80 && leads == b'+' as u64);
    if escapes != 0 || may_be_number && (!only_digits || tail != 0) {
        return message.user_hash_decoded(at, end, tail, seed);
    }
    user.hash(seed)
}

/// The same for any user part, byte by byte.
#[inline(always)]
pub fn hash_decoded<M: Message>(message: M, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
    canonical(message, at, end, tail).hash(seed)
}

/// The canonical user in the user part between two offsets.
#[inline(always)]
pub fn canonical<M: Message>(message: M, at: u64, end: u64, tail: u8) -> Canonical {
    let mut user = Canonical { words: [0; WORDS], length: message.zero() };
    let mut digits = message.zero();
    let mut others = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |at, low, _| {
            let byte = low & 0xff;
            let cut = (byte == b':' as u64) | (byte == b';' as u64);
            if (at >= end) | cut | (user.length >= KEY_LIMIT) {
                return 0;
            }
            let (upper_half, lower_half) = (hex((low >> 8) & 0xff), hex((low >> 16) & 0xff));
            let escape = (byte == b'%' as u64) & (upper_half | lower_half < 16) & (at + 3 <= end);
            let byte = if escape { upper_half << 4 | lower_half } else { byte };
            let is_plus = (byte == b'+' as u64) & (user.length == 0);
            digits += is_digit(byte);
            others |= 1 & !(is_digit(byte) | is_separator(byte) | is_plus as u64);
            push(&mut user, byte);
            if escape { 3 } else { 1 }
        },
    );
    if (digits != 0) & (others == 0) { number(message, &user, digits, tail as u64) } else { user }
}

/// A number without its visual separators; of more than `tail` digits, the last ones.
#[inline(always)]
fn number<M: Message>(message: M, written: &Canonical, digits: u64, tail: u64) -> Canonical {
    let mut number = Canonical { words: [0; WORDS], length: message.zero() };
    let skip = if tail != 0 && digits >= tail { digits - tail } else { 0 };
    let all = tail == 0 || digits < tail;
    let mut seen = message.zero();
    let mut i = 0;
    while i < KEY_LIMIT {
        if i >= written.length {
            break;
        }
        let byte = (written.words[(i >> 3) as usize & (WORDS - 1)] >> (8 * (i & 7))) & 0xff;
        let is_digit = is_digit(byte);
        let keeps = if is_digit != 0 { seen >= skip } else { byte == b'+' as u64 && all };
        seen += is_digit;
        if keeps {
            push(&mut number, byte);
        }
        i += 1;
    }
    number
}

#[inline(always)]
fn push(to: &mut Canonical, byte: u64) {
    let at = to.length;
    to.words[(at >> 3) as usize & (WORDS - 1)] |= byte << (8 * (at & 7));
    to.length = at + 1;
}

/// The value of a hexadecimal digit, or something of 16 and more.
#[inline(always)]
const fn hex(byte: u64) -> u64 {
    let decimal = byte.wrapping_sub(b'0' as u64);
    let letter = (byte | 0x20).wrapping_sub(b'a' as u64);
    if decimal < 10 {
        decimal
    } else if letter < 6 {
        letter + 10
    } else {
        16
    }
}

#[inline(always)]
const fn is_digit(byte: u64) -> u64 {
    (byte.wrapping_sub(b'0' as u64) < 10) as u64
}

/// A visual separator of a telephone number: `-`, `.`, `(` or `)`.
#[inline(always)]
const fn is_separator(byte: u64) -> u64 {
    let set = 1u64 << b'-' | 1 << b'.' | 1 << b'(' | 1 << b')';
    (set >> (byte & 63)) & (byte < 64) as u64
}

/// How many blanks the word begins with.
#[inline(always)]
pub(super) fn blanks(word: u64) -> u64 {
    first(differs(word, b' ') & differs(word, b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Bytes;
    use proptest::prelude::*;

    fn canonical_text(user: &str, tail: u8) -> Vec<u8> {
        let user = canonical(Bytes::new(user.as_bytes()), 0, user.len() as u64, tail);
        user.bytes()[..user.length as usize].to_vec()
    }

    fn fast(user: &[u8], tail: u8) -> u64 {
        Bytes::new(user).user_hash(0, user.len() as u64, tail, 7)
    }

    #[test]
    fn canonical_users() {
        let cases = [
            ("alice", "alice"),
            ("Alice", "Alice"),
            ("%61lice", "alice"),
            ("Alice:pw", "Alice"),
            ("alice;x=1", "alice"),
            ("alice;x=1:pw", "alice"),
            (":pw", ""),
            (";x", ""),
            ("", ""),
            ("a%3Ab%3bc%40d", "a:b;c@d"),
            ("%2561", "%61"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("+1-201-555-0123", "+12015550123"),
            ("(201)555.0123", "2015550123"),
            ("+12015550123", "+12015550123"),
            ("%2B1-201", "+1201"),
            ("1+2-3", "1+2-3"),
            ("++1-2", "++1-2"),
            ("-.()", "-.()"),
            ("+", "+"),
            ("*67-1", "*67-1"),
            ("john.doe", "john.doe"),
            ("1-a", "1-a"),
        ];
        for (written, expected) in cases {
            assert_eq!(canonical_text(written, 0), expected.as_bytes(), "{written}");
        }
    }

    #[test]
    fn number_tails() {
        for written in ["+12015550123", "12015550123", "0012015550123", "201-555-0123", "+2015550123"] {
            assert_eq!(canonical_text(written, 10), b"2015550123", "{written}");
        }
        assert_eq!(canonical_text("+911", 10), b"+911");
        assert_eq!(canonical_text("alice12015550123", 10), b"alice12015550123");
    }

    #[test]
    fn one_owner() {
        let same = |users: &[&str]| {
            let hashes: Vec<u64> = users.iter().map(|user| fast(user.as_bytes(), 0)).collect();
            assert!(hashes.iter().all(|&hash| hash == hashes[0] && hash != 0), "{users:?}");
        };
        same(&["alice", "%61lice", "Alice:pw", "alice;x=1", "ALICE"]);
        same(&["+1-201-555-0123", "+12015550123", "%2b1(201)5550123"]);
        assert_ne!(fast(b"alice", 0), fast(b"alicf", 0));
        assert_eq!(fast(b"", 0), 0);
        assert_eq!(fast(b":secret", 0), 0);
    }

    #[test]
    fn key_limit() {
        let of = |length: u64| fast("u".repeat(length as usize).as_bytes(), 0);
        assert_ne!(of(KEY_LIMIT - 1), of(KEY_LIMIT));
        assert_eq!(of(KEY_LIMIT), of(KEY_LIMIT + 1));
        assert_eq!(of(KEY_LIMIT), of(1_000));
        let escaped = "%75".repeat(KEY_LIMIT as usize + 1);
        assert_eq!(fast(escaped.as_bytes(), 0), of(KEY_LIMIT));
    }

    /// Users of the characters that matter here.
    fn users() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"abYZ019+-.()%4:;*,/@\0\xff".as_slice()), 0..80)
    }

    fn numbers() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"0123456789+-".as_slice()), 0..20)
    }

    proptest! {
        #[test]
        fn fast_equals_slow(user in prop_oneof![users(), numbers()], tail in prop_oneof![Just(0u8), 1u8..12]) {
            let message = Bytes::new(&user);
            let slow = message.user_hash_decoded(0, user.len() as u64, tail, 7);
            prop_assert_eq!(fast(&user, tail), slow);
        }

        #[test]
        fn escaping_changes_nothing(user in "[a-zA-Z0-9+._-]{1,64}", mask: u64) {
            let escaped: String = user.bytes().enumerate().map(|(i, byte)| {
                if mask >> i & 1 == 1 { format!("%{byte:02x}") } else { (byte as char).to_string() }
            }).collect();
            prop_assert_eq!(fast(escaped.as_bytes(), 0), fast(user.as_bytes(), 0));
        }

        /// The words are those of the plain text, in XXH64 of anybody's library.
        #[test]
        fn anybody_can_compute_it(user in "[a-z]{1,64}", seed: u64) {
            let mut block = user.clone().into_bytes();
            block.resize(user.len().next_multiple_of(8), 0);
            let hash = Bytes::new(user.as_bytes()).user_hash(0, user.len() as u64, 0, seed);
            prop_assert_eq!(hash, xxhash_rust::xxh64::xxh64(&block, seed));
        }
    }
}
