//! A pool's lookup table as it was dealt, and as it is with some groups down.
//!
//! Dealing takes milliseconds and depends on names and weights alone; giving slots to stand-ins is what a change of health
//! costs. Each is done only when what it depends on has changed. Called by the planner.

use std::sync::Arc;

use lb_common::slot::SLOTS;

use crate::datapath::image::Slots;
use crate::table::{NOBODY, Share, Table};

/// What a group does with slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// The group's id; the datapath has 16 bits for it.
    pub(super) id: u32,
    /// Do its slots stay with it?
    pub(super) keeps: bool,
    /// Can it take slots that others don't keep?
    pub(super) takes: bool,
}

/// The table of a pool.
#[derive(Clone, Debug)]
pub(super) struct Deal {
    /// Names and weights of the groups that it was dealt to.
    shares: Vec<(String, u32)>,
    table: Table,
    last: Option<Last>,
}

/// What became of the table last.
#[derive(Clone, Debug)]
struct Last {
    holders: Vec<Holder>,
    slots: Slots,
}

impl Deal {
    /// Deals to groups of these names and weights.
    pub(super) fn new(shares: Vec<(String, u32)>, seed: u64) -> Self {
        let asked: Vec<Share<'_>> =
            shares.iter().map(|(name, weight)| Share { name, weight: *weight }).collect();
        let table = Table::build(&asked, seed);
        Self { shares, table, last: None }
    }

    /// Was this dealt to the same?
    pub(super) fn is_for(&self, shares: &[(String, u32)]) -> bool {
        self.shares == shares
    }

    /// Every slot with the id of its group: those of groups that keep theirs stay, the others go to groups that take
    /// some. `holders` are in the order of the shares.
    pub(super) fn slots(&mut self, holders: Vec<Holder>) -> Slots {
        if let Some(Last { slots, .. }) = self.last.as_ref().filter(|last| last.holders == holders) {
            return Arc::clone(slots);
        }
        let slots = slots(&self.table, &holders);
        self.last = Some(Last { holders, slots: Arc::clone(&slots) });
        slots
    }
}

fn slots(table: &Table, holders: &[Holder]) -> Slots {
    let takes: Vec<bool> = holders.iter().map(|holder| holder.takes).collect();
    let stand_ins = table.with_down(&takes);
    let mut slots = Arc::new([0; SLOTS]);
    let by_slot = Arc::get_mut(&mut slots).expect("nobody else has it yet");
    for ((slot, owner), stand_in) in by_slot.iter_mut().zip(table.owners()).zip(stand_ins) {
        let keeps = holders.get(usize::from(*owner)).is_some_and(|holder| holder.keeps);
        let holder = if keeps { *owner } else { stand_in };
        *slot = if holder == NOBODY { 0 } else { holders[usize::from(holder)].id as u16 };
    }
    slots
}

/// How many slots each group has; the place in the list is its id.
pub(super) fn counts(slots: &Slots) -> Vec<u32> {
    let mut counts = vec![0; usize::from(u16::MAX) + 1];
    slots.iter().for_each(|id| counts[usize::from(*id)] += 1);
    counts
}
