//! Checks every backend for as long as it is a target, and tells what changed. The daemon owns the one [`Prober`].
//!
//! Each backend has a task ([`super::task`]), which makes one check after another (`check`) at the times of
//! [`super::schedule`], and a record ([`super::record`]) of what is known of it. Tasks share nothing with each other, so that a silent backend
//! delays nobody else's checks.
//!
//! Invariant: an event belongs to one incarnation of a target. A target that goes away or changes its address ends its
//! incarnation, and its socket with it; an answer that comes later reaches nobody, and an event that was already under
//! way is known by [`Prober::is_current`]. New settings and a new path alone end nothing: what is known of the backend
//! stays.
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{
        mpsc::{self, Sender, UnboundedSender},
        watch,
    },
    task::JoinHandle,
    time::Instant,
};

use super::{
    Change, Health, Settings, Status,
    history::{Cause, History},
    overload::Load,
    path::Path,
    record::Record,
    schedule,
    task::{How, Inputs, Urge, check_for_ever},
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

/// Something that changed about a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The target's [`Target::id`].
    pub backend: String,
    /// Which incarnation of it: see [`Prober::is_current`].
    pub incarnation: u64,
    /// What it is.
    pub news: News,
}

/// What there is to tell of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Its health has changed: how, why and when.
    Health(Change),
    /// It asks for less, or takes all again.
    Load(Load),
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
    urges: Sender<Urge>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Starts to check `targets`; changes of their health go to `events`. Must be called within a tokio runtime.
    ///
    /// The channel is unbounded because checks must not wait for whoever reads it; it can't grow faster than
    /// backends change, at most once in `min(fall, rise)` checks each.
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

    /// Has these backends checked at once, or as soon as the check under way is over: something else says that they may be
    /// gone. One after the other by some hundred microseconds, lest a thousand be one burst. Does nothing for a name that is
    /// no target, and when an extra check of it was made less than a quarter of its interval ago, so that whoever can provoke
    /// such signs can't provoke a flood of checks.
    pub fn check_now<'a>(&self, ids: impl IntoIterator<Item = &'a str>, cause: Cause) {
        let (now, mut index) = (Instant::now(), 0);
        for backend in ids.into_iter().filter_map(|id| self.backends.get(id)) {
            // Where one is waiting already, it is the one that was asked for.
            if backend.urges.try_send(Urge { cause, at: now + schedule::asked_for(index) }).is_ok() {
                index += 1;
            }
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

    /// The last checks of a target.
    pub fn history(&self, id: &str) -> Option<History> {
        self.backends.get(id).map(|backend| backend.record.history())
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
        let record = Arc::new(Record::new(target.id, target.address, incarnation, target.start));
        let (how, changes) = watch::channel(How { path: target.path, settings: target.settings });
        let (urges, urged) = mpsc::channel(1);
        let inputs = Inputs { how: changes, urges: urged, wire, events };
        let task = tokio::spawn(check_for_ever(Arc::clone(&record), inputs, Instant::now() + wait));
        Self { record, how, urges, task }
    }

    fn status(&self) -> Status {
        self.record.status(!self.task.is_finished())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}
