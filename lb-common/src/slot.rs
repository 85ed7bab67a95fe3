//! From a hash to a slot of the lookup table.

/// Slots of a lookup table. The prime 2^16 + 1 spreads any hash evenly, and a remainder by it needs no division.
pub const SLOTS: usize = 65_537;

/// `hash` modulo [`SLOTS`].
///
/// Since 2^16 = -1 modulo 2^16 + 1, the remainder is the alternating sum of the hash's four 16-bit digits. BPF has no
/// high multiplication, so that the compiler would emit a division (20 to 40 cycles) for `%`.
#[inline(always)]
pub const fn slot(hash: u64) -> u32 {
    const N: u64 = SLOTS as u64;
    let even = (hash & 0xffff) + ((hash >> 32) & 0xffff);
    let odd = ((hash >> 16) & 0xffff) + (hash >> 48);
    // 2 N keeps the sum positive: it lies in 4 ..= 262_144, so that its upper digit is at most 4.
    let sum = even + 2 * N - odd;
    let folded = (sum & 0xffff) + N - (sum >> 16);
    (if folded >= N { folded - N } else { folded }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges() {
        for hash in [0, 1, 0xffff, 0x1_0000, 0x1_0001, u64::MAX, 0xffff_0000_ffff_0000, 0x0000_ffff_0000_ffff]
        {
            assert_eq!(u64::from(slot(hash)), hash % SLOTS as u64, "{hash:#x}");
        }
    }

    proptest! {
        #[test]
        fn is_the_remainder(hash: u64) {
            prop_assert_eq!(u64::from(slot(hash)), hash % SLOTS as u64);
        }
    }
}
