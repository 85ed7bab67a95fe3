//! The daemon's logic, on a datapath in memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lb_common::layout::{BackendCounter, Counter};
use lb_common::reason::Reason;

use super::fixture::{Daemon, Home};
use super::journal::Who;
use super::live::InMemory;
use crate::control::api::Timing;
use crate::control::error::Kind;
use crate::health::{Cause, Change as HealthChange, Event, Health, Load, News, Outcome};
use crate::net::Network;
use crate::pool::fixture::{addition, named};
use crate::pool::{Change, State};

const NOW: Timing = Timing { now: true };
const HANDED_OVER: Timing = Timing { now: false };

impl Daemon {
    /// What the checks say of backends of pool `p`.
    pub(super) fn hear(&mut self, news: &[(&str, Health)]) {
        let events = news.iter().map(|(name, to)| {
            let backend = format!("p/{name}");
            let status = self.core.prober.snapshot().into_iter().find(|status| status.backend == backend);
            let (reason, now) = (Outcome::Timeout { after: Duration::ZERO }, Instant::now());
            let from = if *to == Health::Up { Health::Down } else { Health::Up };
            let change = HealthChange { from, to: *to, reason, streak: 3, since: now, at: now };
            let incarnation = status.map_or(0, |status| status.incarnation);
            Event { backend, incarnation, news: News::Health(change) }
        });
        let events = events.collect();
        self.core.health(events);
    }

    /// Time passes, and what was to happen then does.
    async fn passes(&mut self, seconds: u64) {
        let wake = self.core.wake().expect("something is to happen");
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert!(wake <= tokio::time::Instant::now());
        self.core.turn();
    }

    /// What is told of one backend of pool `p`.
    fn tell(&mut self, name: &str, news: News) {
        let backend = format!("p/{name}");
        let status = self.core.prober.snapshot().into_iter().find(|status| status.backend == backend);
        let incarnation = status.map_or(0, |status| status.incarnation);
        self.core.health(vec![Event { backend, incarnation, news }]);
    }

