//! The properties that the table promises, over random pools.
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A pool by its weights; the names follow from the position.
fn names(weights: &[u32]) -> Vec<String> {
    (0..weights.len()).map(|group| format!("group-{group}")).collect()
}

fn shares<'a>(names: &'a [String], weights: &[u32]) -> Vec<Share<'a>> {
    names.iter().zip(weights).map(|(name, &weight)| Share { name, weight }).collect()
}

/// The name that has each slot.
fn holders<'a>(table: &Table, shares: &[Share<'a>]) -> Vec<&'a str> {
    table.owners().iter().map(|&owner| shares[usize::from(owner)].name).collect()
}

fn count(owners: &[u16], group: usize) -> usize {
    owners.iter().filter(|&&owner| usize::from(owner) == group).count()
}

/// Slots that change hands, and those of them that another than `changed` both had and gets.
fn moves(before: &[&str], after: &[&str], changed: &str) -> (usize, usize) {
    let moved = || before.iter().zip(after).filter(|(old, new)| old != new);
    (moved().count(), moved().filter(|(old, new)| **old != changed && **new != changed).count())
}

/// Takes `leaver` out of a pool: all moves, and those that arithmetic doesn't demand.
fn leave(weights: &[u32], leaver: usize, seed: u64) -> (usize, usize) {
    let names = names(weights);
    let all = shares(&names, weights);
    let rest: Vec<_> =
        all.iter().enumerate().filter(|&(group, _)| group != leaver).map(|(_, share)| *share).collect();
    let (before, after) = (Table::build(&all, seed), Table::build(&rest, seed));
    moves(&holders(&before, &all), &holders(&after, &rest), &names[leaver])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn order_of_the_shares_is_no_matter(weights in vec(0..=300u32, 1..40), seed: u64, by in vec(any::<u32>(), 40)) {
        let names = names(&weights);
        let given = shares(&names, &weights);
        let mut shuffled: Vec<_> = given.iter().copied().zip(by).collect();
        shuffled.sort_by_key(|&(_, key)| key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(share, _)| share).collect();
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let tables = (Table::build(&given, seed), Table::build(&shuffled, seed));
        prop_assert!(holders(&tables.0, &given) == holders(&tables.1, &shuffled));
    }

    #[test]
    fn balance_is_within_two_percent(weights in vec(1..=10u32, 1..=64), seed: u64) {
        let names = names(&weights);
        let table = Table::build(&shares(&names, &weights), seed);
        let total: u32 = weights.iter().sum();
        for (group, &weight) in weights.iter().enumerate() {
            let fair = SLOTS as f64 * f64::from(weight) / f64::from(total);
            let off = (count(table.owners(), group) as f64 - fair).abs();
            prop_assert!(off < 1.0 || off <= 0.02 * fair, "{off} of {fair}");
        }
    }

    #[test]
    fn failure_moves_the_failed_groups_slots_only(up in vec(any::<bool>(), 2..40), seed: u64) {
        let weights = vec![100; up.len()];
        let names = names(&weights);
        let table = Table::build(&shares(&names, &weights), seed);
        let effective = table.with_down(&up);
        for (&owner, &effective) in table.owners().iter().zip(&effective) {
            prop_assert!(owner == effective || !up[usize::from(owner)]);
            prop_assert!(up[usize::from(effective)] || up.iter().all(|up| !up));
        }
    }

    #[test]
    fn a_further_failure_moves_no_slot_of_those_up(mut up in vec(any::<bool>(), 2..20), next: Index, seed: u64) {
        let weights: Vec<u32> = (1..=up.len() as u32).collect();
        let names = names(&weights);
        let table = Table::build(&shares(&names, &weights), seed);
        let before = table.with_down(&up);
        up[next.index(weights.len())] = false;
        prop_assume!(up.contains(&true));
        for (before, after) in before.into_iter().zip(table.with_down(&up)) {
            prop_assert!(before == after || !up[usize::from(before)]);
        }
    }

    #[test]
    fn adding_or_removing_moves_little_more_than_the_groups_own(
        weights in vec(50..=200u32, 2..=16), leaver: Index, seed: u64
    ) {
        let (moved, excess) = leave(&weights, leaver.index(weights.len()), seed);
        prop_assert!(excess * 100 <= (moved - excess) * 5, "{excess} of {moved} moves");
    }

    #[test]
    fn a_new_weight_moves_slots_of_its_group(
        weights in vec(50..=200u32, 2..=16), which: Index, factor in 2..4u32, seed: u64
    ) {
        let names = names(&weights);
        let mut changed = weights.clone();
        let which = which.index(weights.len());
        changed[which] *= factor;
        let (before, after) = (shares(&names, &weights), shares(&names, &changed));
        let tables = (Table::build(&before, seed), Table::build(&after, seed));
        let (moved, excess) = moves(&holders(&tables.0, &before), &holders(&tables.1, &after), &names[which]);
        prop_assert!(excess * 100 <= (moved - excess) * 5, "{excess} of {moved} moves");
    }
}

