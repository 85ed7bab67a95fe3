//! What the daemon makes of what sources say.

use super::fixture::{Daemon, Home};
use super::journal::Who;
use super::live::InMemory;
use crate::config::Member;
use crate::control::api::Timing;
use crate::control::error::Kind;
use crate::pool::changes::Named;
use crate::pool::{Change, State};
use crate::source::{Answer, News, SourceError};

const NOW: Timing = Timing { now: true };

fn member(name: &str, last: u8, group: &str) -> Member {
    let group = Some(group.to_owned());
    Member { group, ..Member::new(name, [10, 0, 0, last].into()) }
}

fn three() -> Vec<Member> {
    vec![member("b1", 3, "b"), member("a1", 1, "a"), Member { priority: 1, ..member("a2", 2, "a") }]
}

impl Daemon {
    /// What the source of pool `p` says.
    fn told(&mut self, members: Vec<Member>) {
        self.answered(Ok(Answer { members, ..Answer::default() }));
    }

    fn answered(&mut self, answer: Result<Answer, SourceError>) {
        self.core.members(vec![News { pool: "p".to_owned(), number: 1, answer }]);
    }

    /// Backends that are wanted, with their states.
    fn backends(&self) -> Vec<String> {
        let state = |name: &str| self.core.desired.state("p", name);
        let backends = self.core.desired.backends();
        backends.map(|(_, backend)| format!("{} {}", backend.name, state(&backend.name))).collect()
    }

    fn complaint(&self) -> Option<String> {
        self.core.status().unwrap().pools[0].source.as_ref().unwrap().error.clone()
    }
}

fn started(home: &Home) -> Daemon {
    let mut daemon = home.start(InMemory::default()).unwrap();
    // Followed from the first change on; a running daemon does so before it starts.
    let config = daemon.core.config.clone();
    daemon.core.sources.follow(&config);
    daemon
}

#[tokio::test]
async fn what_a_source_gives_lies_under_the_operators_changes() {
    let home = Home::new();
    home.write_with_source("");
    let mut daemon = started(&home);
    assert!(daemon.backends().is_empty());
    daemon.told(three());
    assert_eq!(daemon.backends(), ["a1 active", "a2 active", "b1 active"], "by name, whatever the order");
    let named = |name: &str| Named { pool: None, name: name.to_owned() };
    daemon.core.change(&Change::State(named("b1"), State::Draining), NOW, &Who::Daemon).unwrap();
    daemon.core.change(&Change::Remove(named("a2")), NOW, &Who::Daemon).unwrap();
    daemon.told([three(), vec![member("c1", 4, "c")]].concat());
    assert_eq!(daemon.backends(), ["a1 active", "b1 draining", "c1 active"]);
    daemon.told(vec![member("a1", 1, "a"), member("c1", 4, "c")]);
    daemon.told(three());
    assert_eq!(daemon.backends(), ["a1 active", "a2 active", "b1 active"], "what left and came back is new");
}

#[tokio::test]
async fn a_source_that_fails_or_says_nothing_sensible_changes_nothing() {
    let home = Home::new();
    home.write_with_source("domains = [\"example.com\"]");
    let mut daemon = started(&home);
    daemon.told(three());
    let (image, generation) = (daemon.core.datapath.image.clone(), daemon.core.datapath.generation);
    let mut twice = three();
    twice.push(member("c1", 1, "c"));
    let mut named = three();
    named[0].aliases = vec!["example.com".to_owned()];
    let weighs = |weight| Member { weight: Some(weight), ..member("a9", 9, "a") };
    for (answer, expected) in [
        (Ok(Vec::new()), "it has no members any more: the last ones are kept"),
        (Ok(twice), "10.0.0.1:5060 is already backend \"a1\" of this pool: the last members are kept"),
        (Ok(named), "\"example.com\" already names the VIP 192.0.2.10:5060: the last members are kept"),
        (
            Ok([three(), vec![weighs(7), Member { name: "a8".into(), ..weighs(8) }]].concat()),
            "10.0.0.9:5060 is already backend \"a8\" of this pool: the last members are kept",
        ),
        (Err(SourceError::Entry { key: "k".into(), what: "w".into() }), "k is no member: w"),
    ] {
        daemon.answered(answer.map(|members| Answer { members, ..Answer::default() }));
        assert_eq!(daemon.complaint().as_deref(), Some(expected));
        assert_eq!(daemon.core.datapath.image, image);
    }
    let complaint = Some("one name fails".to_owned());
    daemon.answered(Ok(Answer { members: three(), complaint: complaint.clone(), revision: None }));
    assert_eq!(daemon.complaint(), complaint);
    daemon.told(three());
    assert_eq!((daemon.complaint(), daemon.core.datapath.generation), (None, generation));
}

