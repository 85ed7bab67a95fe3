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
    hash::{WORDS, Words, key_hash, key_hash_of, short_key_hash},
    limits::KEY_LIMIT,
    swar::{count, differs, equal, first, keep, lower, not_digit, splat},
};

/// A canonical user: its bytes, NUL-filled, as they were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Canonical {
    /// The bytes.
    pub words: Words,
    /// How many there are, at most [`KEY_LIMIT`].
    pub length: u64,
}

impl Canonical {
    /// The hash of the key; 0 when it is empty.
    #[inline(always)]
    pub fn hash(&mut self, seed: u64) -> u64 {
        if self.length == 0 {
            return 0;
        }
        let mut i = 0;
        while i < WORDS {
            self.words[i] = lower(self.words[i]);
            i += 1;
        }
        key_hash(&self.words, self.length.div_ceil(8), seed)
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
    let length = message.least(end - at, KEY_LIMIT);
    if length == 0 {
        return 0;
    }
    key_hash_of(
        #[inline(always)]
        |i| {
            // Of the last word, what belongs to the text; the words before it are whole.
            let rest = message.least(length - 8 * i, 8);
            lower(keep(message.word(at + 8 * i), rest))
        },
        (length + 7) >> 3,
        seed,
    )
}

/// Bytes that [`hash`] takes at once: three words.
pub const SHORT: u64 = 24;

/// What [`hash`] and [`plain_length`] answer about a user that they leave to the next.
pub const NOT_SO: u64 = u64::MAX;

/// The key hash of the canonical user in the user part between two offsets; 0 when there is none.
///
/// `tail`: a number of so many digits or more counts by its last `tail` digits; 0 is off.
#[inline(always)]
pub fn key<M: Message>(message: M, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
    // Not one inside the other: the stack of a BPF program holds 512 bytes, over all calls under way.
    let mut hash = NOT_SO;
    if end - at <= SHORT {
        hash = message.user_hash(at, end, tail, seed);
    }
    if hash != NOT_SO {
        return hash;
    }
    let length = message.user_plain_length(at, end, tail);
    if length == NOT_SO {
        message.user_hash_decoded(at, end, tail, seed)
    } else {
        message.text_hash(at, at + length, seed)
    }
}

/// The same for a user part of at most [`SHORT`] bytes that is canonical as it stands: without `:`, `;` and `%`, and no
/// number with separators. Nearly all are.
#[inline(always)]
pub fn hash<M: Message>(message: M, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
    let length = end - at;
    let [mut a, mut b, mut c] = message.words(at);
    // One branch for each length in words: what is not there is not looked at.
    if length <= 8 {
        (a, b, c) = (keep(a, length), 0, 0);
    } else if length <= 16 {
        (b, c) = (keep(b, length - 8), 0);
    } else {
        c = keep(c, length - 16);
    }
    if (special(a) | special(b) | special(c)) & splat(0x80) != 0 {
        return NOT_SO;
    }
    if may_be_number(a) {
        // A plus in front is digit enough. The NULs behind the end are no digits: they are counted.
        let plus = if a & 0xff == b'+' as u64 { 0x80 } else { 0 };
        let others = count(not_digit(a) & !plus) + count(not_digit(b)) + count(not_digit(c));
        if tail != 0 || others != SHORT - length {
            return NOT_SO;
        }
    }
    if length == 0 { 0 } else { short_key_hash([lower(a), lower(b), lower(c)], (length + 7) >> 3, seed) }
}

/// Marks bytes that end or escape a user: `:` and `;`, which differ in their last bit, and `%`. A mark may be false above
/// a true one, never alone.
#[inline(always)]
const fn special(word: u64) -> u64 {
    equal(word & !splat(1), b':') | equal(word, b'%')
}

/// Does the word begin as a number may: with one of `(+-.` or a digit? 0x28 to 0x39 has these and `)*,/`.
#[inline(always)]
const fn may_be_number(word: u64) -> bool {
    let leads = word & 0xff;
    leads >= b'(' as u64 && leads <= b'9' as u64
}

/// The length of the canonical user in a user part that begins with it as it stands: of at most [`KEY_LIMIT`] bytes, with
/// parameters or a password or neither.
#[inline(always)]
pub fn plain_length<M: Message>(message: M, at: u64, end: u64, tail: u8) -> u64 {
    let mut rest = end - at;
    if rest > KEY_LIMIT {
        return NOT_SO;
    }
    let leads = message.word(at);
    // A plus in front is digit enough: it may stand before a number that is canonical.
    let mut plus = if leads & 0xff == b'+' as u64 { 0x80 } else { 0 };
    let (mut length, mut escapes, mut others) = (message.zero(), message.zero(), message.zero());
    let mut i = 0;
    while i < WORDS as u64 && rest != 0 {
        let word = message.word(at + 8 * i);
        let there = message.least(rest, 8);
        let cut = first(equal(word, b':') | equal(word, b';'));
        let taken = message.least(cut, there);
        rest = message.hide(if taken < there { 0 } else { rest - there });
        length = message.hide(length + taken);
        let word = keep(word, taken);
        escapes = message.hide(escapes | equal(word, b'%'));
        others = message.hide(others | not_digit(word | !keep(!0, taken) & splat(b'0')) & !plus);
        plus = 0;
        i += 1;
    }
    let first = if length == 0 { 0 } else { leads };
    if escapes != 0 || may_be_number(first) && (others != 0 || tail != 0) { NOT_SO } else { length }
}

/// The same for any user part, byte by byte. In the kernel its two halves are stages of their own: [`decode`] and
/// [`Canonical::hash`].
#[inline(always)]
pub fn hash_decoded<M: Message>(message: M, at: u64, end: u64, tail: u8, seed: u64) -> u64 {
    canonical(message, at, end, tail).hash(seed)
}

/// The canonical user in the user part between two offsets.
#[inline(always)]
pub fn canonical<M: Message>(message: M, at: u64, end: u64, tail: u8) -> Canonical {
    let mut user = Canonical::default();
    decode(&mut user, message, at, end, tail);
    user
}

/// Makes `user` the canonical user in the user part between two offsets, whatever it was before.
///
/// No comparison decides about a byte: the verifier would follow both answers to each, in every turn of the loop.
#[inline(always)]
pub fn decode<M: Message>(user: &mut Canonical, message: M, at: u64, end: u64, tail: u8) {
    *user = Canonical { words: [0; WORDS], length: message.zero() };
    // How many digits there are, and, from bit 32 on, whether there is anything that no number has: one number, since all
    // that a closure remembers costs stack twice.
    let mut seen = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |at, [low]| {
            let byte = low & 0xff;
            user.length = message.hide(user.length);
            if at >= end || byte == b':' as u64 || byte == b';' as u64 || user.length >= KEY_LIMIT {
                return 0;
            }
            let (escape, decoded) = unescape(low);
            let escape = if at + 3 <= end { escape } else { message.zero() };
            let byte = message.hide(select(escape, decoded, byte));
            let plus = if user.length == 0 { PLUS } else { NOTHING };
            let digit = member(DIGITS, byte);
            let other = 1 & !(digit | member(SEPARATORS, byte) | member(plus, byte));
            seen = message.hide((seen + digit) | other << 32);
            user.put(user.length, byte);
            user.length += 1;
            message.hide(1 + 2 * escape)
        },
    );
    user.length = message.hide(user.length);
    let seen = message.hide(seen);
    let (digits, others) = (seen & 0xffff_ffff, seen >> 32);
    if digits != 0 && others == 0 {
        shorten(message, user, digits, tail as u64);
    }
}