/// The figures that the documents state, at the sizes where the band begins to cost.
#[test]
fn excess_moves_at_33_and_64_groups() {
    for (groups, percent) in [(33, 3), (64, 9)] {
        let all = (0..4).map(|seed| leave(&vec![1; groups], seed as usize, seed));
        let (moved, excess) = all.fold((0, 0), |sum, (moved, excess)| (sum.0 + moved, sum.1 + excess));
        assert!(excess * 100 <= (moved - excess) * percent, "{groups} groups: {excess} of {moved} moves");
    }
}

#[test]
fn slots_of_a_failed_group_are_shared_by_weight() {
    let weights = [4, 1, 2, 3];
    let names = names(&weights);
    let table = Table::build(&shares(&names, &weights), 1);
    let effective = table.with_down(&[false, true, true, true]);
    let orphans = count(table.owners(), 0) as f64;
    for (group, &weight) in weights.iter().enumerate().skip(1) {
        let gained = (count(&effective, group) - count(table.owners(), group)) as f64;
        let fair = orphans * f64::from(weight) / 6.0;
        assert!((gained / fair - 1.0).abs() < 0.05, "group {group} gained {gained}, not {fair}");
    }
}

/// A change here moves users at every site that upgrades: nodes of two versions would disagree.
#[test]
fn owners_are_the_same_in_every_build() {
    let weights = [3, 2, 1];
    let names = names(&weights);
    let table = Table::build(&shares(&names, &weights), 0x5eed);
    let bytes: Vec<u8> = table.owners().iter().flat_map(|owner| owner.to_le_bytes()).collect();
    assert_eq!(xxhash_rust::xxh64::xxh64(&bytes, 0), 2_367_550_729_382_443_052);
}

#[test]
fn weight_zero_owns_nothing_and_stands_in_for_nobody() {
    let table = Table::build(&[Share { name: "a", weight: 0 }, Share { name: "b", weight: 1 }], 7);
    assert!(table.owners().iter().all(|&owner| owner == 1));
    assert_eq!(table.with_down(&[true, false]), table.owners());
    assert_eq!(table.owner(SLOTS - 1), 1);
}

#[test]
fn nobody_owns_a_pool_without_weight() {
    for shares in [&[][..], &[Share { name: "a", weight: 0 }][..]] {
        let table = Table::build(shares, 7);
        assert!(table.owners().iter().all(|&owner| owner == NOBODY));
        assert_eq!(table.with_down(&[]), table.owners());
    }
}

#[test]
fn all_down_keeps_every_slot() {
    let table = Table::build(&[Share { name: "a", weight: 1 }, Share { name: "b", weight: 1 }], 7);
    assert_eq!(table.with_down(&[false, false]), table.owners());
}

#[test]
fn extreme_weights_get_their_share() {
    let table = Table::build(&[Share { name: "a", weight: u32::MAX }, Share { name: "b", weight: 1 }], 7);
    assert!(count(table.owners(), 1) <= 1);
    let table =
        Table::build(&[Share { name: "a", weight: u32::MAX }, Share { name: "b", weight: u32::MAX }], 7);
    assert!(count(table.owners(), 0).abs_diff(SLOTS / 2) <= SLOTS / 100);
}

#[test]
fn a_runner_finds_its_place_at_a_slot() {
    for runner in race::line_up(&[Share { name: "a", weight: 1 }, Share { name: "b", weight: 9 }], 7) {
        for (place, slot) in runner.slots().enumerate() {
            assert_eq!(runner.time_to(slot), runner.time_at(place));
        }
    }
}
