//! What a plan promises, over random pools and histories.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::changes::Named;
use super::fixture::named;
use super::*;
use crate::config::{self, Config};
use crate::net::Network;

const SEED: u64 = 7;

/// A file with pool `p` of these backends: name, group, priority.
pub(super) fn file(backends: &[(&str, &str, u8)], pool_keys: &str) -> Config {
    let mut text = format!(
        "[node]\ninterfaces = [\"eth0\"]\nhash-key = \"hex:{}\"\n[[vip]]\naddress = \"192.0.2.10\"\npool = \"p\"\n\
         [[pool]]\nname = \"p\"\n{pool_keys}\n",
        "0".repeat(32)
    );
    for (number, (name, group, priority)) in backends.iter().enumerate() {
        text += &format!(
            "[[pool.backend]]\nname = \"{name}\"\naddress = \"10.0.0.{}\"\ngroup = \"{group}\"\npriority = {priority}\n",
            number + 1
        );
    }
    config::parse(&text, "siplb.toml").unwrap()
}

/// Three groups, of which `a` has a standby.
fn three_groups() -> Config {
    file(&[("a1", "a", 0), ("a2", "a", 1), ("b1", "b", 0), ("c1", "c", 0)], "")
}

fn down(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| path("p", name)).collect()
}

fn facts(down: &BTreeSet<String>) -> Facts<'_> {
    Facts { down, ..Facts::NONE }
}

fn planner() -> Planner {
    Planner::new(SEED, Ids::default())
}

/// Which group has each slot, by name.
fn owners(plan: &Plan) -> Vec<String> {
    let pool = &plan.pools[0];
    (0..lb_common::slot::SLOTS)
        .map(|slot| pool.owner(slot).map(|group| group.name.clone()).unwrap_or_default())
        .collect()
}

fn with(file: &Config, changes: &[Change]) -> Changes {
    changes.iter().fold(Changes::default(), |all, change| all.with(file, change).unwrap().0)
}

fn desired(file: &Config, changes: &[Change]) -> Desired {
    Desired::new(file, &mut with(file, changes)).0
}

