//! The Internet checksum, changed without being computed anew (RFC 1624).
//!
//! A checksum is the complement of the ones' complement sum of all 16-bit words. When some words change, the new one
//! follows from the old one and from the sums of what left and what came: `HC' = ~(~HC + ~m + m')`, equation 3 of
//! RFC 1624. Sums of configured values (a VIP's address and port, a backend's) are computed once by user space and
//! published with them, so that a packet pays two additions.
//!
//! All values are 16-bit words read in the byte order of the machine: ones' complement addition commutes with swapping
//! the bytes of every word (RFC 1071 section 2 B), so that no conversion is needed as long as all of them agree.

/// An unfolded ones' complement sum of 16-bit words. Room for 65,536 of them.
pub type Sum = u32;

/// Adds 16-bit words.
#[inline(always)]
pub const fn sum(words: &[u16]) -> Sum {
    let mut total = 0;
    let mut i = 0;
    while i < words.len() {
        total += words[i] as u32;
        i += 1;
    }
    total
}

/// Folds a sum to 16 bits.
#[inline(always)]
pub const fn fold(sum: Sum) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// The checksum after words that add up to `removed` have been replaced by words that add up to `added`.
#[inline(always)]
pub const fn replace(checksum: u16, removed: Sum, added: Sum) -> u16 {
    let removed = fold(removed);
    !fold((!checksum) as u32 + (!removed) as u32 + fold(added) as u32)
}

/// The same for UDP over IPv4, where 0 means "no checksum" and stays, and a computed 0 is sent as 0xffff (RFC 768).
#[inline(always)]
pub const fn replace_udp(checksum: u16, removed: Sum, added: Sum) -> u16 {
    if checksum == 0 {
        return 0;
    }
    let new = replace(checksum, removed, added);
    if new == 0 { 0xffff } else { new }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Replacing words is the same as computing the checksum anew, but for the two forms of zero.
        #[test]
        fn replace_equals_computing_anew(mut words in prop::collection::vec(any::<u16>(), 4..40),
                                         at in any::<prop::sample::Index>(), new: [u16; 2]) {
            let before = !fold(sum(&words));
            let at = at.index(words.len() - 1);
            let removed = sum(&words[at..at + 2]);
            words[at..at + 2].copy_from_slice(&new);
            prop_assume!(sum(&words) != 0);
            let after = replace(before, removed, sum(&new));
            prop_assert_eq!(after, !fold(sum(&words)));
        }

        #[test]
        fn udp_never_sends_zero(checksum: u16, removed: [u16; 3], added: [u16; 3]) {
            let after = replace_udp(checksum, sum(&removed), sum(&added));
            prop_assert_eq!(after == 0, checksum == 0);
        }
    }
}
