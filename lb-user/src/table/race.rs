//! The race for the slots: weighted rendezvous hashing, enumerated from the top.
//!
//! Each group has a list of all slots in an order of its own, and walks down it at the pace of its weight; a slot
//! belongs to the group that reaches it first. Who reaches a slot first of two groups depends on these two alone.
//! So a group that leaves gives up its own slots only, and one that comes takes slots and causes no other move.
//!
//! Called by `Table` for the deal and for stand-ins, and by `band`, which asks for single arrivals.
use std::sync::LazyLock;

use xxhash_rust::xxh64::xxh64;

use super::{SLOTS, Share};

const MODULUS: u64 = SLOTS as u64;

/// How far the common race goes, in the mean number of groups that have reached a slot by then. All but e^-8 of the
/// slots, some 22, have an owner after it; these are asked for one by one, so the choice affects time only.
const HORIZON: u64 = 8;

/// Fraction bits of [`WAITS`]: the longest wait, 11.7, still fits.
const WAIT_BITS: u32 = 58;

/// Fraction bits of a time: those of a wait and of a pace, less the 64 that are cut off.
const TIME_BITS: u32 = WAIT_BITS + PACE_BITS - 64;

/// Fraction bits of a pace.
const PACE_BITS: u32 = 63;

/// When a runner of weight 1 is at the n-th slot of its list.
///
/// The n-th shortest of `SLOTS` exponential waits is 1/SLOTS + 1/(SLOTS-1) + ... on average, n terms. With exponential
/// waits, the chance to be first is as the weights; with their averages in place of samples, no group is lucky on its
/// whole list, which halves the variance of its count.
static WAITS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let step = |sum: &mut u64, left: u64| {
        *sum += (1 << WAIT_BITS) / left;
        Some(*sum)
    };
    (1..=MODULUS).rev().scan(0, step).collect()
});

/// The place whose cube a number is, modulo the number of slots.
static CUBE_ROOTS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut roots = vec![0; SLOTS];
    for place in 0..SLOTS as u32 {
        roots[cube(u64::from(place)) as usize] = place;
    }
    roots
});

/// A moment of the race, and who arrives then: of two groups that reach a slot at once, the first by name has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    /// With [`TIME_BITS`]; a runner of weight 1 needs 1.0 to a given slot on average.
    pub(super) time: u64,
    /// Index into the runners.
    pub(super) runner: usize,
}

impl Arrival {
    /// Later than any: nobody has come yet.
    const NEVER: Self = Self { time: u64::MAX, runner: usize::MAX };
}

/// A group with its list of slots: the n-th is `factor * n^3 + start`, modulo the number of slots.
///
/// That names each slot once: the number of slots is prime, and 3 divides no part of `SLOTS` - 1. Without the cube,
/// groups whose factors are in a ratio of small numbers would meet at the same slots all along their lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Runner {
    /// Index of the group in the shares as they were given.
    pub(super) group: u16,
    pub(super) weight: u32,
    factor: u64,
    start: u64,
    /// The factor's inverse: leads from a slot back to its place in the list.
    inverse: u64,
    /// 1 / weight, with [`PACE_BITS`]: a product for every arrival in place of a division.
    pace: u64,
}

impl Runner {
    fn new(group: u16, share: &Share<'_>, seed: u64) -> Self {
        let hash = xxh64(share.name.as_bytes(), seed);
        let factor = 1 + scale(hash >> 32, MODULUS - 1);
        let start = scale(hash & 0xffff_ffff, MODULUS);
        let pace = (1 << PACE_BITS) / u64::from(share.weight);
        Self { group, weight: share.weight, factor, start, inverse: invert(factor), pace }
    }

    /// When this runner is at the given place of its list.
    pub(super) fn time_at(&self, place: usize) -> u64 {
        ((u128::from(WAITS[place]) * u128::from(self.pace)) >> 64) as u64
    }

    /// When this runner is at `slot`.
    pub(super) fn time_to(&self, slot: usize) -> u64 {
        let cube = (slot as u64 + MODULUS - self.start) * self.inverse % MODULUS;
        self.time_at(CUBE_ROOTS[cube as usize] as usize)
    }

    /// The slots of this runner's list, in its order.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> + use<> {
        let (factor, start) = (self.factor, self.start);
        (0..MODULUS).map(move |place| ((factor * cube(place) + start) % MODULUS) as usize)
    }
}

fn cube(place: u64) -> u64 {
    place * place * place % MODULUS
}

/// Maps 32 random bits to `0..range`.
fn scale(bits: u64, range: u64) -> u64 {
    (bits * range) >> 32
}

/// The inverse modulo the prime number of slots, by Fermat's little theorem: `value` to the power of `MODULUS` - 2.
fn invert(value: u64) -> u64 {
    let (mut power, mut exponent, mut result) = (value, MODULUS - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * power % MODULUS;
        }
        power = power * power % MODULUS;
        exponent >>= 1;
    }
    result
}

/// The runners of `shares`, in the order of their names, without those of weight 0.
pub(super) fn line_up(shares: &[Share<'_>], seed: u64) -> Vec<Runner> {
    let mut by_name: Vec<(u16, &Share<'_>)> =
        (0..).zip(shares).filter(|(_, share)| share.weight > 0).collect();
    by_name.sort_by_key(|(_, share)| (share.name, share.weight));
    by_name.into_iter().map(|(group, share)| Runner::new(group, share, seed)).collect()
}

/// The first to arrive at each slot, over all `runners`; [`Arrival::NEVER`] if there are none.
pub(super) fn run(runners: &[Runner]) -> Vec<Arrival> {
    let mut first = vec![Arrival::NEVER; SLOTS];
    let weight: u64 = runners.iter().map(|runner| u64::from(runner.weight)).sum();
    let end = (HORIZON << TIME_BITS).checked_div(weight).unwrap_or(0);
    for (index, runner) in runners.iter().enumerate() {
        let reached = runner.slots().enumerate().map(|(place, slot)| (runner.time_at(place), slot));
        for (time, slot) in reached.take_while(|&(time, _)| time <= end) {
            if time < first[slot].time {
                first[slot] = Arrival { time, runner: index };
            }
        }
    }
    for (slot, holder) in first.iter_mut().enumerate().filter(|(_, holder)| **holder == Arrival::NEVER) {
        *holder = next(slot, None, runners).unwrap_or(Arrival::NEVER);
    }
    first
}

/// The first of `runners` to arrive at `slot`, or the first `after` a given arrival there.
pub(super) fn next(slot: usize, after: Option<Arrival>, runners: &[Runner]) -> Option<Arrival> {
    let arrivals = runners.iter().enumerate().map(|(runner, r)| Arrival { time: r.time_to(slot), runner });
    arrivals.filter(|&arrival| after.is_none_or(|after| arrival > after)).min()
}
