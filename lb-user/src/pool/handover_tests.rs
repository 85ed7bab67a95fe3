//! Courses over simulated time: each transition by itself, and what no history may break.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::fixture::named;
use super::handover::{Moment, News, Phase};
use super::tests::file;
use super::*;
use crate::config::{Config, Failback, OnGroupDown};
use crate::net::Network;

const SECOND: Duration = Duration::from_secs(1);
const WINDOWS: Windows = Windows { record: Duration::from_secs(32), finish: Duration::from_secs(212) };

/// A daemon's logic without a daemon.
struct Node {
    file: Config,
    changes: Changes,
    courses: Courses,
    planner: Planner,
    down: BTreeSet<String>,
    overloaded: BTreeSet<String>,
    now: Instant,
}

impl Node {
    /// Group `a` with a standby, `b` and `c`.
    fn new(keys: &str) -> Self {
        let file = file(&[("a1", "a", 0), ("a2", "a", 1), ("b1", "b", 0), ("c1", "c", 0)], keys);
        let planner = Planner::new(7, Ids::default());
        let mut node = Self {
            file,
            changes: Changes::default(),
            courses: Courses::default(),
            planner,
            down: BTreeSet::new(),
            overloaded: BTreeSet::new(),
            now: Instant::now(),
        };
        assert_eq!(node.advance(), []);
        node
    }

    fn desired(&self) -> Desired {
        Desired::new(&self.file, &mut self.changes.clone()).0
    }

    fn advance(&mut self) -> Vec<News> {
        self.advance_with(false)
    }

    fn advance_with(&mut self, is_now: bool) -> Vec<News> {
        let desired = self.desired();
        self.planner.number(&self.courses.effective(&desired), &self.courses);
        let at_once = if is_now { BTreeSet::from(["p".to_owned()]) } else { BTreeSet::new() };
        let facts = Facts { down: &self.down, overloaded: &self.overloaded };
        let moment = Moment { now: self.now, windows: WINDOWS, at_once: &at_once, facts };
        let news = self.courses.advance(&desired, &mut self.planner.judge(facts), &moment);
        news.into_iter().map(|(_, news)| news).collect()
    }

    fn after(&mut self, seconds: u32) -> Vec<News> {
        self.now += SECOND * seconds;
        self.advance()
    }

    fn change(&mut self, change: &Change) -> Vec<News> {
        self.changes = self.changes.with(&self.file, change).unwrap().0;
        self.advance()
    }

    fn state(&mut self, name: &str, state: State) -> Vec<News> {
        self.change(&Change::State(named(name), state))
    }

    fn fails(&mut self, name: &str) -> Vec<News> {
        self.down.insert(path("p", name));
        self.advance()
    }

    fn recovers(&mut self, name: &str) -> Vec<News> {
        self.down.remove(&path("p", name));
        self.advance()
    }

    fn plan(&mut self) -> Plan {
        let desired = self.desired();
        let desired = self.courses.effective(&desired);
        let facts = Facts { down: &self.down, overloaded: &self.overloaded };
        self.planner.plan_on(&self.courses, &desired, facts, &Network::default())
    }

    /// Who serves each slot, by name.
    fn owners(&mut self) -> Vec<String> {
        let plan = self.plan();
        let owner = |slot| plan.pools[0].owner(slot).and_then(|group| group.active.as_ref());
        (0..lb_common::slot::SLOTS)
            .map(|slot| owner(slot).map(|(name, _)| name.clone()).unwrap_or_default())
            .collect()
    }

    /// Who serves anything.
    fn serving(&mut self) -> Vec<String> {
        self.owners().into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn phase(&self) -> Option<(Phase, bool)> {
        let handover = self.courses.of("p")?.handover.as_ref()?;
        Some((handover.phase, handover.is_switched))
    }
}

/// The kinds of news, without their numbers.
fn kinds(news: &[News]) -> Vec<&'static str> {
    let kind = |news: &News| match news {
        News::Recording(_) => "recording",
        News::Switched(_) => "switched",
        News::Back(_) => "back",
        News::Finished => "finished",
        News::CalledOff => "called off",
        News::AtOnce(_) => "at once",
        News::Waits => "waits",
        News::Home(_) => "home",
        News::GoesHome(_) => "goes home",
    };
    news.iter().map(kind).collect()
}

