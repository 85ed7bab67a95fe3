//! Checks every backend for as long as it is a target, and tells what changed. The daemon owns the one [`Prober`].
//!
//! Each backend has a task, which makes one check after another (`check`) at the times of [`super::schedule`], and a
//! record, which holds its [`Machine`] and counts. Tasks share nothing with each other, so that a silent backend
//! delays nobody else's checks.
//!
//! Invariant: an event belongs to one incarnation of a target. A target that goes away or changes its address ends its
//! incarnation, and its socket with it; an answer that comes later reaches nobody, and an event that was already under
//! way is known by [`Prober::is_current`]. New settings and a new path alone end nothing: what is known of the backend
//! stays.
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc::UnboundedSender, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    Change, Health, Outcome, Settings,
    check::{self, Report},
    path::Path,
    schedule::{self, Extra},
    state::{Machine, Sign},
    wire::Wire,
};

/// A backend to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name, as `pool/backend`. Two targets of one name are one: the last.
    pub id: String,
    /// Where it takes SIP.
    pub address: SocketAddr,
    /// Which way checks take to it.
    pub path: Path,
    /// How to check it.
    pub settings: Settings,
    /// What it is until checks say otherwise. Read when the target is new; a daemon that adopts a running datapath
    /// gives what it found there, anybody else [`Health::Up`].
    pub start: Health,
}

/// A change of a backend's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The target's [`Target::id`].
    pub backend: String,
    /// Which incarnation of it: see [`Prober::is_current`].
    pub incarnation: u64,
    /// What changed, why and when.
    pub change: Change,
}

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
    /// The target's [`Target::id`].
    pub backend: String,
    /// Where it is checked.
    pub address: SocketAddr,
    /// Which incarnation this is.
    pub incarnation: u64,
    /// Its health.
    pub health: Health,
    /// For how long it has been so.
    pub for_duration: Duration,
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

/// Checks all targets. Dropping it ends all checks.
#[derive(Debug)]
pub struct Prober {
    events: UnboundedSender<Event>,
    backends: BTreeMap<String, Backend>,
    /// What checks that don't go by ordinary sockets share.
    wire: Arc<Wire>,
    /// The number of the last incarnation.
    incarnations: u64,
}

/// One target and its task.
#[derive(Debug)]
struct Backend {
    record: Arc<Record>,
    how: watch::Sender<How>,
    urge: Arc<Notify>,
    task: JoinHandle<()>,
}

/// How the backend is checked now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct How {
    path: Path,
    settings: Settings,
}

/// What reaches the task of one incarnation from outside.
struct Inputs {
    how: watch::Receiver<How>,
    urge: Arc<Notify>,
    wire: Arc<Wire>,
    events: UnboundedSender<Event>,
}

/// What the task of one incarnation and the prober share.
#[derive(Debug)]
struct Record {
    id: String,
    address: SocketAddr,
    incarnation: u64,
    knowledge: Mutex<Knowledge>,
}

#[derive(Debug)]
struct Knowledge {
    machine: Machine,
    last: Option<(Outcome, Instant)>,
    round_trip: Option<Duration>,
    counts: Counts,
}

impl Prober {
    /// Starts to check `targets`; changes of their health go to `events`. Must be called within a tokio runtime.
    ///
    /// The channel is unbounded because checks must not wait for whoever reads it; it can't grow faster than
    /// backends change, at most once in `min(fall, rise)` intervals each.
    pub fn spawn(targets: Vec<Target>, events: UnboundedSender<Event>) -> Self {
        let (backends, wire) = (BTreeMap::new(), Arc::default());
        let mut prober = Self { events, backends, wire, incarnations: 0 };
        prober.update(targets);
        prober
    }

    /// Checks `targets` from now on and nothing else. A target whose address is unchanged keeps its health, its counts
    /// and the very check that is under way; new settings and a new path hold from the next one on.
    pub fn update(&mut self, targets: Vec<Target>) {
        let targets: BTreeMap<String, Target> =
            targets.into_iter().map(|target| (target.id.clone(), target)).collect();
        self.backends.retain(|id, backend| {
            targets.get(id).is_some_and(|target| target.address == backend.record.address)
        });
        let vips: BTreeSet<SocketAddr> = targets.values().filter_map(|target| target.path.vip()).collect();
        let (known, new): (Vec<Target>, Vec<Target>) =
            targets.into_values().partition(|target| self.backends.contains_key(&target.id));
        for Target { id, path, settings, .. } in known {
            let how = How { path, settings };
            self.backends[&id].how.send_if_modified(|present| {
                let is_urgent = present.settings != how.settings;
                *present = how;
                is_urgent
            });
        }
        self.wire.keep(&vips);
        let count = new.len();
        for (index, target) in new.into_iter().enumerate() {
            let wait = schedule::first_check(index, count, target.settings.interval, &mut rand::rng());
            self.incarnations += 1;
            let id = target.id.clone();
            let backend =
                Backend::spawn(target, self.incarnations, wait, Arc::clone(&self.wire), self.events.clone());
            self.backends.insert(id, backend);
        }
    }

