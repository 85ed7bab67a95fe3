//! Which users a change moves: two plans compared slot by slot, for `siplb plan` and for whoever carries a change out.
//!
//! Called with what is live and with what would be. Places are compared by name, never by id, so that the plans may come
//! from different planners.
//!
//! Invariant: the moves of a pool add up to its slots that have another place, and loads, with what nobody serves, to all
//! slots, before and after alike.

use std::collections::{BTreeMap, HashMap};

use lb_common::slot::SLOTS;

use super::{Plan, PoolPlan};

/// Who serves a slot: a backend, in whose group's name. Nobody is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place<'a> {
    /// The group that has the slot.
    pub group: &'a str,
    /// The backend that serves the group.
    pub backend: &'a str,
}

/// Slots that go from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move<'a> {
    /// Where they are; nobody serves them if `None`.
    pub from: Option<Place<'a>>,
    /// Where they would be.
    pub to: Option<Place<'a>>,
    /// How many.
    pub slots: u32,
}

impl Move<'_> {
    /// Does another member of the same group take over, who has the users' registrations?
    pub fn is_within_group(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if from.group == to.group)
    }
}

/// What a backend serves, in slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Before the change.
    pub before: u32,
    /// After it.
    pub after: u32,
}

/// What a change means for one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolMoves<'a> {
    /// The pool.
    pub pool: &'a str,
    /// Most slots first, then by name.
    pub moves: Vec<Move<'a>>,
    /// By place; under `None` what nobody serves. Only what serves before or after.
    pub loads: BTreeMap<Option<Place<'a>>, Load>,
}

impl PoolMoves<'_> {
    /// How many slots have another place.
    pub fn moved(&self) -> u32 {
        self.moves.iter().map(|moved| moved.slots).sum()
    }

    /// How many of them have another group: those users have to register again.
    pub fn to_other_groups(&self) -> u32 {
        self.moves.iter().filter(|moved| !moved.is_within_group()).map(|moved| moved.slots).sum()
    }

    /// The fewest slots that any way from these loads to those could move: what each place gains must come to it.
    pub fn least(&self) -> u32 {
        self.loads.values().map(|load| load.after.saturating_sub(load.before)).sum()
    }
}

/// Compares two plans, pool by pool: those of `after` in their order, then those that are gone. A pool that only one of
/// them has is served by nobody in the other.
pub fn moves<'a>(before: &'a Plan, after: &'a Plan) -> Vec<PoolMoves<'a>> {
    let there = after.pools.iter().map(|pool| of_pool(&pool.name, before.pool(&pool.name), Some(pool)));
    let gone = before.pools.iter().filter(|pool| after.pool(&pool.name).is_none());
    there.chain(gone.map(|pool| of_pool(&pool.name, Some(pool), None))).collect()
}

fn of_pool<'a>(name: &'a str, before: Option<&'a PoolPlan>, after: Option<&'a PoolPlan>) -> PoolMoves<'a> {
    let (old, new) = (Places::of(before), Places::of(after));
    // By number first: names are longer, and there are few pairs of them.
    let mut counts: HashMap<(u16, u16), u32> = HashMap::new();
    for slot in 0..SLOTS {
        *counts.entry((old.id(slot), new.id(slot))).or_default() += 1;
    }
    let mut loads: BTreeMap<Option<Place<'a>>, Load> = BTreeMap::new();
    let mut ways: BTreeMap<(Option<Place<'a>>, Option<Place<'a>>), u32> = BTreeMap::new();
    for ((from, to), slots) in counts {
        let (from, to) = (old.place(from), new.place(to));
        loads.entry(from).or_default().before += slots;
        loads.entry(to).or_default().after += slots;
        if from != to {
            *ways.entry((from, to)).or_default() += slots;
        }
    }
    let mut moves: Vec<Move<'a>> =
        ways.into_iter().map(|((from, to), slots)| Move { from, to, slots }).collect();
    moves.sort_by_key(|moved| std::cmp::Reverse(moved.slots));
    PoolMoves { pool: name, moves, loads }
}

/// The places of one pool's slots.
struct Places<'a> {
    slots: Option<&'a [u16; SLOTS]>,
    by_group: HashMap<u16, Place<'a>>,
}

impl<'a> Places<'a> {
    fn of(pool: Option<&'a PoolPlan>) -> Self {
        let groups = pool.map(|pool| pool.groups.as_slice()).unwrap_or_default();
        let served = groups.iter().filter_map(|group| {
            let (backend, _) = group.active.as_ref()?;
            Some((group.id as u16, Place { group: &group.name, backend }))
        });
        Self { slots: pool.map(|pool| &*pool.slots), by_group: served.collect() }
    }

    /// The id of a slot's group; 0 without a pool.
    fn id(&self, slot: usize) -> u16 {
        self.slots.map_or(0, |slots| slots[slot])
    }

    fn place(&self, id: u16) -> Option<Place<'a>> {
        self.by_group.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::pool::GroupPlan;

