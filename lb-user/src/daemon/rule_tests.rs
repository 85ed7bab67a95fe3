//! What `siplb plan` foretells, and what wins: the file, or what was done at run time.

use std::collections::BTreeMap;
use std::fs;

use super::fixture::{Daemon, Home};
use super::journal::Who;
use super::live::InMemory;
use crate::control::api::Timing;
use crate::control::error::Kind;
use crate::control::proposal::Proposed;
use crate::pool::changes::Named;
use crate::pool::fixture::{addition, named};
use crate::pool::{Change, State};

const NOW: Timing = Timing { now: true };
const FILE: [&str; 3] = ["a1 10.0.0.1 a 0", "a2 10.0.0.2 a 1", "b1 10.0.0.3 b 0"];

/// Slots of everybody who serves, by `siplb status`.
fn loads(daemon: &Daemon) -> BTreeMap<String, u32> {
    let backends = daemon.core.backends().unwrap().into_iter();
    backends.filter(|backend| backend.slots > 0).map(|backend| (backend.name, backend.slots)).collect()
}

/// Slots of everybody who would serve.
fn foretold(daemon: &Daemon, proposed: &Proposed) -> BTreeMap<String, u32> {
    let pool = daemon.core.preview(proposed).unwrap().pools.remove(0);
    let after = pool.loads.into_iter().filter(|load| load.after_slots > 0);
    after.map(|load| (load.backend.unwrap(), load.after_slots)).collect()
}

#[tokio::test]
async fn what_is_foretold_comes_true_and_nothing_comes_of_foretelling_it() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    for change in [
        Change::State(named("b1"), State::Draining),
        Change::State(named("a1"), State::Maintenance),
        addition("c1", "10.0.0.9"),
        Change::Weight(named("c1"), 300),
        Change::Remove(named("a2")),
        Change::Reset(named("a2")),
        Change::State(named("b1"), State::Active),
    ] {
        let (before, generation) = (loads(&daemon), daemon.core.datapath.generation);
        let foretold = foretold(&daemon, &Proposed::Change(change.clone()));
        assert_eq!((loads(&daemon), daemon.core.datapath.generation), (before, generation), "{change:?}");
        daemon.core.change(&change, NOW, &Who::Daemon).unwrap();
        assert_eq!(loads(&daemon), foretold, "{change:?}");
    }
    home.write(&["a1 10.0.0.1 a 0", "b1 10.0.0.33 b 0", "d1 10.0.0.44 d 0"]);
    let foretold = foretold(&daemon, &Proposed::Reload);
    daemon.core.reload(NOW, &Who::Daemon).unwrap();
    assert_eq!(loads(&daemon), foretold);
}

#[tokio::test]
async fn a_plan_says_how_the_users_would_get_there() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    for (name, state) in [("b1", State::Draining), ("b1", State::Active), ("a1", State::Maintenance)] {
        let change = Change::State(named(name), state);
        let notes = daemon.core.preview(&Proposed::Change(change.clone())).unwrap().notes;
        let done = daemon.core.change(&change, Timing { now: false }, &Who::Daemon).unwrap().done;
        assert_eq!(notes, done[1..], "{change:?}");
    }
    home.write(&FILE[..2]);
    let preview = daemon.core.preview(&Proposed::Reload).unwrap();
    let done = daemon.core.reload(Timing { now: false }, &Who::Daemon).unwrap();
    let told: Vec<String> = done.done.into_iter().filter(|done| !preview.changes.contains(done)).collect();
    assert_eq!(preview.notes, [told, done.kept].concat());
}

#[tokio::test]
async fn a_plan_is_refused_as_the_change_is() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    for change in [
        Change::Remove(named("x")),
        Change::State(Named { pool: Some("q".into()), name: "a1".into() }, State::Draining),
        addition("a1", "10.0.0.9"),
        addition("c1", "10.0.0.1"),
        Change::Reset(named("x")),
    ] {
        let foretold = daemon.core.preview(&Proposed::Change(change.clone())).unwrap_err();
        assert_eq!(foretold, daemon.core.change(&change, NOW, &Who::Daemon).unwrap_err());
    }
    let text = fs::read_to_string(home.file()).unwrap().replace("eth0", "eth1");
    fs::write(home.file(), &text).unwrap();
    let refusal = daemon.core.preview(&Proposed::Reload).unwrap_err();
    assert_eq!(refusal.kind, Kind::Conflict);
    assert_eq!(refusal, daemon.core.reload(NOW, &Who::Daemon).unwrap_err());
}