    /// Has the backend of this name checked at once, or as soon as the check under way is over: something else says that it
    /// may be gone. Does nothing for a name that is no target, and when an extra check of it was made less than a quarter of
    /// its interval ago, so that whoever can provoke such signs can't provoke a flood of checks.
    pub fn check_now(&self, id: &str) {
        if let Some(backend) = self.backends.get(id) {
            backend.urge.notify_one();
        }
    }

    /// Whether the event is about a target as it is now, and not about one that was removed or moved since.
    pub fn is_current(&self, event: &Event) -> bool {
        self.backends
            .get(&event.backend)
            .is_some_and(|backend| backend.record.incarnation == event.incarnation)
    }

    /// What is known of every target, by name.
    pub fn snapshot(&self) -> Vec<Status> {
        self.backends.values().map(Backend::status).collect()
    }
}

impl Backend {
    fn spawn(
        target: Target,
        incarnation: u64,
        wait: Duration,
        wire: Arc<Wire>,
        events: UnboundedSender<Event>,
    ) -> Self {
        let now = Instant::now();
        let knowledge = Knowledge {
            machine: Machine::new(target.start, now.into_std()),
            last: None,
            round_trip: None,
            counts: Counts::default(),
        };
        let record = Arc::new(Record {
            id: target.id,
            address: target.address,
            incarnation,
            knowledge: Mutex::new(knowledge),
        });
        let (how, changes) = watch::channel(How { path: target.path, settings: target.settings });
        let urge = Arc::new(Notify::new());
        let inputs = Inputs { how: changes, urge: Arc::clone(&urge), wire, events };
        let task = tokio::spawn(check_for_ever(Arc::clone(&record), inputs, now + wait));
        Self { record, how, urge, task }
    }

    fn status(&self) -> Status {
        let (record, now) = (&self.record, Instant::now());
        let knowledge = record.knowledge();
        Status {
            backend: record.id.clone(),
            address: record.address,
            incarnation: record.incarnation,
            health: knowledge.machine.health(),
            for_duration: now.into_std().saturating_duration_since(knowledge.machine.since()),
            streak: knowledge.machine.streak(),
            last: knowledge.last.clone().map(|(outcome, at)| (outcome, now.saturating_duration_since(at))),
            round_trip: knowledge.round_trip,
            counts: knowledge.counts,
            is_checked: !self.task.is_finished(),
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The life of one backend's task: wait, check, learn, until it is aborted.
async fn check_for_ever(record: Arc<Record>, mut inputs: Inputs, mut due: Instant) {
    let mut extra = Extra::default();
    loop {
        tokio::select! {
            () = sleep_until(due) => {}
            () = inputs.urge.notified() => {
                let interval = inputs.how.borrow().settings.interval;
                if !extra.is_allowed(interval, Instant::now().into_std()) {
                    continue;
                }
            }
            changed = inputs.how.changed() => {
                if changed.is_err() {
                    return;
                }
                // A shorter interval must not wait for the end of a longer one; a random place in it keeps a reload
                // of all backends from checking them all at once.
                let interval = inputs.how.borrow().settings.interval;
                due = due.min(Instant::now() + schedule::first_check(0, 1, interval, &mut rand::rng()));
                continue;
            }
        }
        let How { path, settings } = inputs.how.borrow().clone();
        let started = Instant::now();
        let report = check::run(record.address, &path, settings.timeout, &inputs.wire).await;
        record.learn(report, &settings, &inputs.events);
        due = started + schedule::next_check(settings.interval, &mut rand::rng());
    }
}

impl Record {
    /// Nothing panics while it holds the lock, and each field stands for itself: a poisoned lock is still a good one.
    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a check brought, and tells if it changed the backend's health.
    fn learn(
        &self,
        Report { outcome, traffic }: Report,
        settings: &Settings,
        events: &UnboundedSender<Event>,
    ) {
        let (name, address, now) = (&self.id, self.address, Instant::now());
        log::debug!("{name} at {address}: {outcome}");
        let mut knowledge = self.knowledge();
        let was_made = !matches!(knowledge.last, Some((Outcome::NotMade(_), _)));
        let counts = &mut knowledge.counts;
        counts.requests += traffic.sent;
        counts.strays += traffic.strays;
        match outcome.sign(settings) {
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
        if let Some(change) = knowledge.machine.apply(&outcome, settings, now.into_std()) {
            let Change { from, to, reason, streak, .. } = &change;
            log::info!("{name} at {address} is {to}, was {from}: {reason} ({streak} in a row)");
            // Told under the lock, so that nobody sees a health in a snapshot whose event is not yet on its way.
            let event = Event { backend: name.clone(), incarnation: self.incarnation, change };
            if events.send(event).is_err() {
                log::debug!("nobody listens to changes of health");
            }
        }
        knowledge.last = Some((outcome, now));
    }
}
