//! Nodes that come to know the same, in whatever order and by whatever detours, send every user to the same backend.

use proptest::prelude::*;

use super::fixture::{Daemon, Home};
use super::journal::Who;
use super::live::InMemory;
use crate::config::Member;
use crate::control::api::{Digest, Timing};
use crate::health::Health;
use crate::pool::changes::Named;
use crate::pool::{Change, State};
use crate::source::{Answer, News};

const LATER: Timing = Timing { now: false };
const NAMES: [&str; 5] = ["a1", "a2", "b1", "c1", "d1"];

/// Something that a node comes to know. There is one of each kind for each name, and the last one holds.
#[derive(Clone, Debug)]
enum Fact {
    Health(&'static str, Health),
    State(&'static str, State),
    Weight(&'static str, u32),
    /// Is the last of the names among the members that the source gives?
    Members(bool),
}

fn health() -> impl Strategy<Value = Health> {
    prop::sample::select(vec![Health::Up, Health::Down])
}

fn state() -> impl Strategy<Value = State> {
    prop::sample::select(vec![State::Active, State::Draining, State::Maintenance])
}

/// Facts of those that are there throughout, and whether the last one is.
fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let each = (prop::collection::vec(health(), 4), prop::collection::vec(state(), 4), any::<bool>());
    let weights = prop::collection::vec(prop::sample::select(vec![50, 100]), 3);
    (each, weights).prop_map(|((healths, states, is_there), weights)| {
        let healths = NAMES.into_iter().zip(healths).map(|(name, health)| Fact::Health(name, health));
        let states = NAMES.into_iter().zip(states).map(|(name, state)| Fact::State(name, state));
        let weights =
            ["a1", "b1", "c1"].into_iter().zip(weights).map(|(name, weight)| Fact::Weight(name, weight));
        healths.chain(states).chain(weights).chain([Fact::Members(is_there)]).collect()
    })
}

/// What a node lives through: other facts first, then these, in any order.
fn histories() -> impl Strategy<Value = [Vec<Fact>; 2]> {
    facts().prop_flat_map(|facts| {
        let shuffled = || Just(facts.clone()).prop_shuffle();
        let detour = (self::facts().prop_shuffle(), 0..8_usize);
        (shuffled(), detour, shuffled()).prop_map(|(one, (mut other, length), facts)| {
            other.truncate(length);
            other.extend(facts);
            [one, other]
        })
    })
}

fn member(place: usize, name: &str) -> Member {
    let group = Some(name[..1].to_owned());
    let priority = name[1..].parse().unwrap();
    Member { group, priority, ..Member::new(name, [10, 0, 0, place as u8 + 1].into()) }
}

impl Daemon {
    fn learn(&mut self, fact: &Fact) {
        let named = |name: &str| Named { pool: None, name: name.to_owned() };
        match fact {
            Fact::Health(name, to) => self.hear(&[(name, *to)]),
            Fact::State(name, state) => {
                drop(self.core.change(&Change::State(named(name), *state), LATER, &Who::Daemon).unwrap())
            }
            Fact::Weight(name, weight) => {
                drop(self.core.change(&Change::Weight(named(name), *weight), LATER, &Who::Daemon).unwrap());
            }
            Fact::Members(is_there) => self.give(if *is_there { 5 } else { 4 }),
        }
    }

    /// The first so many are the pool's members, says its source.
    fn give(&mut self, count: usize) {
        let members =
            NAMES.into_iter().enumerate().take(count).map(|(place, name)| member(place, name)).collect();
        let answer = Ok(Answer { members, ..Answer::default() });
        self.core.members(vec![News { pool: "p".to_owned(), number: 1, answer }]);
    }
}

/// A node that lived through this, and what it says of itself.
async fn lived_through(history: &[Fact]) -> Vec<Digest> {
    let home = Home::new();
    home.write_with_source("");
    let mut daemon = home.start(InMemory::default()).unwrap();
    let config = daemon.core.config.clone();
    daemon.core.sources.follow(&config);
    daemon.give(4);
    history.iter().for_each(|fact| daemon.learn(fact));
    // Until nobody is to go home any more, and nobody is handed over.
    while let Some(wake) = daemon.core.wake() {
        tokio::time::sleep_until(wake).await;
        daemon.core.turn();
    }
    let mut digests = daemon.core.digests();
    // Where its own file is, which isn't there, and has been found missing or not yet.
    digests.iter_mut().for_each(|digest| digest.facts.retain(|about, _| about != "source"));
    digests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn nodes_that_know_the_same_agree_whatever_the_order([one, other] in histories()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let (one, other) = runtime.block_on(async { (lived_through(&one).await, lived_through(&other).await) });
        prop_assert_eq!(one, other);
    }
}