#[test]
fn a_drain_records_switches_and_finishes() {
    let mut node = Node::new("");
    let before = node.owners();
    let news = node.state("b1", State::Draining);
    let moving = before.iter().filter(|owner| *owner == "b1").count() as u32;
    assert_eq!(news, [News::Recording(moving)]);
    assert_eq!(node.owners(), before, "nobody has moved");
    assert_eq!(node.after(31), []);
    assert_eq!(node.after(1), [News::Switched(moving)]);
    assert_eq!(node.serving(), ["a1", "c1"]);
    assert_eq!(node.phase(), Some((Phase::Finishing, true)));
    assert_eq!(node.after(211), []);
    assert_eq!(node.after(1), [News::Finished]);
    assert_eq!((node.phase(), node.serving()), (None, vec!["a1".into(), "c1".into()]));
}

#[test]
fn the_image_has_both_owners_of_a_key_that_moves() {
    let mut node = Node::new("");
    node.change(&Change::Remove(named("b1")));
    let recording = node.plan();
    let (vip, group) = (&recording.image.vips[&1], |name: &str| {
        let groups = &recording.pools[0].groups;
        groups.iter().find(|group| group.name == name).unwrap().id
    });
    let change = vip.change.unwrap();
    let (own, other) = (vip.table.unwrap(), change.other_table.unwrap());
    let (own, other) = (&recording.image.tables[&own], &recording.image.tables[&other]);
    let b1 = node.planner.ids().backends.get("p/b1").unwrap();
    assert_eq!(recording.image.groups[&group("b")].active, Some(b1));
    assert_eq!(recording.image.groups[&group("b")].other, None);
    for (here, there) in own.iter().zip(other.iter()) {
        assert_eq!(here == there, u32::from(*here) != group("b"));
    }
    node.after(32);
    let finishing = node.plan();
    assert_eq!(finishing.image.groups[&group("b")].other, Some(b1), "its transactions go on there");
    assert!(finishing.image.backends.contains_key(&b1), "and it is translated for");
    node.after(212);
    assert!(!node.plan().image.backends.contains_key(&b1));
}

#[test]
fn what_moves_nobody_needs_no_handover() {
    let mut node = Node::new("");
    assert_eq!(node.state("a2", State::Draining), []);
    assert_eq!(node.phase(), None);
    assert_eq!(kinds(&node.state("a1", State::Draining)), ["recording"]);
}

#[test]
fn now_is_at_once_even_in_the_middle() {
    let mut node = Node::new("");
    node.changes = node.changes.with(&node.file, &Change::State(named("b1"), State::Draining)).unwrap().0;
    assert_eq!(kinds(&node.advance_with(true)), ["at once"]);
    assert_eq!((node.serving(), node.phase()), (vec!["a1".into(), "c1".into()], None));
    assert_eq!(kinds(&node.state("b1", State::Active)), ["recording"]);
    node.changes = node.changes.with(&node.file, &Change::Weight(named("c1"), 300)).unwrap().0;
    assert_eq!(kinds(&node.advance_with(true)), ["at once"]);
    assert_eq!((node.serving().len(), node.phase()), (3, None));
}

#[test]
fn a_new_aim_takes_a_new_record_and_the_old_one_again_takes_none() {
    let mut node = Node::new("");
    node.state("b1", State::Draining);
    node.after(20);
    assert_eq!(kinds(&node.state("c1", State::Draining)), ["recording"]);
    assert_eq!(node.after(12), [], "who moves from c1 was not recorded for long enough");
    assert_eq!(kinds(&node.after(20)), ["switched"]);
    node.after(212);
    assert_eq!(node.serving(), ["a1"]);

    let mut node = Node::new("");
    node.state("b1", State::Draining);
    node.after(10);
    let before = node.owners();
    assert_eq!(node.state("b1", State::Active), [News::CalledOff]);
    assert_eq!((node.owners(), node.phase()), (before, None));
}

