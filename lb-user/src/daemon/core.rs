//! The daemon's one owner of state: what is wanted, what is up, what is live.
//!
//! [`super::run`] brings it events, [`crate::control::server`] brings it requests; both one at a time. Each ends in
//! [`Core::settle`], which plans and publishes, or in a refusal that has changed nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use tokio::sync::mpsc::UnboundedSender;

use super::journal::{Journal, Kind as What, Who};
use super::live::Live;
use super::sources::Sources;
use super::stopwatch::{Stopwatch, now};
use super::store::Store;
use super::targets::targets;
use super::watchdog::Noticed;
use crate::config::{self, Config};
use crate::control::Error;
use crate::control::api::{Done, Interface, Timing};
use crate::control::error::{Kind, told};
use crate::health::{Cause, Change as HealthChange, Event, Health, Load, News, Prober, Silence};
use crate::net::{Network, Watcher};
use crate::pool::{Change, Changes, Courses, Desired, Facts, Plan, Planner, State, path};

/// What a daemon is started with.
pub(super) struct Start<D> {
    /// The configuration file, to be read again on reload.
    pub(super) file: PathBuf,
    /// What it said.
    pub(super) config: Config,
    /// What the hash key is known by.
    pub(super) fingerprint: u32,
    /// The seed of all hashes.
    pub(super) seed: u64,
    /// The locked state folder.
    pub(super) store: Store,
    /// Where members of pools come from that the file doesn't list.
    pub(super) sources: Sources,
    /// What packets meet.
    pub(super) datapath: D,
    /// What is known of the network so far.
    pub(super) network: Network,
    /// Does the datapath forward by what an earlier daemon published? Then what that one knew to be down is down until
    /// checks say otherwise; all else is up.
    pub(super) is_adopted: bool,
}

/// The daemon's state.
pub struct Core<D> {
    pub(super) file: PathBuf,
    pub(super) fingerprint: u32,
    pub(super) started: Instant,
    /// What the file said, with the members of pools that have a source.
    pub(super) config: Config,
    pub(super) sources: Sources,
    pub(super) changes: Changes,
    /// Both together.
    pub(super) desired: Desired,
    /// The same and the backends that are leaving: what is live.
    pub(super) effective: Desired,
    /// Backends that checks found down, by path.
    pub(super) down: BTreeSet<String>,
    /// Backends that asked for less, by path.
    pub(super) overloaded: BTreeSet<String>,
    /// What the pools have in effect, on its way to what is wanted.
    pub(super) courses: Courses,
    /// As they were stored last, if they were.
    pub(super) stored_courses: Option<Courses>,
    /// When the courses were advanced last.
    pub(super) steered: Instant,
    /// Numbers of handovers that are over, and whose records are not forgotten yet.
    pub(super) ended: Vec<u32>,
    /// Which backends have fallen silent under traffic.
    pub(super) silence: Silence,
    pub(super) network: Network,
    pub(super) planner: Planner,
    /// What is live, or was to be when publishing failed.
    pub(super) plan: Plan,
    pub(crate) datapath: D,
    pub(super) store: Store,
    pub(super) prober: Prober,
    /// What happened, for `siplb events`.
    pub(super) journal: Journal,
    watcher: Option<Watcher>,
    pub(super) interfaces: Vec<Interface>,
    /// Did the last attempt to publish fail?
    is_behind: bool,
    pub(super) noticed: Noticed,
    /// How long the last change took.
    clock: Stopwatch,
}