/// Something that happens to a daemon.
#[derive(Clone, Debug)]
enum Event {
    Health(&'static str, bool),
    Load(&'static str, bool),
    State(&'static str, State),
    Weight(&'static str, u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let name = || prop::sample::select(vec!["a1", "a2", "b1", "c1"]);
    let state = prop::sample::select(vec![State::Active, State::Draining, State::Maintenance]);
    let event = prop_oneof![
        (name(), any::<bool>()).prop_map(|(name, is_up)| Event::Health(name, is_up)),
        (name(), any::<bool>()).prop_map(|(name, is_overloaded)| Event::Load(name, is_overloaded)),
        (name(), state).prop_map(|(name, state)| Event::State(name, state)),
        (name(), prop::sample::select(vec![50, 100])).prop_map(|(name, weight)| Event::Weight(name, weight)),
    ];
    prop::collection::vec(event, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A daemon that lived through it all and one that starts at its end publish the same.
    #[test]
    fn a_plan_knows_no_history(events in events()) {
        let file = three_groups();
        let (mut changes, mut is_down) = (Changes::default(), BTreeSet::new());
        let mut overloaded = BTreeSet::new();
        let mut old = planner();
        let mut last = old.plan(&Desired::of_file(file.clone()), facts(&is_down), &Network::default());
        for event in events {
            match event {
                Event::Health(name, true) => drop(is_down.remove(&path("p", name))),
                Event::Health(name, false) => drop(is_down.insert(path("p", name))),
                Event::Load(name, false) => drop(overloaded.remove(&path("p", name))),
                Event::Load(name, true) => drop(overloaded.insert(path("p", name))),
                Event::State(name, state) => changes = changes.with(&file, &Change::State(named(name), state)).unwrap().0,
                Event::Weight(name, weight) => changes = changes.with(&file, &Change::Weight(named(name), weight)).unwrap().0,
            }
            let desired = Desired::new(&file, &mut changes.clone()).0;
            let facts = Facts { down: &is_down, overloaded: &overloaded };
            last = old.plan(&desired, facts, &Network::default());
        }
        let mut new = Planner::new(SEED, old.ids().clone());
        let desired = Desired::new(&file, &mut changes).0;
        let facts = Facts { down: &is_down, overloaded: &overloaded };
        let fresh = new.plan(&desired, facts, &Network::default());
        prop_assert_eq!(&fresh.image, &last.image);
        prop_assert_eq!(&fresh.pools, &last.pools);
        prop_assert_eq!(digest::digest(&fresh.pools[0]), digest::digest(&last.pools[0]));
    }
}

#[test]
fn a_primary_that_fails_is_one_store_and_moves_nobody() {
    let mut planner = planner();
    let desired = Desired::of_file(three_groups());
    let before = planner.plan(&desired, facts(&down(&[])), &Network::default());
    let after = planner.plan(&desired, facts(&down(&["a1"])), &Network::default());
    assert_eq!(before.image.tables, after.image.tables);
    assert_eq!(after.pools[0].groups[0].active.as_ref().unwrap().0, "a2");
    assert_eq!(after.differences(&before), ["group p/a is served by a2, was by a1"]);
}

#[test]
fn a_group_that_fails_gives_up_its_own_slots_alone_and_gets_them_back() {
    let mut planner = planner();
    let desired = Desired::of_file(three_groups());
    let before = planner.plan(&desired, facts(&down(&[])), &Network::default());
    let failed = planner.plan(&desired, facts(&down(&["b1"])), &Network::default());
    for (was, is) in owners(&before).iter().zip(owners(&failed)) {
        assert!(*was == is || was == "b" && is != "b");
    }
    assert!(!owners(&failed).contains(&"b".to_owned()));
    assert_eq!(planner.plan(&desired, facts(&down(&[])), &Network::default()).image, before.image);
}

#[test]
fn draining_moves_what_a_failure_would() {
    let file = three_groups();
    let drained = desired(&file, &[Change::State(named("b1"), State::Draining)]);
    let drained = planner().plan(&drained, facts(&down(&[])), &Network::default());
    let failed = planner().plan(&Desired::of_file(file), facts(&down(&["b1"])), &Network::default());
    assert_eq!(owners(&drained), owners(&failed));
    assert_eq!(drained.pools[0].groups[1].active.as_ref().unwrap().0, "b1", "it still serves what names it");
}

#[test]
fn a_group_that_is_to_drop_keeps_its_slots() {
    let file = file(&[("a1", "a", 0), ("b1", "b", 0)], "on-group-down = \"drop\"");
    let desired = Desired::of_file(file);
    let before = planner().plan(&desired, facts(&down(&[])), &Network::default());
    let failed = planner().plan(&desired, facts(&down(&["b1"])), &Network::default());
    assert_eq!(before.image.tables, failed.image.tables);
    assert_eq!(failed.image.groups[&failed.pools[0].groups[1].id].active, None);
    assert!(!failed.pools[0].is_panic);
}

#[test]
fn everything_down_is_as_everything_up() {
    let desired = Desired::of_file(three_groups());
    let before = planner().plan(&desired, facts(&down(&[])), &Network::default());
    let failed = planner().plan(&desired, facts(&down(&["a1", "a2", "b1", "c1"])), &Network::default());
    assert_eq!(before.image, failed.image);
    assert!(failed.pools[0].is_panic && failed.pools[0].groups.iter().all(|group| !group.is_up));
}

#[test]
fn a_digest_depends_on_the_table_and_not_on_ids() {
    let file = three_groups();
    let mut other = planner();
    other.plan(&desired(&file, &[Change::Remove(named("b1"))]), facts(&down(&[])), &Network::default());
    let (here, there) = (
        planner().plan(&Desired::of_file(file.clone()), facts(&down(&[])), &Network::default()),
        other.plan(&Desired::of_file(file.clone()), facts(&down(&[])), &Network::default()),
    );
    assert_ne!(here.image, there.image);
    assert_eq!(digest::digest(&here.pools[0]), digest::digest(&there.pools[0]));
    let failed = planner().plan(&Desired::of_file(file), facts(&down(&["b1"])), &Network::default());
    assert_ne!(digest::digest(&here.pools[0]), digest::digest(&failed.pools[0]));
}

fn add(name: &str, address: &str, group: &str, weight: Option<u32>) -> Change {
    let backend = NewBackend {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        port: 5060,
        group: Some(group.to_owned()),
        priority: 2,
        weight,
        aliases: Vec::new(),
    };
    Change::Add { pool: "p".to_owned(), backend }
}

#[test]
fn a_change_that_contradicts_what_is_there_is_refused() {
    let file = three_groups();
    let refused = |change: Change| Changes::default().with(&file, &change).unwrap_err();
    assert_eq!(refused(Change::Remove(named("x"))), Refusal::NoBackend("x".into()));
    assert_eq!(
        refused(Change::Remove(Named { pool: Some("q".into()), name: "a1".into() })),
        Refusal::NoPool("q".into())
    );
    assert!(matches!(refused(add("a1", "10.0.0.99", "a", None)), Refusal::Exists { .. }));
    assert!(matches!(refused(add("a3", "10.0.0.1", "a", None)), Refusal::Contradiction(_)));
    assert!(matches!(refused(add("a3", "10.0.0.99", "a", Some(50))), Refusal::Weight { .. }));
    let mut elsewhere = add("a3", "10.0.0.99", "a", None);
    if let Change::Add { pool, .. } = &mut elsewhere {
        *pool = "q".to_owned();
    }
    assert_eq!(refused(elsewhere), Refusal::NoPool("q".into()));
}

#[test]
fn an_added_backend_is_held_to_names_and_ways_of_forwarding() {
    let add_with = |port, alias: &str| {
        let Change::Add { pool, backend } = add("d1", "10.0.0.99", "d", None) else { panic!("an addition") };
        Change::Add { pool, backend: NewBackend { port, aliases: vec![alias.to_owned()], ..backend } }
    };
    let told = |file: &Config, change| match Changes::default().with(file, &change) {
        Ok((_, done)) => done,
        Err(refusal) => format!("{refusal}; {}", refusal.mend()),
    };
    let file = three_groups();
    assert_eq!(
        told(&file, add_with(5060, "d1.example.com")),
        "d1 of p is added: 10.0.0.99:5060, group d, priority 2"
    );
    assert_eq!(
        told(&file, add_with(5060, "10.0.0.1")),
        "\"10.0.0.1\" is for any port, but \"10.0.0.1:5060\" already names backend \"a1\"; \
         write the port that is meant, or let the host name one of the two"
    );
    let dsr = super::tests::file(&[("a1", "a", 0)], "forward = \"dsr\"");
    assert_eq!(
        told(&dsr, add_with(5070, "d1.example.com")),
        "5070 is not its VIP's port 5060, and \"dsr\" can't change it; write port = 5060, or forward by \"nat\""
    );
    let mut changes = with(&file, &[add_with(5060, "d1.example.com")]);
    let mut taken = file;
    taken.vips[0].domains = vec!["d1.example.com".to_owned()];
    let (desired, notes) = Desired::new(&taken, &mut changes);
    assert!(desired.backend("p", "d1").is_none());
    assert_eq!(
        notes,
        ["d1, added to p, is dropped: \"d1.example.com\" already names the VIP 192.0.2.10:5060"]
    );
}

#[test]
fn changes_add_up_and_undo_each_other() {
    let file = three_groups();
    let changes = with(
        &file,
        &[
            add("d1", "10.0.0.99", "d", Some(50)),
            Change::Remove(named("b1")),
            Change::Weight(named("a2"), 200),
            Change::State(named("d1"), State::Draining),
        ],
    );
    let desired = Desired::new(&file, &mut changes.clone()).0;
    let names: Vec<&str> = desired.backends().map(|(_, backend)| backend.name.as_str()).collect();
    assert_eq!(names, ["a1", "a2", "c1", "d1"]);
    assert_eq!(desired.backend("p", "a1").unwrap().weight, 200);
    assert_eq!(desired.backend("p", "d1").unwrap().weight, 50);
    assert_eq!(desired.state("p", "d1"), State::Draining);
    let undone = [
        Change::Remove(named("d1")),
        Change::State(named("c1"), State::Maintenance),
        Change::State(named("c1"), State::Active),
    ];
    let changes = undone.iter().fold(changes, |all, change| all.with(&file, change).unwrap().0);
    assert!(changes.pools["p"].added.is_empty() && changes.pools["p"].states.is_empty());
    let mut back = add("b1", "10.0.0.3", "b", None);
    if let Change::Add { backend, .. } = &mut back {
        backend.priority = 0;
    }
    let changes = changes.with(&file, &back).unwrap().0;
    assert!(
        changes.pools["p"].removed.is_empty() && changes.pools["p"].added.is_empty(),
        "it is the file's again"
    );
}

#[test]
fn the_file_wins_over_changes_that_no_longer_apply() {
    let old = three_groups();
    let mut changes = with(
        &old,
        &[
            add("e1", "10.0.0.99", "e", None),
            Change::State(named("c1"), State::Draining),
            Change::Remove(named("b1")),
            Change::Weight(named("a1"), 50),
        ],
    );
    changes.pools.get_mut("p").unwrap().added.insert(
        "d1".into(),
        changes::Added {
            address: "10.0.0.1".parse().unwrap(),
            port: 5060,
            group: "d".into(),
            priority: 0,
            weight: 100,
            aliases: Vec::new(),
        },
    );
    let new = file(&[("a1", "a", 0)], "");
    let (desired, notes) = Desired::new(&new, &mut changes);
    let names: Vec<&str> = desired.backends().map(|(_, backend)| backend.name.as_str()).collect();
    assert_eq!(names, ["a1", "e1"]);
    assert_eq!(desired.backend("p", "a1").unwrap().weight, 50);
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert_eq!(Desired::new(&new, &mut changes), (desired, Vec::new()), "once said is enough");
}

#[test]
fn a_lookup_goes_by_the_scanner() {
    use lookup::{LookupError, Which, lookup};
    let desired = Desired::of_file(three_groups());
    let plan = planner().plan(&desired, facts(&down(&[])), &Network::default());
    let ask = |uri: &str| lookup(uri, Which::default(), &desired, &plan, SEED);
    let alice = ask("sip:alice@example.com").unwrap();
    for same in ["sip:%61lice@h", "sips:Alice:pw@h", "sip:alice;x=1@h"] {
        let owner = ask(same).unwrap();
        assert_eq!(
            (owner.slot, &owner.group, &owner.backend),
            (alice.slot, &alice.group, &alice.backend),
            "{same}"
        );
    }
    assert_eq!(ask("tel:+1-201-555-0123").unwrap().key, "+12015550123");
    for nobody in ["sip:example.com", "alice", "urn:service:sos", "", "sip:a b@h", "sip::pw@h"] {
        assert_eq!(ask(nobody), Err(LookupError::NoUser(nobody.to_owned())), "{nobody}");
    }
    let elsewhere = Which { pool: Some("q"), vip: None };
    assert!(matches!(lookup("sip:a@h", elsewhere, &desired, &plan, SEED), Err(LookupError::NoVip(_))));
}

#[test]
fn who_asked_for_less_is_spared_the_users_of_a_group_that_is_down() {
    let file = file(&[("a1", "a", 0), ("b1", "b", 0), ("c1", "c", 0)], "");
    let desired = Desired::of_file(file);
    let overloaded = down(&["b1"]);
    let is_down = down(&["a1"]);
    let before =
        planner().plan(&desired, Facts { overloaded: &overloaded, ..Facts::NONE }, &Network::default());
    let idle = planner().plan(&desired, Facts::NONE, &Network::default());
    assert_eq!(before.image, idle.image, "overload alone moves nobody");
    let failed = Facts { down: &is_down, overloaded: &overloaded };
    let failed = planner().plan(&desired, failed, &Network::default());
    let (old, new) = (owners(&idle), owners(&failed));
    assert!(old.iter().zip(&new).all(|(old, new)| match old.as_str() {
        "a" => new == "c",
        kept => new == kept,
    }));
    assert!(failed.pools[0].groups[1].is_up && failed.pools[0].groups[1].slots > 0);
}