#[test]
fn who_moves_already_need_not_be_recorded_longer() {
    let mut node = Node::new("");
    node.state("b1", State::Draining);
    node.state("c1", State::Draining);
    node.after(20);
    assert_eq!(kinds(&node.state("c1", State::Active)), ["recording"]);
    assert_eq!(kinds(&node.after(12)), ["switched"]);
}

#[test]
fn after_the_switch_what_was_comes_back_at_once_and_all_else_waits() {
    let mut node = Node::new("");
    let before = node.owners();
    node.state("b1", State::Draining);
    node.after(32);
    let drained = node.owners();
    assert_eq!(kinds(&node.state("b1", State::Active)), ["back"]);
    assert_eq!((node.owners(), node.phase()), (before.clone(), Some((Phase::Finishing, false))));
    assert_eq!(kinds(&node.state("b1", State::Draining)), ["switched"]);
    assert_eq!((node.owners(), node.phase()), (drained.clone(), Some((Phase::Finishing, true))));

    assert_eq!(node.state("c1", State::Draining), [News::Waits]);
    assert_eq!(node.owners(), drained);
    assert_eq!(node.advance(), [], "once said is enough");
    assert_eq!(kinds(&node.after(212)), ["finished", "recording"]);
    node.after(32);
    assert_eq!(node.serving(), ["a1"]);
}

#[test]
fn failures_and_maintenance_do_not_wait() {
    let mut node = Node::new("");
    node.state("b1", State::Draining);
    node.fails("a1");
    assert_eq!(node.serving(), ["a2", "b1", "c1"]);
    node.state("c1", State::Maintenance);
    assert_eq!(node.serving(), ["a2", "b1"]);
    assert_eq!(kinds(&node.after(32)), ["switched"]);
    assert_eq!(node.serving(), ["a2"]);
}

#[test]
fn who_is_in_maintenance_is_out_at_once_and_handed_back() {
    let mut node = Node::new("");
    let before = node.owners();
    assert_eq!(node.state("b1", State::Maintenance), []);
    assert_eq!(node.serving(), ["a1", "c1"]);
    assert_eq!(kinds(&node.state("b1", State::Active)), ["recording"]);
    assert_eq!(node.serving(), ["a1", "c1"]);
    assert_eq!(kinds(&node.after(32)), ["switched"]);
    assert_eq!(node.owners(), before);
}

#[test]
fn who_fails_again_before_his_time_waits_from_the_start() {
    let mut node = Node::new("hold-down = \"30s\"");
    node.fails("b1");
    node.recovers("b1");
    assert_eq!(node.after(29), []);
    node.fails("b1");
    assert_eq!(node.after(100), []);
    node.recovers("b1");
    assert_eq!(node.after(29), []);
    assert_eq!(kinds(&node.after(1)), ["goes home", "recording"]);
}

#[test]
fn who_comes_back_goes_home_after_the_hold_down_by_a_handover() {
    let mut node = Node::new("hold-down = \"30s\"");
    let before = node.owners();
    assert_eq!(node.fails("b1"), []);
    let without = node.owners();
    assert_eq!(node.serving(), ["a1", "c1"]);
    assert_eq!(node.recovers("b1"), []);
    assert_eq!(node.owners(), without);
    assert!(node.courses.of("p").unwrap().is_held("b1"));
    assert_eq!(kinds(&node.after(30)), ["goes home", "recording"]);
    assert_eq!(node.owners(), without);
    assert_eq!(kinds(&node.after(32)), ["switched"]);
    assert_eq!(node.owners(), before);
    assert_eq!(node.after(212), [News::Finished]);
}