#[tokio::test]
async fn what_was_given_last_outlives_a_restart_with_a_silent_source() {
    let home = Home::new();
    home.write_with_source("");
    let mut daemon = started(&home);
    daemon.told(three());
    let image = daemon.core.datapath.image.clone();
    let datapath = std::mem::take(&mut daemon.core.datapath);
    drop(daemon);
    let daemon = home.start(datapath).unwrap();
    assert_eq!((&daemon.core.datapath.image, daemon.backends().len()), (&image, 3));
    assert_eq!(daemon.core.datapath.generation, 2, "nothing had to be published");
    drop(daemon);

    // A file that contradicts what was stored goes before it.
    home.write_with_source("names = [\"10.0.0.1:5060\"]");
    assert!(home.start(InMemory::default()).unwrap().backends().is_empty());
}

#[tokio::test]
async fn a_file_that_contradicts_the_members_is_refused() {
    let home = Home::new();
    home.write_with_source("");
    let mut daemon = started(&home);
    daemon.told(three());
    home.write_with_source("names = [\"10.0.0.1:5060\"]");
    let refusal = daemon.core.reload(NOW, &Who::Daemon).unwrap_err();
    assert_eq!(refusal.kind, Kind::Conflict, "{refusal}");
    assert!(refusal.what.contains("as the members go that sources gave"), "{refusal}");
    assert_eq!(daemon.backends().len(), 3);

    home.write(&["a1 10.0.0.1 a 0"]);
    daemon.core.reload(NOW, &Who::Daemon).unwrap();
    assert_eq!(daemon.backends(), ["a1 active"], "the file lists them itself now");
    daemon.told(three());
    assert_eq!(daemon.backends(), ["a1 active"], "nobody asks the source any more");
}

#[tokio::test]
async fn what_can_not_be_published_is_tried_again() {
    let home = Home::new();
    home.write_with_source("");
    let mut daemon = started(&home);
    daemon.core.datapath.is_broken = true;
    daemon.told(three());
    assert!(daemon.backends().is_empty() && daemon.complaint().unwrap().contains("can't be put in force"));
    daemon.core.datapath.is_broken = false;
    daemon.core.retry();
    assert_eq!((daemon.backends().len(), daemon.complaint()), (3, None));
}

#[tokio::test]
async fn a_file_source_is_followed_from_the_start() {
    let home = Home::new();
    home.write_with_source("");
    let pool = home.folder.path().join("pool.toml");
    std::fs::write(&pool, "[[backend]]\nname = \"a1\"\naddress = \"10.0.0.1\"\n").unwrap();
    let mut daemon = started(&home);
    let news = daemon.members.recv().await.unwrap();
    daemon.core.members(vec![news]);
    assert_eq!((daemon.backends(), daemon.complaint()), (vec!["a1 active".to_owned()], None));
    assert_eq!(
        daemon.core.digests()[0].facts["config"]["backend a1"],
        "10.0.0.1:5060 group a1 priority 0 weight 100"
    );
}