impl<D: Live> Core<D> {
    /// Makes the first plan and starts to check. Must be called within a tokio runtime; events of health are to come
    /// back by [`Core::health`].
    ///
    /// # Errors
    /// When what was stored can't be used, or the datapath can't be written.
    pub(super) fn start(start: Start<D>, events: UnboundedSender<Event>) -> Result<Self> {
        let Start { file, config, fingerprint, seed, store, mut sources, datapath, network, is_adopted } =
            start;
        sources.forget_contradictions(&config);
        let config = sources.fill(&config);
        let stored = store.changes()?;
        let mut changes = stored.clone();
        let (desired, notes) = Desired::new(&config, &mut changes);
        changes.stamp(&changes.clone(), now());
        notes.iter().for_each(|note| log::warn!("{note}"));
        changes.in_force().for_each(|it| log::info!("{}", it.sentence(&config)));
        let planner = Planner::new(seed, store.ids()?);
        let mut down = if is_adopted { store.down()? } else { BTreeSet::new() };
        down.retain(|known| {
            desired.backends().any(|(pool, backend)| path(&pool.name, &backend.name) == *known)
        });
        down.iter().for_each(|path| log::info!("{path} is taken as down, as it was"));
        let courses = if is_adopted { store.courses()?.resume(&desired) } else { Courses::default() };
        let prober = Prober::spawn(targets(&desired, &down, &network), events);
        let mut core = Self {
            file,
            fingerprint,
            started: Instant::now(),
            config,
            sources,
            changes,
            effective: desired.clone(),
            desired,
            down,
            overloaded: BTreeSet::new(),
            courses,
            stored_courses: None,
            steered: Instant::now(),
            ended: Vec::new(),
            silence: Silence::default(),
            network,
            planner,
            plan: Plan::default(),
            datapath,
            journal: store.journal(),
            store,
            prober,
            watcher: None,
            interfaces: Vec::new(),
            is_behind: false,
            noticed: Noticed::default(),
            clock: Stopwatch::start(),
        };
        // A full disk is no reason to leave packets without a daemon: what is stored is read again at the next start.
        if core.changes != stored {
            core.store_if_it_can("the changes that no longer apply are stored still", |core| {
                core.store.store_changes(&core.changes)
            });
        }
        core.store_down();
        core.publish(&BTreeSet::new())?;
        core.check();
        core.journal.call(core.config.node.on_change.as_deref());
        let found = if is_adopted { "an earlier daemon's datapath goes on" } else { "on a new datapath" };
        let version = env!("CARGO_PKG_VERSION");
        core.journal.record(What::Started, "siplb", format!("siplb {version}, {found}"), &Who::Daemon);
        let early = core.sources.early();
        core.members(early);
        Ok(core)
    }

    /// Says which interfaces carry the program, and who watches the network around them from now on.
    pub(super) fn attached(&mut self, interfaces: Vec<Interface>, watcher: Watcher) {
        self.interfaces = interfaces;
        self.watcher = Some(watcher);
        self.follow();
    }

    /// The addresses of all backends.
    pub(super) fn addresses(desired: &Desired) -> Vec<std::net::IpAddr> {
        let addresses: BTreeSet<_> = desired.backends().map(|(_, backend)| backend.address).collect();
        addresses.into_iter().collect()
    }

    /// Takes changes of health that came together.
    pub(super) fn health(&mut self, events: Vec<Event>) {
        let mut entries = Vec::new();
        for event in events.into_iter().filter(|event| self.prober.is_current(event)) {
            let Event { backend, news, .. } = event;
            entries.push((backend.clone(), told_of(&news)));
            match news {
                News::Health(HealthChange { to: Health::Down, .. }) => self.down.insert(backend),
                News::Health(HealthChange { to: Health::Up, .. }) => self.down.remove(&backend),
                News::Load(Load::Overloaded { .. }) => self.overloaded.insert(backend),
                News::Load(Load::Relieved) => self.overloaded.remove(&backend),
            };
        }
        self.settle();
        // Afterwards, so that the time in the journal is the one at which packets go by it.
        for (backend, (what, reason)) in entries {
            self.journal.record(what, backend, reason, &Who::Checks);
        }
        self.store_down();
    }

    fn store_down(&self) {
        self.store_if_it_can("the next daemon will not know which backends are down", |core| {
            core.store.store_down(&core.down)
        });
    }

    /// Stores what is good to have; `otherwise` says what follows from its absence.
    fn store_if_it_can(&self, otherwise: &str, store: impl FnOnce(&Self) -> Result<()>) {
        if let Err(error) = store(self) {
            log::error!("{otherwise}: {}", told(&error));
        }
    }

    /// Takes word from the datapath that nobody listens on the SIP ports of these backends: checks have to tell.
    pub(super) fn unreachable(&mut self, ids: &[u32]) {
        // Whoever can forge such packets must not fill the log with them; the check itself is limited.
        log::debug!("nobody listens on the ports of {ids:?}, say their hosts; checking");
        self.check_now(ids, Cause::PortUnreachable);
    }

    /// Takes what is known of the network now.
    pub(super) fn network(&mut self, network: Network) {
        self.network = network;
        self.settle();
        self.check();
    }

    /// Tries again to publish what could not be published.
    pub(super) fn retry(&mut self) {
        if self.is_behind {
            self.settle();
        }
        self.members_again();
    }

    /// Plans and publishes; a failure is logged, and tried again.
    pub(super) fn settle(&mut self) {
        let was_behind = self.is_behind;
        match self.publish(&BTreeSet::new()) {
            Ok(_) if was_behind => {
                self.journal.record(
                    What::Published,
                    "datapath",
                    "what is live is up to date again",
                    &Who::Daemon,
                );
            }
            Ok(_) => {}
            Err(error) => {
                let error = told(&error);
                log::error!("what is live is not up to date, will try again: {error}");
                if !was_behind {
                    self.journal.record(What::PublishFailed, "datapath", error, &Who::Daemon);
                }
            }
        }
    }