    /// Who serves each group of pool `p`, by the image that is live.
    fn serving(&self) -> Vec<String> {
        let groups = self.core.plan.pools[0].groups.iter();
        let name = |id: &u32| self.core.plan.backends[id].clone();
        groups
            .map(|group| self.core.datapath.image.groups[&group.id].active.as_ref().map_or("-".into(), name))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_is_out_and_comes_back() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    assert_eq!(daemon.serving(), ["a1", "b1"]);
    let image = daemon.core.datapath.image.clone();
    daemon.hear(&[("a1", Health::Down)]);
    assert_eq!(daemon.serving(), ["a2", "b1"]);
    daemon.hear(&[("b1", Health::Down), ("a1", Health::Up)]);
    assert_eq!(daemon.serving(), ["a2", "-"], "its users are with its standby");
    assert_eq!(daemon.core.datapath.generation, 3, "news that came together are one publication");
    assert!(daemon.core.backends().unwrap()[0].is_held);
    daemon.hear(&[("b1", Health::Up)]);
    daemon.passes(30).await;
    assert_eq!(daemon.serving(), ["a2", "b1"], "their users are recorded");
    daemon.passes(32).await;
    assert_eq!(daemon.serving(), ["a1", "b1"]);
    daemon.passes(212).await;
    assert_eq!(daemon.core.datapath.image, image);
    assert_eq!(daemon.core.datapath.forgotten_changes, [1]);
    assert!(daemon.health.try_recv().is_err(), "nobody was checked");
    let told = daemon.core.events(1).events;
    let told: Vec<_> = told.iter().map(|event| (event.event.name(), event.subject.as_str())).collect();
    assert_eq!(
        told,
        [
            ("backend-down", "p/a1"),
            ("backend-down", "p/b1"),
            ("backend-up", "p/a1"),
            ("backend-up", "p/b1"),
            ("failback", "p/a1"),
            ("failback", "p/b1"),
            ("handover-recording", "p"),
            ("handover-switched", "p"),
            ("handover-over", "p")
        ]
    );
}

#[tokio::test]
async fn who_asked_for_less_is_shown_and_takes_nobody_elses_users() {
    let home = Home::new();
    home.write(&["a1 10.0.0.1 a 0", "b1 10.0.0.2 b 0", "c1 10.0.0.3 c 0"]);
    let mut daemon = home.start(InMemory::default()).unwrap();
    let slots = |daemon: &Daemon| -> Vec<u32> {
        daemon.core.backends().unwrap().iter().map(|backend| backend.slots).collect()
    };
    let (before, image) = (slots(&daemon), daemon.core.datapath.image.clone());
    let asked = Some(Duration::from_secs(30));
    daemon
        .tell("b1", News::Load(Load::Overloaded { spared_for: Duration::from_secs(30), retry_after: asked }));
    assert_eq!(daemon.core.datapath.image, image, "it keeps its users");
    daemon.hear(&[("a1", Health::Down)]);
    assert_eq!(slots(&daemon), [0, before[1], before[0] + before[2]]);
    let b1 = daemon.core.backends().unwrap().remove(1);
    assert_eq!((b1.health.as_str(), b1.is_overloaded), ("up", true));
    daemon.tell("b1", News::Load(Load::Relieved));
    assert!(slots(&daemon)[1] > before[1]);
    let told = daemon.core.events(1).events;
    let told: Vec<_> = told.iter().map(|event| event.event.name()).collect();
    assert_eq!(told, ["backend-overloaded", "backend-down", "backend-relieved"]);
}

#[tokio::test]
async fn a_backend_that_falls_silent_is_looked_at_and_stays_what_it_is() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    let id = daemon.core.planner.ids().backends.get("p/b1").unwrap();
    for (requests, replies) in [(0, 0), (10, 10), (20, 10), (30, 10)] {
        let [requests, replies] = [requests, replies].map(|packets| Counter { packets, bytes: 0 });
        daemon.core.datapath.counters.backends.insert(id, BackendCounter { requests, replies });
        daemon.core.look();
    }
    // The check that is made of it is the only one: the interval is an hour, and nothing answers at that address.
    let checked = async {
        loop {
            let history = daemon.core.prober.history("p/b1").unwrap();
            if let Some(check) = history.last() {
                break check.cause;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let cause = tokio::time::timeout(Duration::from_secs(10), checked).await.unwrap();
    assert_eq!(cause, Cause::Silent);
    assert_eq!(daemon.serving(), ["a1", "b1"]);
    assert!(daemon.core.prober.history("p/a1").unwrap().last().is_none());
}

#[tokio::test]
async fn news_of_a_backend_that_is_gone_mean_nothing() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    daemon.core.change(&Change::Remove(named("b1")), NOW, &Who::Daemon).unwrap();
    let before = daemon.core.datapath.generation;
    daemon.hear(&[("b1", Health::Down)]);
    assert_eq!(daemon.core.datapath.generation, before);
}

#[tokio::test]
async fn changes_are_live_at_once_and_outlive_a_restart() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    let done = daemon.core.change(&Change::State(named("a1"), State::Draining), NOW, &Who::Daemon).unwrap();
    assert_eq!(
        (done.done.as_slice(), done.generation),
        (
            &[
                "a1 of p is draining now, was active".to_owned(),
                "32777 of 65537 slots (50.0 % of the users) of pool p have moved at once".to_owned()
            ][..],
            2
        )
    );
    daemon.core.change(&Change::Weight(named("b1"), 300), NOW, &Who::Daemon).unwrap();
    daemon.hear(&[("b1", Health::Down)]);
    assert_eq!(daemon.serving(), ["a2", "-"]);
    let image = daemon.core.datapath.image.clone();

    let datapath = std::mem::take(&mut daemon.core.datapath);
    drop(daemon);
    let mut daemon = home.start(datapath).unwrap();
    assert_eq!(daemon.core.datapath.image, image, "the ids are the same, and what was down is");
    assert_eq!(daemon.core.datapath.generation, 4, "nothing had to be published");
    daemon.hear(&[("b1", Health::Up)]);
    assert!(daemon.core.backends().unwrap()[2].is_held);
    drop(daemon);

    let daemon = home.start(InMemory::default()).unwrap();
    assert_eq!(daemon.serving(), ["a2", "b1"], "on a new datapath everything is up");
}

#[tokio::test(start_paused = true)]
async fn a_handover_outlives_a_restart() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    let done = daemon.core.change(&Change::Remove(named("b1")), HANDED_OVER, &Who::Daemon).unwrap().done;
    assert_eq!(
        done,
        [
            "b1 of p is removed",
            "32760 of 65537 slots (50.0 % of the users) of pool p move in 32s; transactions under way are recorded and \
             finish where they began"
        ]
    );
    assert_eq!(daemon.serving(), ["a1", "b1"]);
    let image = daemon.core.datapath.image.clone();
    let mut datapath = std::mem::take(&mut daemon.core.datapath);
    drop(daemon);

