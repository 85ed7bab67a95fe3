//! Leads the pools from what is in effect to what is wanted: the part of the core that [`pool::handover`] needs facts for,
//! and the form in which courses outlive the daemon.
//!
//! [`pool::handover`]: crate::pool::handover

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use lb_common::slot::SLOTS;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::core::Core;
use super::journal::{Kind, Who};
use super::live::Live;
use crate::config::{Backend, OwnPort, Pool, contradictions, show_duration};
use crate::control::error::told;
use crate::pool::handover::{Handover, Moment, News, Phase};
use crate::pool::{Course, Courses, Desired, Facts, Roster, path};

impl<D: Live> Core<D> {
    /// Brings the courses up to now. The users of the pools in `at_once` are not handed over. Returns what happened, by
    /// pool.
    pub(super) fn steer(&mut self, at_once: &BTreeSet<String>) -> Vec<(String, News)> {
        let before = self.courses.numbers();
        let mut news = self.part_the_contradictory();
        self.planner.number(&self.courses.effective(&self.desired), &self.courses);
        let facts = Facts { down: &self.down, overloaded: &self.overloaded };
        self.steered = Instant::now().into_std();
        let moment = Moment { now: self.steered, windows: self.desired.config.handover, at_once, facts };
        let mut judge = self.planner.judge(facts);
        news.extend(self.courses.advance(&self.desired, &mut judge, &moment));
        self.ended.extend(before.difference(&self.courses.numbers()));
        news
    }

    /// Where a backend that is leaving and what is wanted can't both be, it leaves at once.
    fn part_the_contradictory(&mut self) -> Vec<(String, News)> {
        let effective = self.courses.effective(&self.desired);
        // What is live has been judged.
        let is_new = matches!(effective, Cow::Owned(_)) && *effective != self.effective;
        if !is_new || contradictions(&effective.config).problems.is_empty() {
            return Vec::new();
        }
        self.courses.part(&self.desired)
    }

    /// Logs what happened and puts it into the journal. Returns it as sentences.
    pub(super) fn tell(&mut self, news: &[(String, News)]) -> Vec<String> {
        let mut told = Vec::new();
        for (pool, news) in news {
            let sentence = sentence(pool, news, &self.desired);
            log::info!("{sentence}");
            let subject = match news {
                News::Home(name) | News::GoesHome(name) => path(pool, name),
                _ => pool.clone(),
            };
            self.journal.record(kind(news), subject, &sentence, &Who::Daemon);
            told.push(sentence);
        }
        told
    }

    /// Forgets the transactions of handovers that are over; what fails is tried again with the next publication.
    pub(super) fn forget_ended(&mut self) {
        let datapath = &mut self.datapath;
        self.ended.retain(|number| match datapath.forget_transactions(*number) {
            Ok(()) => false,
            Err(error) => {
                log::error!("transactions of a handover that is over are recorded still: {}", told(&error));
                true
            }
        });
    }

    /// Stores the courses if they are others than those that were stored.
    pub(super) fn store_courses(&mut self) {
        if self.stored_courses.as_ref() == Some(&self.courses) {
            return;
        }
        match self.store.store_courses(&Stored::of(&self.courses)) {
            Ok(()) => self.stored_courses = Some(self.courses.clone()),
            Err(error) => {
                log::error!("the next daemon will not know what users are handed over: {}", told(&error));
            }
        }
    }

    /// When the courses have to be looked at again if nothing happens before.
    pub(super) fn wake(&self) -> Option<Instant> {
        let wake = self.courses.wake(&self.desired, self.desired.config.handover, self.steered);
        wake.map(Instant::from_std)
    }

    /// A handover's time has come, or a backend's to go home.
    pub(super) fn turn(&mut self) {
        self.settle();
        self.check();
    }
}

/// What the journal has it as.
fn kind(news: &News) -> Kind {
    match news {
        News::Recording(_) => Kind::HandoverRecording,
        News::Switched(_) => Kind::HandoverSwitched,
        News::Back(_) => Kind::HandoverBack,
        News::Finished | News::CalledOff => Kind::HandoverOver,
        News::AtOnce(_) => Kind::MovedAtOnce,
        News::Waits => Kind::HandoverAwaited,
        News::Home(_) | News::GoesHome(_) => Kind::Failback,
    }
}