#[tokio::test]
async fn a_file_that_would_be_reloaded_need_not_be_the_daemons() {
    let home = Home::new();
    let daemon = home.start(InMemory::default()).unwrap();
    let text = fs::read_to_string(home.file()).unwrap();
    let of = |text: String| daemon.core.preview(&Proposed::File("new.toml".into(), text));
    let same = of(text.clone()).unwrap();
    assert!(same.changes.is_empty() && same.pools.iter().all(|pool| pool.moves.is_empty()), "{same:?}");
    let moved = of(text.replace("10.0.0.3", "10.0.0.4")).unwrap();
    assert_eq!(moved.changes, ["backend p/b1 is changed: address 10.0.0.4:5060, was 10.0.0.3:5060"]);
    assert!(moved.pools[0].moves.is_empty(), "another address is no other backend");
    let wrong = of(text.replace("10.0.0.3", "10.0.0.333")).unwrap_err();
    assert!(wrong.what.starts_with("new.toml is wrong, and nothing is changed:\nnew.toml:"), "{wrong}");
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_every_error() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    daemon.core.change(&Change::State(named("a1"), State::Draining), NOW, &Who::Daemon).unwrap();
    let (before, generation) = (daemon.core.backends().unwrap(), daemon.core.datapath.generation);
    home.write(&["a1 10.0.0.1 a 0", "a1 10.0.0.999 a 1", "b1 nowhere b 0"]);
    let refusal = daemon.core.reload(NOW, &Who::Daemon).unwrap_err();
    assert_eq!(refusal.kind, Kind::Bad);
    let file = home.file().display().to_string();
    let lines: Vec<&str> = refusal.what.lines().skip(1).collect();
    assert_eq!(lines.len(), 3, "{refusal}");
    for (line, place) in
        lines.iter().zip(["17: pool.backend.name", "18: pool.backend.address", "23: pool.backend.address"])
    {
        assert!(line.starts_with(&format!("{file}:{place}: ")), "{line}");
    }
    assert_eq!(daemon.core.datapath.generation, generation);
    let after = daemon.core.backends().unwrap();
    assert_eq!(
        after.iter().map(|it| (&it.name, it.state)).collect::<Vec<_>>(),
        before.iter().map(|it| (&it.name, it.state)).collect::<Vec<_>>()
    );
    fs::remove_file(home.file()).unwrap();
    let refusal = daemon.core.reload(NOW, &Who::Daemon).unwrap_err();
    assert!(refusal.kind == Kind::Bad && refusal.what.contains("can't be read"), "{refusal}");
}

#[tokio::test]
async fn what_was_done_at_run_time_outlives_reload_and_restart_and_is_told() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    for change in [
        Change::State(named("a1"), State::Draining),
        Change::Weight(named("b1"), 300),
        Change::Remove(named("a2")),
        addition("c1", "10.0.0.9"),
    ] {
        daemon.core.change(&change, NOW, &Who::Daemon).unwrap();
    }
    let loads_then = loads(&daemon);
    let done = daemon.core.reload(NOW, &Who::Daemon).unwrap();
    let told = [
        "c1 of p stays: added at run time, the file doesn't have it",
        "a2 of p stays removed: done at run time, the file has it",
        "a1 of p stays draining: done at run time",
        "group b of p keeps weight 300: set at run time, the file says 100",
    ];
    assert_eq!(
        (done.done.as_slice(), done.kept.as_slice()),
        (&["nothing is changed".to_owned()][..], &told.map(str::to_owned)[..])
    );
    assert_eq!(loads(&daemon), loads_then);
    let datapath = std::mem::take(&mut daemon.core.datapath);
    let runtime = daemon.core.status().unwrap().runtime;
    drop(daemon);
    let daemon = home.start(datapath).unwrap();
    assert_eq!(loads(&daemon), loads_then);
    let status = daemon.core.status().unwrap();
    assert_eq!(status.runtime, runtime, "since when is known still");
    let shown: Vec<_> = runtime
        .iter()
        .map(|it| (it.kind.as_str(), it.name.as_str(), it.value.as_str(), it.file.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("added", "c1", "10.0.0.9:5060", None),
            ("removed", "a2", "removed", Some("10.0.0.2:5060")),
            ("state", "a1", "draining", Some("active")),
            ("weight", "b", "300", Some("100")),
        ]
    );
    assert!(runtime.iter().all(|it| it.since > 1_600_000_000));
}