    /// A pool of these groups, each with who serves it, whose slots go round by `step`.
    fn plan(groups: &[(&str, Option<&str>)], step: usize) -> Plan {
        let mut slots = Arc::new([0; SLOTS]);
        let by_slot = Arc::get_mut(&mut slots).unwrap();
        for (at, slot) in by_slot.iter_mut().enumerate() {
            *slot = (at / step % groups.len().max(1) + 1) as u16;
        }
        let group = |(index, (name, active)): (usize, &(&str, Option<&str>))| GroupPlan {
            name: (*name).to_owned(),
            id: index as u32 + 1,
            weight: 100,
            slots: 0,
            active: active.map(|name| (name.to_owned(), index as u32 + 1)),
            is_up: active.is_some(),
        };
        let groups = groups.iter().enumerate().map(group).collect();
        let pool = PoolPlan { name: "p".into(), slots, is_panic: false, groups, handover: None };
        Plan { pools: vec![pool], ..Plan::default() }
    }

    fn shown(moves: &PoolMoves<'_>) -> Vec<String> {
        let place = |place: Option<Place<'_>>| {
            place.map_or("-".to_owned(), |it| format!("{}/{}", it.group, it.backend))
        };
        let show =
            |moved: &Move<'_>| format!("{} -> {}: {}", place(moved.from), place(moved.to), moved.slots);
        moves.moves.iter().map(show).collect()
    }

    #[test]
    fn the_same_in_names_moves_nobody_whatever_the_ids() {
        let before = plan(&[("a", Some("a1")), ("b", Some("b1"))], 1);
        let mut after = before.clone();
        let pool = &mut after.pools[0];
        pool.groups.reverse();
        pool.groups.iter_mut().for_each(|group| group.id += 10);
        Arc::make_mut(&mut pool.slots).iter_mut().for_each(|id| *id += 10);
        let moves = moves(&before, &after);
        assert_eq!((moves[0].moved(), moves[0].least(), moves[0].moves.len()), (0, 0, 0));
    }

    #[test]
    fn a_standby_that_takes_over_moves_its_group_and_keeps_the_registrations() {
        let before = plan(&[("a", Some("a1")), ("b", Some("b1"))], 1);
        let after = plan(&[("a", Some("a2")), ("b", Some("b1"))], 1);
        let moves = &moves(&before, &after)[0];
        assert_eq!(shown(moves), ["a/a1 -> a/a2: 32769"]);
        assert_eq!((moves.moved(), moves.to_other_groups(), moves.least()), (32_769, 0, 32_769));
    }

    #[test]
    fn more_than_arithmetic_demands_is_seen() {
        let before = plan(&[("a", Some("a1")), ("b", Some("b1"))], 1);
        let after = plan(&[("b", Some("b1")), ("a", Some("a1"))], 1);
        let moves = &moves(&before, &after)[0];
        assert_eq!(shown(moves), ["a/a1 -> b/b1: 32769", "b/b1 -> a/a1: 32768"]);
        assert_eq!((moves.moved(), moves.least()), (65_537, 1), "one slot makes the difference");
    }

    #[test]
    fn pools_come_and_go_and_groups_lose_whoever_served_them() {
        let before = plan(&[("a", Some("a1"))], 1);
        let nothing = Plan::default();
        let gone = &moves(&before, &nothing)[0];
        assert_eq!((gone.pool, shown(gone)), ("p", vec!["a/a1 -> -: 65537".to_owned()]));
        let new = &moves(&nothing, &before)[0];
        assert_eq!(shown(new), ["- -> a/a1: 65537"]);
        let dead = plan(&[("a", None)], 1);
        assert_eq!(shown(&moves(&before, &dead)[0]), ["a/a1 -> -: 65537"]);
        assert!(moves(&dead, &dead)[0].moves.is_empty());
    }

    fn pool() -> impl Strategy<Value = Vec<(&'static str, Option<&'static str>)>> {
        let served = |name: &'static str, one, two| {
            (Just(name), prop::sample::select(vec![None, Some(one), Some(two)]))
        };
        let all = (served("a", "a1", "a2"), served("b", "b1", "b2"), served("c", "c1", "c2"));
        (all, 1usize..4).prop_map(|((a, b, c), count)| vec![a, b, c][..count].to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn everything_adds_up(old in pool(), new in pool(), steps in (1usize..2_000, 1usize..2_000)) {
            let (before, after) = (plan(&old, steps.0), plan(&new, steps.1));
            let moves = &moves(&before, &after)[0];
            let server = |plan: &Plan, slot: usize| {
                let group = plan.pools[0].owner(slot).unwrap();
                group.active.as_ref().map(|(backend, _)| (group.name.clone(), backend.clone()))
            };
            let changed = (0..SLOTS).filter(|slot| server(&before, *slot) != server(&after, *slot)).count();
            prop_assert_eq!(moves.moved() as usize, changed);
            let sum = |of: fn(&Load) -> u32| moves.loads.values().map(of).sum::<u32>();
            prop_assert_eq!(sum(|load| load.before), SLOTS as u32);
            prop_assert_eq!(sum(|load| load.after), SLOTS as u32);
            for (place, load) in &moves.loads {
                let slots = |of: &dyn Fn(&Move<'_>) -> bool| -> u32 {
                    moves.moves.iter().filter(|moved| of(moved)).map(|moved| moved.slots).sum()
                };
                let (out, into) = (slots(&|moved| moved.from == *place), slots(&|moved| moved.to == *place));
                prop_assert_eq!(load.before - out + into, load.after);
            }
            prop_assert!(moves.least() <= moves.moved());
            prop_assert!(moves.to_other_groups() <= moves.moved());
        }
    }
}
