//! The band: no group may end far from its fair share.
//!
//! The race alone leaves a group of 1,000 slots some 2 % off, by chance. A group above the band passes on the slots
//! that it reached last; one below it takes the first of its list that it lost. What lies inside is not touched:
//! each correction may change when the groups do, and then moves a user whom arithmetic would have left in peace.
//!
//! Called by `Table::build`. Every step follows from arrivals alone, never from the order of the groups.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::SLOTS;
use super::race::{self, Arrival, Runner};

/// Half the width of the band in parts of 2,000 of the fair share: 2 %, and beyond 64 groups 0.05 % more for each.
/// There the luck of the race exceeds 2 % for most groups, and to correct them all would move more than it mends.
fn tolerance(groups: usize) -> u64 {
    40 + groups.saturating_sub(64) as u64
}

/// The least and the most slots that a group may have.
#[derive(Debug, Clone, Copy)]
struct Band {
    low: usize,
    high: usize,
}

impl Band {
    /// The whole numbers in the fair share +- tolerance, and those next to the fair share, however small it is.
    fn new(weight: u64, total: u64, tolerance: u64) -> Self {
        let scaled = |parts: u64| u128::from(weight) * SLOTS as u128 * u128::from(parts);
        let whole = u128::from(total) * 2_000;
        let low = scaled(2_000u64.saturating_sub(tolerance)).div_ceil(whole).min(scaled(2_000) / whole);
        let high = (scaled(2_000 + tolerance) / whole).max(scaled(2_000).div_ceil(whole));
        Self { low: low as usize, high: high as usize }
    }
}

/// Brings every runner's count of slots into its band. `holders` has the arrival that won each slot.
pub(super) fn correct(holders: &mut [Arrival], runners: &[Runner]) {
    if runners.is_empty() {
        return;
    }
    let total = runners.iter().map(|runner| u64::from(runner.weight)).sum();
    let tolerance = tolerance(runners.len());
    let bands: Vec<Band> =
        runners.iter().map(|runner| Band::new(u64::from(runner.weight), total, tolerance)).collect();
    pass_on(holders, runners, &bands);
    take_back(holders, runners, &bands);
}

/// Lets runners above their band pass on what they reached last, each slot to its next arrival, until none is above.
///
/// This is deferred acceptance: slots prefer early runners and runners the slots they reach early, so there is one
/// stable outcome, whoever passes on first. It ends since a slot only ever goes to a later arrival. A slot always finds
/// one: a runner that passed it on is full, and if all were, they would have all slots without this one.
fn pass_on(holders: &mut [Arrival], runners: &[Runner], bands: &[Band]) {
    loop {
        let mut held: Vec<Vec<(u64, usize)>> = vec![Vec::new(); runners.len()];
        let counts = counts(holders, runners.len());
        for (slot, holder) in holders.iter().enumerate() {
            if counts[holder.runner] > bands[holder.runner].high {
                held[holder.runner].push((holder.time, slot));
            }
        }
        if held.iter().all(Vec::is_empty) {
            return;
        }
        for (slots, band) in held.iter_mut().zip(bands).filter(|(slots, _)| !slots.is_empty()) {
            slots.sort_unstable();
            for &(_, slot) in &slots[band.high..] {
                let next = race::next(slot, Some(holders[slot]), runners);
                holders[slot] = next.expect("the bands' high ends hold all slots");
            }
        }
    }
}

/// Lets runners below their band take the earliest slots of their lists from those that can spare one.
///
/// They take turns by the time at which they are at each slot, so the outcome doesn't depend on who begins. It ends
/// since the low ends of all bands together are no more than the slots: while one lacks a slot, another can spare one.
fn take_back(holders: &mut [Arrival], runners: &[Runner], bands: &[Band]) {
    let mut counts = counts(holders, runners.len());
    let short = (0..runners.len()).filter(|&runner| counts[runner] < bands[runner].low);
    let mut lists: Vec<_> = runners.iter().map(|runner| runner.slots().enumerate()).collect();
    let mut walk = |runner: usize| {
        let (place, slot) = lists[runner].next()?;
        Some(Reverse((Arrival { time: runners[runner].time_at(place), runner }, slot)))
    };
    let mut turns: BinaryHeap<_> = short.filter_map(&mut walk).collect();
    while let Some(Reverse((arrival, slot))) = turns.pop() {
        let (taker, giver) = (arrival.runner, holders[slot].runner);
        if counts[taker] >= bands[taker].low {
            continue;
        }
        if giver != taker && counts[giver] > bands[giver].low {
            holders[slot] = arrival;
            counts[giver] -= 1;
            counts[taker] += 1;
        }
        turns.extend(walk(taker));
    }
}

/// How many slots each runner has.
fn counts(holders: &[Arrival], runners: usize) -> Vec<usize> {
    let mut counts = vec![0; runners];
    for holder in holders {
        counts[holder.runner] += 1;
    }
    counts
}