#[test]
fn who_fails_on_the_way_home_waits_again() {
    let mut node = Node::new("hold-down = \"30s\"");
    node.fails("a1");
    node.recovers("a1");
    node.after(30);
    assert_eq!(node.phase(), Some((Phase::Recording, false)));
    node.fails("a1");
    assert_eq!(node.serving(), ["a2", "b1", "c1"]);
    node.after(40);
    assert_eq!(node.serving(), ["a2", "b1", "c1"], "wherever the handover stands");
    node.recovers("a1");
    assert_eq!(node.serving(), ["a2", "b1", "c1"]);
    node.after(300);
    node.after(300);
    node.after(300);
    assert_eq!((node.serving(), node.phase()), (vec!["a1".into(), "b1".into(), "c1".into()], None));
}

#[test]
fn by_hand_nobody_goes_home_before_he_is_told() {
    let mut node = Node::new("failback = \"manual\"");
    node.fails("a1");
    node.recovers("a1");
    assert_eq!(node.after(100_000), []);
    assert_eq!(node.serving(), ["a2", "b1", "c1"]);
    assert!(node.courses.release("p", "a1"));
    assert_eq!(kinds(&node.advance()), ["recording"]);
    assert_eq!(kinds(&node.after(32)), ["switched"]);
    assert_eq!(node.serving(), ["a1", "b1", "c1"]);
}

#[test]
fn where_nobody_has_to_move_home_is_at_once() {
    let mut node = Node::new("");
    node.fails("a2");
    assert_eq!(node.recovers("a2"), [News::Home("a2".into())], "a standby");

    for name in ["a1", "a2", "b1", "c1"] {
        node.fails(name);
    }
    assert!(node.plan().pools[0].is_panic);
    assert_eq!(node.recovers("b1"), [News::Home("b1".into())], "the first after all were down");
    assert_eq!(node.serving(), ["b1"]);
    assert_eq!(node.recovers("c1"), [], "the second one's users are with the first by now");
    assert_eq!(node.serving(), ["b1"]);

    let mut node = Node::new("on-group-down = \"drop\"");
    node.fails("b1");
    assert_eq!(node.serving(), ["", "a1", "c1"]);
    assert_eq!(node.recovers("b1"), [News::Home("b1".into())], "nobody stood in");
    assert_eq!(node.serving(), ["a1", "b1", "c1"]);
}

#[test]
fn who_fails_while_leaving_does_not_come_back() {
    let mut node = Node::new("");
    node.change(&Change::Remove(named("c1")));
    node.fails("c1");
    let without = node.owners();
    assert_eq!(node.recovers("c1"), []);
    assert_eq!(node.owners(), without);
}

#[test]
fn who_is_home_by_what_is_wanted_can_be_away_by_what_is() {
    let mut node = Node::new("");
    node.fails("c1");
    node.recovers("c1");
    let before = node.owners();
    node.change(&Change::Remove(named("a2")));
    node.change(&Change::Remove(named("a1")));
    assert_eq!(node.fails("b1"), [News::Home("c1".into())], "it is the last one when a1 will have gone");
    assert!(before.iter().zip(node.owners()).all(|(was, is)| *was == is || was == "b1"), "but a1 has not");
}

#[test]
fn all_who_come_back_together_serve_together() {
    let mut node = Node::new("");
    let before = node.owners();
    for name in ["a1", "a2", "b1", "c1"] {
        node.fails(name);
    }
    node.down.clear();
    assert_eq!(kinds(&node.advance()), ["home"; 4]);
    assert_eq!(node.owners(), before);
}

#[test]
fn who_is_overloaded_does_not_go_home() {
    let mut node = Node::new("hold-down = \"0s\"");
    node.fails("b1");
    node.overloaded.insert("p/b1".into());
    assert_eq!(node.recovers("b1"), []);
    assert_eq!(node.courses.wake(&node.desired(), WINDOWS, node.now), None, "time alone changes nothing");
    node.overloaded.clear();
    assert_eq!(kinds(&node.advance()), ["goes home", "recording"]);
}