    /// Plans by what is known now, and publishes. The users of the pools in `at_once` are not handed over.
    fn publish(&mut self, at_once: &BTreeSet<String>) -> Result<Vec<String>> {
        self.try_publish(at_once).inspect_err(|_| self.noticed.publish_failures += 1)
    }

    fn try_publish(&mut self, at_once: &BTreeSet<String>) -> Result<Vec<String>> {
        let news = self.steer(at_once);
        let effective = self.courses.effective(&self.desired).into_owned();
        let facts = Facts { down: &self.down, overloaded: &self.overloaded };
        let plan = self.planner.plan_on(&self.courses, &effective, facts, &self.network);
        self.clock.planned();
        self.is_behind = true;
        if !plan.new_vips.is_empty() || !plan.new_backends.is_empty() {
            self.store.store_ids(self.planner.ids())?;
        }
        self.clock.stored();
        for id in &plan.new_vips {
            self.datapath.reset_vip(*id)?;
        }
        for id in &plan.new_backends {
            self.datapath.reset_backend(*id)?;
        }
        let before = self.datapath.generation();
        let generation = self.datapath.publish(&plan.image)?;
        self.clock.published();
        self.is_behind = false;
        let told = self.tell(&news);
        plan.differences(&self.plan).iter().for_each(|difference| log::info!("{difference}"));
        if generation != before {
            log::debug!("generation {generation} is live");
        }
        self.plan = plan;
        self.effective = effective;
        self.forget_ended();
        self.store_courses();
        Ok(told)
    }

    /// Applies a change that the operator asked for: when this returns it is stored, and live or, where users move, under
    /// way. By [`Timing::now`] they move at once, whatever transactions are under way.
    ///
    /// # Errors
    /// When it is refused, or can't be stored or published; nothing has changed then.
    pub fn change(&mut self, change: &Change, timing: Timing, who: &Who) -> Result<Done, Error> {
        self.clock = Stopwatch::start();
        let (changes, mut done) = self.changes.with(&self.config, change)?;
        let pool = change.pool(&self.desired, &self.config)?;
        let courses = self.courses.clone();
        if let Change::State(named, State::Active) = change
            && self.courses.release(&pool, &named.name)
        {
            done += "; it was kept from going home, and goes now";
        }
        let at_once = if timing.now { BTreeSet::from([pool]) } else { BTreeSet::new() };
        self.journal.record(What::ChangeRequested, "datapath", &done, who);
        let applied = self.apply(self.config.clone(), changes, &at_once);
        let Applied { notes, told } = applied.inspect_err(|error| {
            self.courses = courses;
            self.journal.record(What::ChangeRefused, "datapath", error.to_string(), &Who::Daemon);
        })?;
        let done = [done].into_iter().chain(notes).chain(told).collect();
        Ok(self.done(done, Vec::new()))
    }

    /// Reads the configuration file again and applies what changed in it; by [`Timing`] users who move do so at once.
    ///
    /// # Errors
    /// When the file is wrong or changes what only a restart can; nothing has changed then.
    pub fn reload(&mut self, timing: Timing, who: &Who) -> Result<Done, Error> {
        let reloaded = self.reload_file(timing);
        let (what, reason) = match &reloaded {
            Ok(done) => (What::Reload, done.done.join("; ")),
            Err(error) => (What::ReloadRefused, error.to_string()),
        };
        self.journal.record(what, self.file.display().to_string(), reason, who);
        reloaded
    }

    fn reload_file(&mut self, timing: Timing) -> Result<Done, Error> {
        self.clock = Stopwatch::start();
        let config = self.admitted(config::load(&self.file))?;
        config.warnings.iter().for_each(|warning| log::warn!("{}:{warning}", config.warnings.file));
        let config = self.with_members(&config)?;
        let before = self.desired.clone();
        let pools = config.pools.iter().map(|pool| pool.name.clone());
        let at_once = if timing.now { pools.collect() } else { BTreeSet::new() };
        let Applied { notes, told } = self.apply(config, self.changes.clone(), &at_once)?;
        let mut done = self.desired.differences(&before);
        done.extend(notes.into_iter().chain(told));
        if done.is_empty() {
            done.push("nothing is changed".to_owned());
        }
        let kept: Vec<String> = self.changes.in_force().map(|it| it.sentence(&self.config)).collect();
        done.iter().chain(&kept).for_each(|sentence| log::info!("reload: {sentence}"));
        let done = self.done(done, kept);
        log::info!("reload: took {}", done.took);
        Ok(done)
    }

