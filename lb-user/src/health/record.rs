//! What is known of one backend, shared by the task that checks it and whoever asks. [`super::task`] takes each check in,
//! [`super::prober`] reads.
use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use super::{
    Change, Event, Health, News, Outcome, Settings,
    check::Report,
    history::{Cause, Check, History},
    overload::{Load, Overload},
    state::{Machine, Sign},
};

/// How often what happened, since the incarnation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Checks that passed.
    pub passed: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that this node could not make.
    pub not_made: u64,
    /// Requests sent, retransmissions included.
    pub requests: u64,
    /// Datagrams from the backend that answered no check.
    pub strays: u64,
}

/// What is known of one backend.
#[derive(Clone, Debug)]
pub struct Status {
    /// The target's [`super::Target::id`].
    pub backend: String,
    /// Where it is checked.
    pub address: SocketAddr,
    /// Which incarnation this is.
    pub incarnation: u64,
    /// Its health.
    pub health: Health,
    /// For how long it has been so.
    pub for_duration: Duration,
    /// For how much longer it is to be spared, if it has asked for less.
    pub spared_for: Option<Duration>,
    /// Outcomes in a row that speak against its health: towards `fall` while up, towards `rise` while down.
    pub streak: u32,
    /// The last check: how it ended, and how long ago. Nothing before the first.
    pub last: Option<(Outcome, Duration)>,
    /// The round trip of the last check that was answered, whatever the answer.
    pub round_trip: Option<Duration>,
    /// What happened so far.
    pub counts: Counts,
    /// Whether it is being checked. False would mean that its task has died, a bug that must not go unseen.
    pub is_checked: bool,
}

/// What the task of one incarnation and the prober share.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) address: SocketAddr,
    pub(super) incarnation: u64,
    knowledge: Mutex<Knowledge>,
}

#[derive(Debug)]
struct Knowledge {
    machine: Machine,
    overload: Overload,
    history: History,
    /// When the last check was over.
    last_at: Option<Instant>,
    round_trip: Option<Duration>,
    counts: Counts,
}

/// When and why a check was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) cause: Cause,
    pub(super) at: Instant,
    pub(super) clock: SystemTime,
}

impl Begun {
    pub(super) fn now(cause: Cause) -> Self {
        Self { cause, at: Instant::now(), clock: SystemTime::now() }
    }
}

/// What follows from a check for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It has its time.
    Scheduled,
    /// The host says that nobody listens: it is to be asked again at once.
    AtOnce,
}

impl Record {
    /// Of a backend that nobody has checked yet.
    pub(super) fn new(id: String, address: SocketAddr, incarnation: u64, start: Health) -> Self {
        let knowledge = Knowledge {
            machine: Machine::new(start, Instant::now().into_std()),
            overload: Overload::default(),
            history: History::default(),
            last_at: None,
            round_trip: None,
            counts: Counts::default(),
        };
        Self { id, address, incarnation, knowledge: Mutex::new(knowledge) }
    }

    /// Nothing panics while it holds the lock, and each field stands for itself: a poisoned lock is still a good one.
    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known.
    pub(super) fn status(&self, is_checked: bool) -> Status {
        let (knowledge, now) = (self.knowledge(), Instant::now());
        let last = knowledge.history.last().map(|check| check.outcome.clone()).zip(knowledge.last_at);
        let until = knowledge.overload.until();
        Status {
            backend: self.id.clone(),
            address: self.address,
            incarnation: self.incarnation,
            health: knowledge.machine.health(),
            for_duration: now.into_std().saturating_duration_since(knowledge.machine.since()),
            spared_for: until.map(|until| until.saturating_duration_since(now.into_std())),
            streak: knowledge.machine.streak(),
            last: last.map(|(outcome, at)| (outcome, now.saturating_duration_since(at))),
            round_trip: knowledge.round_trip,
            counts: knowledge.counts,
            is_checked,
        }
    }

    /// The last checks.
    pub(super) fn history(&self) -> History {
        self.knowledge().history.clone()
    }

    /// Until when the backend is spared, if it is.
    pub(super) fn spared_until(&self) -> Option<Instant> {
        self.knowledge().overload.until().map(Into::into)
    }

    /// Takes in what a check brought, and tells if it changed anything.
    pub(super) fn learn(
        &self,
        Report { outcome, traffic }: Report,
        begun: Begun,
        settings: &Settings,
        events: &UnboundedSender<Event>,
    ) -> Next {
        let (name, address, now) = (&self.id, self.address, Instant::now());
        log::debug!("{name} at {address}: {outcome}");
        let sign = outcome.sign(settings);
        let mut knowledge = self.knowledge();
        let was_made = !matches!(knowledge.history.last(), Some(Check { outcome: Outcome::NotMade(_), .. }));
        let counts = &mut knowledge.counts;
        counts.requests += traffic.sent;
        counts.strays += traffic.strays;
        match sign {
            Sign::Passed => counts.passed += 1,
            Sign::Failed => counts.failed += 1,
            Sign::None => counts.not_made += 1,
        }
        match &outcome {
            Outcome::Answer { round_trip, .. } => knowledge.round_trip = Some(*round_trip),
            Outcome::NotMade(_) if was_made => {
                log::warn!("{name} at {address} keeps its health, {}: {outcome}", knowledge.machine.health());
            }
            _ => {}
        }
        // Told under the lock, so that nobody sees something in a snapshot whose event is not yet on its way.
        if let Some(change) = knowledge.machine.apply(&outcome, settings, now.into_std()) {
            let Change { from, to, reason, streak, .. } = &change;
            log::info!("{name} at {address} is {to}, was {from}: {reason} ({streak} in a row)");
            self.tell(News::Health(change), events);
        }
        if let Some(load) = knowledge.overload.apply(&outcome, settings, now.into_std()) {
            self.tell_load(load, events);
        }
        let is_refused = matches!(outcome, Outcome::Refused(_)) && knowledge.machine.health() == Health::Up;
        let took = now.saturating_duration_since(begun.at);
        let Begun { cause, clock: at, .. } = begun;
        knowledge.history.push(Check { at, cause, outcome, sign, requests: traffic.sent, took });
        knowledge.last_at = Some(now);
        if is_refused { Next::AtOnce } else { Next::Scheduled }
    }

    /// Takes note that the time is over for which the backend is spared, if it is.
    pub(super) fn expire(&self, events: &UnboundedSender<Event>) {
        let mut knowledge = self.knowledge();
        if let Some(load) = knowledge.overload.expire(Instant::now().into_std()) {
            self.tell_load(load, events);
        }
    }

    fn tell_load(&self, load: Load, events: &UnboundedSender<Event>) {
        let (name, address) = (&self.id, self.address);
        match load {
            Load::Overloaded { spared_for, .. } => {
                log::info!("{name} at {address} asks for less: it is spared for {} s", spared_for.as_secs());
            }
            Load::Relieved => log::info!("{name} at {address} takes all again"),
        }
        self.tell(News::Load(load), events);
    }

    fn tell(&self, news: News, events: &UnboundedSender<Event>) {
        let event = Event { backend: self.id.clone(), incarnation: self.incarnation, news };
        if events.send(event).is_err() {
            log::debug!("nobody listens to changes of health");
        }
    }
}