/// Something that happens to a node.
#[derive(Clone, Debug)]
enum Event {
    Fails(&'static str),
    Recovers(&'static str),
    State(&'static str, State),
    Weight(&'static str, u32),
    Remove(&'static str),
    Passes(u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let name = || prop::sample::select(vec!["a1", "a2", "b1", "c1"]);
    let state = prop::sample::select(vec![State::Active, State::Draining, State::Maintenance]);
    let event = prop_oneof![
        name().prop_map(Event::Fails),
        name().prop_map(Event::Recovers),
        (name(), state).prop_map(|(name, state)| Event::State(name, state)),
        (name(), prop::sample::select(vec![50, 100])).prop_map(|(name, weight)| Event::Weight(name, weight)),
        name().prop_map(Event::Remove),
        (1_u32..100).prop_map(Event::Passes),
    ];
    prop::collection::vec(event, 1..16)
}

impl Node {
    fn takes(&mut self, event: Event) {
        match event {
            Event::Fails(name) => drop(self.fails(name)),
            Event::Recovers(name) => drop(self.recovers(name)),
            Event::Passes(seconds) => drop(self.after(seconds)),
            Event::State(name, state) => self.tries(&Change::State(named(name), state)),
            Event::Weight(name, weight) => self.tries(&Change::Weight(named(name), weight)),
            Event::Remove(name) => self.tries(&Change::Remove(named(name))),
        }
    }

    /// What is gone can't be changed.
    fn tries(&mut self, change: &Change) {
        if let Ok((changes, _)) = self.changes.with(&self.file, change) {
            self.changes = changes;
            self.advance();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Whatever happened: when all are up again and time passes, what is wanted is in effect, as if nothing had been.
    #[test]
    fn every_state_has_a_way_out(events in events(), drops in any::<bool>()) {
        let mut node = Node::new("hold-down = \"30s\"");
        node.file.pools[0].on_group_down = if drops { OnGroupDown::Drop } else { OnGroupDown::Remap };
        for event in events {
            node.takes(event);
            let desired = node.desired();
            let wake = node.courses.wake(&desired, WINDOWS, node.now);
            prop_assert!(node.phase().is_none() || wake.is_some(), "a phase that nothing ends");
        }
        node.down.clear();
        node.advance();
        for _ in 0..8 {
            node.after(300);
        }
        prop_assert_eq!(node.phase(), None);
        let mut planner = Planner::new(7, node.planner.ids().clone());
        let fresh = planner.plan(&node.desired(), Facts::NONE, &Network::default());
        prop_assert_eq!(node.plan().image, fresh.image);
    }

    /// A handover moves a user by the switch alone; a failure moves those of who failed alone. So a slot whose owner could
    /// still serve changes hands only at a switch, by the operator's `--now`, or when a better one comes home for nothing.
    #[test]
    fn nobody_moves_from_who_can_serve_but_by_a_switch(events in events()) {
        let mut node = Node::new("hold-down = \"30s\"\nfailback = \"auto\"");
        prop_assert_eq!(node.file.pools[0].failback, Failback::Auto);
        for event in events {
            let before = node.owners();
            let was_panic = node.plan().pools[0].is_panic;
            let is_time = matches!(event, Event::Passes(_));
            node.takes(event);
            let plan = node.plan();
            if is_time || was_panic || plan.pools[0].is_panic {
                continue;
            }
            let desired = node.desired();
            let states: BTreeMap<&str, State> = before
                .iter()
                .filter(|name| !name.is_empty())
                .map(|name| (name.as_str(), desired.state("p", name)))
                .collect();
            for (slot, (was, is)) in before.iter().zip(node.owners()).enumerate() {
                let could = states.get(was.as_str()).is_some_and(|state| *state != State::Maintenance)
                    && !node.down.contains(&path("p", was));
                prop_assert!(*was == is || !could || node.phase() == Some((Phase::Finishing, false))
                    || node.phase() == Some((Phase::Finishing, true)), "slot {} went from {} to {}", slot, was, is);
            }
        }
    }
}