    let mut daemon = home.start(datapath).unwrap();
    assert_eq!(daemon.core.datapath.image, image, "who is removed serves until his users move");
    daemon.passes(32).await;
    assert_eq!(daemon.serving(), ["a1"]);
    assert_eq!(daemon.core.datapath.image.backends.len(), 3, "and finishes");
    datapath = std::mem::take(&mut daemon.core.datapath);
    drop(daemon);

    let mut daemon = home.start(datapath).unwrap();
    assert_eq!(daemon.core.status().unwrap().pools[0].handover.as_ref().unwrap().leaving, ["b1"]);
    daemon.passes(212).await;
    assert_eq!(daemon.core.datapath.image.backends.len(), 2);
    assert_eq!(daemon.core.datapath.forgotten_changes, [1]);
}

#[tokio::test]
async fn what_was_changed_in_the_file_while_no_daemon_ran_is_handed_over() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    let datapath = std::mem::take(&mut daemon.core.datapath);
    drop(daemon);
    home.write(&["a1 10.0.0.1 a 0", "a2 10.0.0.2 a 1"]);
    let daemon = home.start(datapath).unwrap();
    assert_eq!(daemon.serving(), ["a1", "b1"]);
    assert_eq!(daemon.core.status().unwrap().pools[0].handover.as_ref().unwrap().leaving, ["b1"]);
}

#[tokio::test]
async fn what_contradicts_the_leaving_ends_their_handover() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    home.write(&["a1 10.0.0.1 a 0", "a2 10.0.0.2 a 1", "c1 10.0.0.3 c 0"]);
    let done = daemon.core.reload(HANDED_OVER, &Who::Daemon).unwrap().done;
    assert!(done.iter().any(|sentence| sentence.contains("have moved at once")), "{done:?}");
    assert_eq!(daemon.serving(), ["a1", "c1"]);
}

#[tokio::test]
async fn what_can_not_be_published_is_not_changed() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    daemon.core.datapath.is_broken = true;
    let refusal =
        daemon.core.change(&Change::State(named("a1"), State::Maintenance), NOW, &Who::Daemon).unwrap_err();
    assert_eq!((refusal.kind, refusal.what.as_str()), (Kind::Failed, "the datapath is broken"));
    assert_eq!(daemon.core.backends().unwrap()[0].state, State::Active);
    daemon.hear(&[("b1", Health::Down)]);
    daemon.core.datapath.is_broken = false;
    daemon.core.retry();
    assert_eq!(daemon.serving(), ["a1", "-"]);
    drop(daemon);
    let daemon = home.start(InMemory::default()).unwrap();
    assert_eq!(daemon.serving(), ["a1", "b1"]);
}

