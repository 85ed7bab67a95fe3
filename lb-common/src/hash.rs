//! The keyed hash of a key: XXH64 with a secret seed.
//!
//! What is hashed is the key with its capitals made small, filled up with NULs to whole eight-byte words. On whole words
//! XXH64 has no byte-wise tail, which is where a hash of short texts would spend its time; any XXH64 library gives the
//! same value over the same block. Text that differs only in trailing NULs shares a hash, which costs balance and never a
//! call.

/// Words of the longest block: [`KEY_LIMIT`](crate::limits::KEY_LIMIT) bytes.
pub const WORDS: usize = crate::limits::KEY_LIMIT as usize / 8;

/// A key as words, little-endian, NUL-filled.
pub type Words = [u64; WORDS];

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

#[inline(always)]
const fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

#[inline(always)]
const fn merge(hash: u64, lane: u64) -> u64 {
    (hash ^ round(0, lane)).wrapping_mul(PRIME_1).wrapping_add(PRIME_4)
}

#[inline(always)]
const fn tail(hash: u64, word: u64) -> u64 {
    (hash ^ round(0, word)).rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4)
}

/// XXH64 of `count` words (at most [`WORDS`]; more count as [`WORDS`]), each had from `word` as it is needed.
#[inline(always)]
fn xxh64_of(word: impl Fn(u64) -> u64 + Copy, count: u64, seed: u64) -> u64 {
    let bytes = 8 * count;
    if count < 4 {
        return avalanche(short_tail(seed.wrapping_add(PRIME_5).wrapping_add(bytes), word, 0, count));
    }
    let mut lanes = [
        seed.wrapping_add(PRIME_1).wrapping_add(PRIME_2),
        seed.wrapping_add(PRIME_2),
        seed,
        seed.wrapping_sub(PRIME_1),
    ];
    lanes = stripe(lanes, [word(0), word(1), word(2), word(3)]);
    if count >= 8 {
        lanes = stripe(lanes, [word(4), word(5), word(6), word(7)]);
        return avalanche(join(lanes).wrapping_add(64));
    }
    avalanche(short_tail(join(lanes).wrapping_add(bytes), word, 4, count - 4))
}

/// [`key_hash`] of at most three words, which most keys fit in.
#[inline(always)]
pub const fn short_key_hash(words: [u64; 3], count: u64, seed: u64) -> u64 {
    let mut hash = tail(seed.wrapping_add(PRIME_5).wrapping_add(8 * count), words[0]);
    if count >= 2 {
        hash = tail(hash, words[1]);
    }
    if count >= 3 {
        hash = tail(hash, words[2]);
    }
    reserved(avalanche(hash))
}

#[inline(always)]
const fn stripe(lanes: [u64; 4], words: [u64; 4]) -> [u64; 4] {
    [
        round(lanes[0], words[0]),
        round(lanes[1], words[1]),
        round(lanes[2], words[2]),
        round(lanes[3], words[3]),
    ]
}

#[inline(always)]
const fn join(lanes: [u64; 4]) -> u64 {
    let hash = lanes[0]
        .rotate_left(1)
        .wrapping_add(lanes[1].rotate_left(7))
        .wrapping_add(lanes[2].rotate_left(12))
        .wrapping_add(lanes[3].rotate_left(18));
    merge(merge(merge(merge(hash, lanes[0]), lanes[1]), lanes[2]), lanes[3])
}

/// Up to three words behind the last whole stripe.
#[inline(always)]
fn short_tail(mut hash: u64, word: impl Fn(u64) -> u64, from: u64, count: u64) -> u64 {
    if count >= 1 {
        hash = tail(hash, word(from));
    }
    if count >= 2 {
        hash = tail(hash, word(from + 1));
    }
    if count >= 3 {
        hash = tail(hash, word(from + 2));
    }
    hash
}

#[inline(always)]
const fn avalanche(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(PRIME_2);
    hash ^= hash >> 29;
    hash = hash.wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

/// The hash of a key. Zero is kept for "no key", and all ones for "not said yet": a `u64` carries these too.
#[inline(always)]
pub fn key_hash(words: &Words, count: u64, seed: u64) -> u64 {
    key_hash_of(
        #[inline(always)]
        |at| words[at as usize & (WORDS - 1)],
        count,
        seed,
    )
}

/// The same of words that are nowhere together: a BPF program has little stack.
#[inline(always)]
pub fn key_hash_of(word: impl Fn(u64) -> u64 + Copy, count: u64, seed: u64) -> u64 {
    reserved(xxh64_of(word, count, seed))
}

/// Moves a hash off the two values that mean something else.
#[inline(always)]
const fn reserved(hash: u64) -> u64 {
    match hash {
        0 => 1,
        u64::MAX => u64::MAX - 1,
        hash => hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_reference(words: Words, count in 0usize..=WORDS, seed: u64) {
            let bytes: Vec<u8> = words[..count].iter().flat_map(|w| w.to_le_bytes()).collect();
            prop_assert_eq!(xxh64_of(|at| words[at as usize], count as u64, seed), xxhash_rust::xxh64::xxh64(&bytes, seed));
            if (1..=3).contains(&count) {
                let short = short_key_hash([words[0], words[1], words[2]], count as u64, seed);
                prop_assert_eq!(short, key_hash(&words, count as u64, seed));
            }
        }
    }
}