#[tokio::test]
async fn a_weight_set_in_both_places_is_the_run_times_until_it_is_reset() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    let weight =
        |daemon: &Daemon| daemon.core.backends().unwrap().iter().find(|it| it.name == "b1").unwrap().weight;
    let write = |weight: u32| {
        home.write(&FILE);
        let text = fs::read_to_string(home.file()).unwrap();
        fs::write(home.file(), format!("{text}weight = {weight}\n")).unwrap();
    };
    daemon.core.change(&Change::Weight(named("b1"), 300), NOW, &Who::Daemon).unwrap();
    write(200);
    let done = daemon.core.reload(NOW, &Who::Daemon).unwrap();
    assert_eq!(done.kept, ["group b of p keeps weight 300: set at run time, the file says 200"]);
    assert_eq!(weight(&daemon), 300);
    let done = daemon.core.change(&Change::Reset(named("b1")), NOW, &Who::Daemon).unwrap();
    assert_eq!(done.done[0], "b1 of p is as the file says again: active, group b weighs 200");
    assert_eq!(weight(&daemon), 200);

    daemon.core.change(&Change::Weight(named("b1"), 300), NOW, &Who::Daemon).unwrap();
    write(300);
    let done = daemon.core.reload(NOW, &Who::Daemon).unwrap();
    assert_eq!(
        done.done,
        ["the weight 300 of group b of p is what the file says now: it goes by the file again"]
    );
    write(50);
    daemon.core.reload(NOW, &Who::Daemon).unwrap();
    assert_eq!(weight(&daemon), 50, "the file's word counts again");
}

#[tokio::test]
async fn the_file_ends_what_no_longer_fits_it() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    daemon.core.change(&Change::State(named("b1"), State::Draining), NOW, &Who::Daemon).unwrap();
    daemon.core.change(&addition("c1", "10.0.0.9"), NOW, &Who::Daemon).unwrap();
    home.write(&["a1 10.0.0.1 a 0", "c1 10.0.0.10 c 0"]);
    let done = daemon.core.reload(NOW, &Who::Daemon).unwrap();
    assert!(done.kept.is_empty());
    for sentence in [
        "c1 of p is taken from the file now, not as it was added",
        "b1 of p is not draining any more: it is gone",
    ] {
        assert!(done.done.iter().any(|done| done == sentence), "{done:?}");
    }
    // It comes back as the file says: what was done to the one that is gone is not kept.
    home.write(&FILE);
    daemon.core.reload(NOW, &Who::Daemon).unwrap();
    let backends = daemon.core.backends().unwrap();
    assert!(backends.iter().all(|backend| backend.state == State::Active));
    // What a change makes superfluous is told by its verb.
    daemon.core.change(&Change::Weight(named("b1"), 300), NOW, &Who::Daemon).unwrap();
    let done = daemon.core.change(&Change::Remove(named("b1")), NOW, &Who::Daemon).unwrap();
    assert_eq!(
        done.done[..2],
        ["b1 of p is removed", "the weight 300 of group b of p is dropped: it has no members"]
    );
}

#[tokio::test]
async fn a_change_says_where_its_time_went() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    home.write(&FILE[..2]);
    let took = daemon.core.reload(NOW, &Who::Daemon).unwrap().took;
    let parts = took.read_us + took.plan_us + took.store_us + took.publish_us;
    assert!(took.read_us > 0 && took.plan_us > 0, "{took}");
    // Each is cut to whole microseconds.
    assert!(parts <= took.total_us && took.total_us <= parts + 1_000, "{took:?}");
}