/// Makes a number of what is written as one: without its visual separators; of `tail` digits or
/// more, the last `tail` and no plus.
#[inline(always)]
fn shorten<M: Message>(message: M, user: &mut Canonical, digits: u64, tail: u64) {
    let shortened = tail != 0 && digits >= tail;
    let mut skip = message.hide(if shortened { digits - tail } else { 0 });
    let kept = if shortened { NOTHING } else { PLUS };
    let mut length = message.zero();
    let mut i = 0;
    while i < KEY_LIMIT {
        let byte = message.hide(user.words[(i >> 3) as usize] >> (8 * (i & 7)) & 0xff);
        let digit = member(DIGITS, byte);
        let skipped = if skip != 0 { digit } else { 0 };
        skip = message.hide(skip - skipped);
        // The NULs behind the end are in no set. What is kept moves down, over bytes that were read already.
        user.put(length, byte);
        length = message.hide(length + ((digit ^ skipped) | member(kept, byte)));
        i += 1;
    }
    user.length = length;
    let mut i = 0;
    while i < WORDS as u64 {
        let rest = length.saturating_sub(8 * i);
        user.words[i as usize] = keep(user.words[i as usize], message.least(rest, 8));
        i += 1;
    }
}

impl Canonical {
    /// Sets the byte at an index below [`KEY_LIMIT`].
    #[inline(always)]
    fn put(&mut self, at: u64, byte: u64) {
        let word = &mut self.words[(at >> 3) as usize & (WORDS - 1)];
        let shift = 8 * (at & 7);
        *word = *word & !(0xff << shift) | byte << shift;
    }
}