    fn done(&self, done: Vec<String>, kept: Vec<String>) -> Done {
        Done { done, generation: self.datapath.generation(), kept, took: self.clock.took() }
    }

    /// Takes another configuration and other changes, or neither.
    pub(super) fn apply(
        &mut self,
        config: Config,
        mut changes: Changes,
        at_once: &BTreeSet<String>,
    ) -> Result<Applied, Error> {
        let (desired, notes) = Desired::new(&config, &mut changes);
        changes.stamp(&self.changes, now());
        let is_new = changes != self.changes;
        self.clock.read();
        if is_new {
            self.store.store_changes(&changes).map_err(|error| {
                let mend = "nothing is changed; make room on the disk of node.state-dir, or let the daemon write there";
                Error::new(Kind::Failed, told(&error), mend)
            })?;
        }
        self.clock.stored();
        let before = std::mem::replace(&mut self.desired, desired);
        let (down, overloaded) = (self.down.clone(), self.overloaded.clone());
        let courses = self.courses.clone();
        self.forget_the_moved(&before);
        let told = match self.publish(at_once) {
            Ok(told) => told,
            Err(error) => {
                (self.desired, self.down, self.overloaded) = (before, down, overloaded);
                self.courses = courses;
                self.ended.clear();
                if is_new && let Err(error) = self.store.store_changes(&self.changes) {
                    log::error!("a change that was refused is stored all the same: {}", told(&error));
                }
                return Err(error.into());
            }
        };
        self.config = config;
        self.journal.call(self.config.node.on_change.as_deref());
        self.changes = changes;
        self.follow();
        Ok(Applied { notes, told })
    }

    /// What was found out about a backend that is gone, or elsewhere now, doesn't hold any more.
    fn forget_the_moved(&mut self, before: &Desired) {
        let (old, new) = (self.courses.effective(before), self.courses.effective(&self.desired));
        self.down = still(&self.down, &old, &new);
        self.overloaded = still(&self.overloaded, &old, &new);
    }

    /// Checks and watches what is wanted now.
    fn follow(&mut self) {
        self.sources.follow(&self.config);
        self.check();
        if let Some(watcher) = &self.watcher {
            watcher.set_backends(Self::addresses(&self.effective));
        }
    }

    /// Checks what is wanted now, by the way that is known now.
    pub(super) fn check(&mut self) {
        self.prober.update(targets(&self.effective, &self.down, &self.network));
    }

    /// Is the backend up, by what was made of the checks?
    pub(super) fn is_up(&self, path: &str) -> bool {
        !self.down.contains(path)
    }

    /// Has the backend asked for less?
    pub(super) fn is_overloaded(&self, path: &str) -> bool {
        self.overloaded.contains(path)
    }
}

/// What the journal says of news of a backend.
fn told_of(news: &News) -> (What, String) {
    match news {
        News::Health(HealthChange { to, reason, streak, .. }) => {
            let what = if *to == Health::Up { What::BackendUp } else { What::BackendDown };
            (what, format!("{reason} ({streak} in a row)"))
        }
        News::Load(Load::Overloaded { spared_for, retry_after }) => {
            let asked = retry_after
                .map_or("no Retry-After".to_owned(), |time| format!("Retry-After {} s", time.as_secs()));
            let reason =
                format!("answered 503, {asked}: takes nobody else's users for {} s", spared_for.as_secs());
            (What::BackendOverloaded, reason)
        }
        News::Load(Load::Relieved) => {
            (What::BackendRelieved, "the time is over for which it asked to be spared".to_owned())
        }
    }
}

/// What came of applying something.
pub(super) struct Applied {
    /// What of the run-time changes was dropped.
    pub(super) notes: Vec<String>,
    /// What becomes of the users.
    pub(super) told: Vec<String>,
}

/// Those of `found` of which the same can be said after a change: a backend that is gone, or elsewhere now, was not checked
/// where it is.
pub(super) fn still(found: &BTreeSet<String>, before: &Desired, after: &Desired) -> BTreeSet<String> {
    let sockets = |desired: &Desired| -> BTreeSet<(String, std::net::SocketAddr)> {
        let backends = desired.backends().map(|(pool, it)| (path(&pool.name, &it.name), it.socket()));
        backends.filter(|(path, _)| found.contains(path)).collect()
    };
    let (old, new) = (sockets(before), sockets(after));
    old.intersection(&new).map(|(path, _)| path.clone()).collect()
}
