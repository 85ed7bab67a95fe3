//! Tests on all eight bytes of a word at once.
//!
//! A *mark* is the top bit of a byte for which the test holds. Words are little-endian, so that the lowest mark belongs
//! to the first byte. BPF has no count-trailing-zeros instruction: [`first`] gets by with one multiplication.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// A word of eight times `byte`.
#[inline(always)]
pub(crate) const fn splat(byte: u8) -> u64 {
    ONES * byte as u64
}

/// Marks bytes below `limit` (at most 128). Only the lowest mark is exact: a borrow can set false ones above it.
#[inline(always)]
pub(crate) const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(splat(limit)) & !word & HIGHS
}

/// Marks bytes equal to `byte`. Only the lowest mark is exact.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ splat(byte), 1)
}

/// Marks bytes that are not ASCII. Every mark is exact.
#[inline(always)]
pub(crate) const fn high(word: u64) -> u64 {
    word & HIGHS
}

/// Marks bytes that differ from `byte`. Every mark is exact.
#[inline(always)]
pub(crate) const fn differs(word: u64, byte: u8) -> u64 {
    let x = word ^ splat(byte);
    (((x & !HIGHS) + !HIGHS) | x) & HIGHS
}

/// Marks bytes that are not decimal digits. Every mark is exact.
#[inline(always)]
pub(crate) const fn not_digit(word: u64) -> u64 {
    let low = word & !HIGHS;
    // A seven-bit byte is a digit when adding 0x46 does not carry it past 0x7f and adding 0x50 does.
    ((low + splat(0x46)) | !(low + splat(0x50)) | word) & HIGHS
}

/// The index of the byte with the lowest mark, 0 to 7; 8 when there is none.
#[inline(always)]
pub(crate) const fn first(marks: u64) -> u64 {
    let bit = marks >> 7;
    ((bit.wrapping_sub(1) & !bit) & ONES).wrapping_mul(ONES) >> 56
}

/// [`first`], of marks of which there is one at least.
#[inline(always)]
pub(crate) const fn first_of_some(marks: u64) -> u64 {
    let bit = marks >> 7;
    // A power of 256: the multiplication moves that one up of eight three-bit numbers.
    (bit & bit.wrapping_neg()).wrapping_mul(0x0020_4060_80a0_c0e0) >> 61
}

/// How many marks there are; every one must be exact.
#[inline(always)]
pub(crate) const fn count(marks: u64) -> u64 {
    (marks >> 7).wrapping_mul(ONES) >> 56
}

/// [`first`] over two words: 0 to 15, or 16 when neither has a mark.
#[inline(always)]
pub(crate) const fn first_of_two(low: u64, high: u64) -> u64 {
    if low != 0 { first_of_some(low) } else { 8 + first(high) }
}

/// Keeps the first `bytes` bytes (at most 8) and clears the others.
#[inline(always)]
pub(crate) const fn keep(word: u64, bytes: u64) -> u64 {
    // Two half shifts, since one shift by 64 is not defined.
    word & !((!0u64 << (4 * bytes)) << (4 * bytes))
}

/// Keeps the bytes in front of the lowest mark, of which there must be one, and clears the others.
#[inline(always)]
pub(crate) const fn keep_before(word: u64, marks: u64) -> u64 {
    let lowest = marks & marks.wrapping_neg();
    word & (lowest >> 7).wrapping_sub(1)
}

/// ASCII capitals made small; every other byte stays.
#[inline(always)]
pub(crate) const fn lower(word: u64) -> u64 {
    let low = word & !HIGHS;
    let capital = (low + splat(0x80 - b'A')) & !(low + splat(0x7f - b'Z')) & !word & HIGHS;
    word | (capital >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(word: u64, test: impl Fn(u8) -> bool) -> u64 {
        word.to_le_bytes().iter().position(|&b| test(b)).unwrap_or(8) as u64
    }

    proptest! {
        #[test]
        fn lowest_marks_are_exact(word: u64, byte: u8, limit in 1u8..=128) {
            prop_assert_eq!(first(equal(word, byte)), naive(word, |b| b == byte));
            prop_assert_eq!(first(below(word, limit)), naive(word, |b| b < limit));
            prop_assert_eq!(first(high(word)), naive(word, |b| b > 127));
            prop_assert_eq!(first(differs(word, byte)), naive(word, |b| b != byte));
            prop_assert_eq!(first(not_digit(word)), naive(word, |b| !b.is_ascii_digit()));
            prop_assert_eq!(count(high(word)), word.to_le_bytes().iter().filter(|&&b| b > 127).count() as u64);
        }

        #[test]
        fn exact_tests_mark_every_byte(bytes: [u8; 8], byte: u8) {
            let word = u64::from_le_bytes(bytes);
            for (i, b) in bytes.iter().enumerate() {
                let mark = 0x80 << (8 * i);
                prop_assert_eq!(differs(word, byte) & mark != 0, *b != byte);
                prop_assert_eq!(not_digit(word) & mark != 0, !b.is_ascii_digit());
            }
        }

        #[test]
        fn lower_is_ascii_lower(bytes: [u8; 8]) {
            let expected = bytes.map(|b| b.to_ascii_lowercase());
            prop_assert_eq!(lower(u64::from_le_bytes(bytes)).to_le_bytes(), expected);
        }

        #[test]
        fn keep_clears_the_rest(bytes: [u8; 8], n in 0usize..=8) {
            let mut expected = bytes;
            expected[n..].fill(0);
            prop_assert_eq!(keep(u64::from_le_bytes(bytes), n as u64).to_le_bytes(), expected);
            if n < 8 {
                prop_assert_eq!(first_of_some(0x8080 << (8 * n)), n as u64);
                prop_assert_eq!(keep_before(u64::from_le_bytes(bytes), 0x8080 << (8 * n)).to_le_bytes(), expected);
            }
        }
    }
}