/// What happened, for people.
pub(super) fn sentence(pool: &str, news: &News, desired: &Desired) -> String {
    let windows = desired.config.handover;
    let (record, finish) = (show_duration(windows.record), show_duration(windows.finish));
    let slots = |slots: &u32| {
        format!("{slots} of {SLOTS} slots ({:.1} % of the users) of pool {pool}", percent(*slots))
    };
    match news {
        News::Recording(moving) => format!(
            "{} move in {record}; transactions under way are recorded and finish where they began",
            slots(moving)
        ),
        News::Switched(moved) => {
            format!("{} have moved; transactions under way have {finish} to finish", slots(moved))
        }
        News::Back(moved) => format!("{} are back where they were", slots(moved)),
        News::Finished => format!("the handover of pool {pool} is over"),
        News::CalledOff => format!("the handover of pool {pool} is called off: nobody has moved"),
        News::AtOnce(moved) => format!("{} have moved at once", slots(moved)),
        News::Waits => {
            format!("a handover of pool {pool} is under way; what is wanted now begins when it is over")
        }
        News::Home(name) => format!("{name} of pool {pool} is home: nobody had to move for it"),
        News::GoesHome(name) => format!("{name} of pool {pool} goes home: its users are handed over"),
    }
}

fn percent(slots: u32) -> f64 {
    f64::from(slots) * 100.0 / SLOTS as f64
}

/// The courses as they are stored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stored {
    last_number: u32,
    pools: BTreeMap<String, StoredCourse>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredCourse {
    roster: Roster,
    handover: Option<StoredHandover>,
    away: Vec<String>,
    backends: Vec<Known>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredHandover {
    number: u32,
    other: Roster,
    phase: Phase,
    is_switched: bool,
    /// Milliseconds since 1970.
    since_ms: u64,
    moving: u32,
}

/// A backend as it was when this was stored: when it is read the configuration may not have it any more.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    name: String,
    address: IpAddr,
    port: u16,
    group: String,
    priority: u8,
    weight: u32,
    aliases: Vec<String>,
    /// Both ports of its own: the VIP's and the backend's.
    own_port: Option<(u16, u16)>,
}

impl Stored {
    fn of(courses: &Courses) -> Self {
        let pools = courses.iter().map(|(name, course)| (name.to_owned(), StoredCourse::of(course)));
        Self { last_number: courses.last_number(), pools: pools.collect() }
    }

    /// The courses of the pools that are still there.
    pub(super) fn resume(self, desired: &Desired) -> Courses {
        let pools = self.pools.into_iter().filter_map(|(name, stored)| {
            let course = stored.resume(desired.config.pool(&name)?);
            Some((name, course))
        });
        Courses::resumed(pools.collect(), self.last_number)
    }
}

impl StoredCourse {
    fn of(course: &Course) -> Self {
        let handover = course.handover.as_ref().map(|handover| StoredHandover {
            number: handover.number,
            other: handover.other.clone(),
            phase: handover.phase,
            is_switched: handover.is_switched,
            since_ms: since_1970(handover.since),
            moving: handover.moving,
        });
        Self {
            roster: course.roster.clone(),
            handover,
            away: course.away().map(|(name, _)| name.to_owned()).collect(),
            backends: course.known().iter().map(Known::of).collect(),
        }
    }

    fn resume(self, pool: &Pool) -> Course {
        let handover = self.handover.map(|stored| Handover {
            number: stored.number,
            other: stored.other,
            phase: stored.phase,
            is_switched: stored.is_switched,
            since: instant(stored.since_ms),
            moving: stored.moving,
            is_awaited: false,
        });
        let known = self.backends.into_iter().map(|known| known.backend(pool));
        Course::resumed(self.roster, handover, self.away, known.collect())
    }
}

impl Known {
    fn of(backend: &Backend) -> Self {
        let Backend { name, address, port, group, priority, weight, aliases, own_port, .. } = backend.clone();
        let own_port = own_port.map(|own| (own.vip_port, own.port));
        Self { name, address, port, group, priority, weight, aliases, own_port }
    }

    fn backend(self, pool: &Pool) -> Backend {
        let Self { name, address, port, group, priority, weight, aliases, own_port } = self;
        let own_port = own_port.map(|(vip_port, port)| OwnPort { vip_port, port });
        let health = pool.health.clone();
        Backend { name, address, port, group, priority, weight, aliases, own_port, health }
    }
}

/// Milliseconds since 1970 of a moment that this process knows.
fn since_1970(then: std::time::Instant) -> u64 {
    let then = SystemTime::now() - Instant::now().into_std().saturating_duration_since(then);
    then.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The moment that was so many milliseconds after 1970; now, if the clock was set back since.
fn instant(since_ms: u64) -> std::time::Instant {
    let then = SystemTime::UNIX_EPOCH + Duration::from_millis(since_ms);
    let now = Instant::now().into_std();
    let age = SystemTime::now().duration_since(then).unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}