/// A set of ASCII characters, as bits.
type Set = [u64; 2];

const NOTHING: Set = [0; 2];
const PLUS: Set = set(b"+");
const DIGITS: Set = set(b"0123456789");
const HEXADECIMAL: Set = set(b"0123456789abcdefABCDEF");
/// Visual separators of telephone numbers.
const SEPARATORS: Set = set(b"-.()");

const fn set(characters: &[u8]) -> Set {
    let mut set = NOTHING;
    let mut i = 0;
    while i < characters.len() {
        set[(characters[i] >> 6) as usize] |= 1 << (characters[i] & 63);
        i += 1;
    }
    set
}

/// 1 if the byte belongs to the set, else 0; without a comparison.
#[inline(always)]
const fn member(set: Set, byte: u64) -> u64 {
    let quarter = byte >> 6;
    let (is_first, is_second) = (quarter.wrapping_sub(1) >> 63, (quarter ^ 1).wrapping_sub(1) >> 63);
    ((set[0] >> (byte & 63)) & is_first) | ((set[1] >> (byte & 63)) & is_second)
}

/// `yes` if `one` is 1, `no` if it is 0; without a comparison.
#[inline(always)]
const fn select(one: u64, yes: u64, no: u64) -> u64 {
    no ^ ((yes ^ no) & one.wrapping_neg())
}

/// Does the word begin with a percent-escape (1 or 0), and what does it stand for?
#[inline(always)]
const fn unescape(word: u64) -> (u64, u64) {
    let (upper, under) = ((word >> 8) & 0xff, (word >> 16) & 0xff);
    let percent = ((word & 0xff) ^ b'%' as u64).wrapping_sub(1) >> 63;
    (percent & member(HEXADECIMAL, upper) & member(HEXADECIMAL, under), digit(upper) << 4 | digit(under))
}

/// The value of a hexadecimal digit; without meaning for other bytes.
#[inline(always)]
const fn digit(byte: u64) -> u64 {
    ((byte & 0xf) + 9 * (byte >> 6)) & 0xf
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
        key(Bytes::new(user), 0, user.len() as u64, tail, 7)
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
            let hash = key(Bytes::new(user.as_bytes()), 0, user.len() as u64, 0, seed);
            prop_assert_eq!(hash, xxhash_rust::xxh64::xxh64(&block, seed));
        }
    }
}