#[tokio::test]
async fn a_reload_takes_the_file_and_keeps_what_still_applies() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    daemon.core.change(&Change::State(named("a1"), State::Draining), NOW, &Who::Daemon).unwrap();
    daemon.hear(&[("b1", Health::Down)]);
    home.write(&["a1 10.0.0.1 a 0", "a2 10.0.0.2 a 1", "b1 10.0.0.33 b 0"]);
    let done = daemon.core.reload(HANDED_OVER, &Who::Daemon).unwrap().done;
    assert_eq!(done, ["backend p/b1 is changed: address 10.0.0.33:5060, was 10.0.0.3:5060"]);
    assert_eq!(daemon.serving(), ["a2", "b1"], "what is elsewhere now is not known to be down");

    let generation = daemon.core.datapath.generation;
    home.write(&["a1 10.0.0.1 a 0", "a1 10.0.0.2 a 1"]);
    assert_eq!(daemon.core.reload(HANDED_OVER, &Who::Daemon).unwrap_err().kind, Kind::Bad);
    let text =
        std::fs::read_to_string(home.file()).unwrap().replace("eth0", "eth1").replace("\"a1\"", "\"a9\"");
    std::fs::write(home.file(), text.replacen("a9", "a1", 1)).unwrap();
    let refusal = daemon.core.reload(HANDED_OVER, &Who::Daemon).unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.what.as_str()),
        (Kind::Conflict, "node.interfaces can't change while the daemon runs")
    );
    assert_eq!(daemon.core.datapath.generation, generation);

    home.write(&["b1 10.0.0.33 b 0"]);
    let done = daemon.core.reload(HANDED_OVER, &Who::Daemon).unwrap().done;
    assert_eq!(
        done,
        [
            "backend p/a1 is gone",
            "backend p/a2 is gone",
            "a1 of p is not draining any more: it is gone",
            "65537 of 65537 slots (100.0 % of the users) of pool p move in 32s; transactions under way are recorded and \
             finish where they began"
        ]
    );
}

#[tokio::test]
async fn counters_go_by_name_and_start_anew_with_a_new_one() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    let (counter, id) =
        (Counter { packets: 2, bytes: 800 }, daemon.core.planner.ids().backends.get("p/b1").unwrap());
    let counters = &mut daemon.core.datapath.counters;
    counters.backends.insert(id, BackendCounter { requests: counter, ..BackendCounter::default() });
    counters.vips.insert(0, BTreeMap::from([(Reason::Foreign as u8, counter)]));
    counters.vips.insert(1, BTreeMap::from([(Reason::Forwarded as u8, counter), (63, counter)]));
    let status = daemon.core.status().unwrap();
    assert_eq!(status.reasons.keys().collect::<Vec<_>>(), ["foreign", "forwarded", "reason-63"]);
    assert_eq!((status.vips[0].traffic.packets, status.vips[0].reasons.len()), (4, 2));
    assert_eq!(status.pools[0].backends[2].requests.packets, 2);
    assert_eq!(status.pools[0].backends.iter().map(|backend| backend.slots).sum::<u32>(), 65_537);

    daemon.core.change(&Change::Remove(named("b1")), NOW, &Who::Daemon).unwrap();
    daemon.core.change(&addition("c1", "10.0.0.9"), NOW, &Who::Daemon).unwrap();
    let c1 = daemon.core.backends().unwrap().pop().unwrap();
    assert_eq!((c1.name.as_str(), c1.requests.packets), ("c1", 0));
}

#[tokio::test]
async fn what_is_learnt_of_the_network_is_published() {
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    let node = "10.0.0.254".parse().unwrap();
    let next_hop = lb_common::layout::NextHop { interface: 3, ..Default::default() };
    let next_hops = BTreeMap::from([("10.0.0.3".parse().unwrap(), next_hop)]);
    daemon.core.network(Network { local: [node].into(), next_hops, ..Network::default() });
    let image = &daemon.core.datapath.image;
    assert!(image.hosts.contains_key(&node));
    assert_eq!(image.backends.values().filter(|backend| backend.next_hop == Some(next_hop)).count(), 1);
}

#[tokio::test]
async fn one_folder_one_daemon() {
    let home = Home::new();
    let _first = home.start(InMemory::default()).unwrap();
    let refusal = home.start(InMemory::default()).err().unwrap().to_string();
    assert!(refusal.starts_with("another siplb runs already"), "{refusal}");
}
