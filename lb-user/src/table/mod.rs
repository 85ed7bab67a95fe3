//! The lookup table: deals the slots of a pool to its groups by weight, and says who stands in for one that is down.
//!
//! Called by `pool`, which turns the owners into the image that the datapath publishes. Pure functions: the table
//! follows from the set of (group name, weight) and the seed alone, whatever their order, so that every node computes
//! the same one. Integers only: a logarithm may differ in its last bit between two machines.
//!
//! `race` gives each slot to the group that reaches it first, which moves nothing but what arithmetic demands when
//! the groups change; `band` then corrects the groups that came out too far from their weight.
//! `docs/adr/0004-lookup-table.md` has the reasons and the figures.
mod band;
mod race;
#[cfg(test)]
mod tests;

pub use lb_common::slot::SLOTS;
use race::{Arrival, Runner};

/// The owner of a slot that no group may have: every weight is 0.
pub const NOBODY: u16 = u16::MAX;

/// What a group asks for: a part of the slots in proportion to its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share<'a> {
    /// Name of the group, unique in its pool. Renaming a group makes it another group.
    pub name: &'a str,
    /// Weight of the group against the others'. With 0 it owns nothing and stands in for nobody.
    pub weight: u32,
}

/// The owner of every slot while all groups are up, and each group's order of slots, which names the stand-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    owners: Vec<u16>,
    runners: Vec<Runner>,
}

impl Table {
    /// Deals the slots to `shares`. The same shares in another order give every slot to the same name.
    ///
    /// # Panics
    ///
    /// With more than 65,535 shares: an owner is a `u16`, and one value means [`NOBODY`].
    pub fn build(shares: &[Share<'_>], seed: u64) -> Self {
        assert!(
            shares.len() <= usize::from(NOBODY),
            "a pool has at most {NOBODY} groups, not {}",
            shares.len()
        );
        let runners = race::line_up(shares, seed);
        let mut first = race::run(&runners);
        band::correct(&mut first, &runners);
        Self { owners: owners(&first, &runners), runners }
    }

    /// The owner of `slot` while all groups are up: an index into the shares as they were given, or [`NOBODY`].
    ///
    /// # Panics
    ///
    /// If `slot` is not below [`SLOTS`].
    pub fn owner(&self, slot: usize) -> u16 {
        self.owners[slot]
    }

    /// The owners of all slots, as [`Table::owner`] gives them.
    pub fn owners(&self) -> &[u16] {
        &self.owners
    }

    /// The owners of all slots while only the groups with `up[index]` are up.
    ///
    /// A slot whose owner is up stays where it is. One whose owner is down goes to the first of the groups that are up
    /// to reach it, or stays if there is none. `up` is indexed like the shares; a group beyond its end is down.
    pub fn with_down(&self, up: &[bool]) -> Vec<u16> {
        let is_up = |group: u16| up.get(usize::from(group)).copied().unwrap_or(false);
        let able: Vec<Runner> = self.runners.iter().filter(|runner| is_up(runner.group)).copied().collect();
        if able.is_empty() || able.len() == self.runners.len() {
            return self.owners.clone();
        }
        let stand_ins = owners(&race::run(&able), &able);
        let choose = |(&owner, stand_in)| if is_up(owner) { owner } else { stand_in };
        self.owners.iter().zip(stand_ins).map(choose).collect()
    }
}

/// The groups of the runners that have the slots.
fn owners(holders: &[Arrival], runners: &[Runner]) -> Vec<u16> {
    holders.iter().map(|holder| runners.get(holder.runner).map_or(NOBODY, |runner| runner.group)).collect()
}
