//! The daemon's one owner of state: what is wanted, what is up, what is live.
//!
//! [`super::run`] brings it events, [`crate::control::server`] brings it requests; both one at a time. Each ends in
//! [`Core::settle`], which plans and publishes, or in a refusal that has changed nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use tokio::sync::mpsc::UnboundedSender;

use super::live::Live;
use super::stopwatch::{Stopwatch, now};
use super::store::Store;
use super::targets::targets;
use crate::config::{self, Config};
use crate::control::Error;
use crate::control::api::{Done, Interface};
use crate::control::error::told;
use crate::health::{Event, Health, Prober};
use crate::net::{Network, Watcher};
use crate::pool::{Change, Changes, Desired, Plan, Planner, path};

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
    /// What the file said.
    pub(super) config: Config,
    pub(super) changes: Changes,
    /// Both together.
    pub(super) desired: Desired,
    /// Backends that checks found down, by path.
    pub(super) down: BTreeSet<String>,
    pub(super) network: Network,
    pub(super) planner: Planner,
    /// What is live, or was to be when publishing failed.
    pub(super) plan: Plan,
    pub(super) datapath: D,
    store: Store,
    pub(super) prober: Prober,
    watcher: Option<Watcher>,
    pub(super) interfaces: Vec<Interface>,
    /// Did the last attempt to publish fail?
    is_behind: bool,
    /// How long the last change took.
    pub(super) clock: Stopwatch,
}

impl<D: Live> Core<D> {
    /// Makes the first plan and starts to check. Must be called within a tokio runtime; events of health are to come
    /// back by [`Core::health`].
    ///
    /// # Errors
    /// When what was stored can't be used, or the datapath can't be written.
    pub(super) fn start(start: Start<D>, events: UnboundedSender<Event>) -> Result<Self> {
        let Start { file, config, fingerprint, seed, store, datapath, network, is_adopted } = start;
        let mut changes = store.changes()?;
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
        let prober = Prober::spawn(targets(&desired, &down, &network), events);
        let mut core = Self {
            file,
            fingerprint,
            started: Instant::now(),
            config,
            changes,
            desired,
            down,
            network,
            planner,
            plan: Plan::default(),
            datapath,
            store,
            prober,
            watcher: None,
            interfaces: Vec::new(),
            is_behind: false,
            clock: Stopwatch::start(),
        };
        core.store.store_changes(&core.changes)?;
        core.store.store_down(&core.down)?;
        core.publish()?;
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
        for event in events.into_iter().filter(|event| self.prober.is_current(event)) {
            match event.change.to {
                Health::Down => self.down.insert(event.backend),
                Health::Up => self.down.remove(&event.backend),
            };
        }
        self.settle();
        if let Err(error) = self.store.store_down(&self.down) {
            log::error!("the next daemon will not know which backends are down: {}", told(&error));
        }
    }

    /// Takes word from the datapath that nobody listens on the SIP ports of these backends: checks have to tell.
    pub(super) fn unreachable(&mut self, ids: &[u32]) {
        let paths = self.desired.backends().map(|(pool, backend)| path(&pool.name, &backend.name));
        for path in paths {
            if self.planner.ids().backends.get(&path).is_some_and(|id| ids.contains(&id)) {
                // Whoever can forge such packets must not fill the log with them; the check itself is limited.
                log::debug!("{path}: nobody listens on its port, says its host; checking");
                self.prober.check_now(&path);
            }
        }
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
    }

    /// Plans and publishes; a failure is logged, and tried again.
    fn settle(&mut self) {
        if let Err(error) = self.publish() {
            log::error!("what is live is not up to date, will try again: {}", told(&error));
        }
    }

    /// Plans by what is known now, and publishes.
    fn publish(&mut self) -> Result<u32> {
        let plan = self.planner.plan(&self.desired, &self.down, &self.network);
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
        plan.differences(&self.plan).iter().for_each(|difference| log::info!("{difference}"));
        if generation != before {
            log::debug!("generation {generation} is live");
        }
        self.plan = plan;
        Ok(generation)
    }

    /// Applies a change that the operator asked for: it is stored and live when this returns.
    ///
    /// # Errors
    /// When it is refused, or can't be stored or published; nothing has changed then.
    pub fn change(&mut self, change: &Change) -> Result<Done, Error> {
        self.clock = Stopwatch::start();
        let (changes, done) = self.changes.with(&self.config, change)?;
        let notes = self.apply(self.config.clone(), changes)?;
        let done: Vec<String> = std::iter::once(done).chain(notes).collect();
        done.iter().for_each(|sentence| log::info!("asked for: {sentence}"));
        Ok(self.done(done, Vec::new()))
    }

    /// Reads the configuration file again and applies what changed in it.
    ///
    /// # Errors
    /// When the file is wrong or changes what only a restart can; nothing has changed then.
    pub fn reload(&mut self) -> Result<Done, Error> {
        self.clock = Stopwatch::start();
        let config = self.admitted(config::load(&self.file))?;
        config.warnings.iter().for_each(|warning| log::warn!("{}:{warning}", config.warnings.file));
        let before = self.desired.clone();
        let notes = self.apply(config, self.changes.clone())?;
        let mut done = self.desired.differences(&before);
        done.extend(notes);
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

    /// Takes another configuration and other changes, or neither. Returns what was dropped of the changes.
    fn apply(&mut self, config: Config, mut changes: Changes) -> Result<Vec<String>, Error> {
        let (desired, notes) = Desired::new(&config, &mut changes);
        changes.stamp(&self.changes, now());
        let is_new = changes != self.changes;
        self.clock.read();
        if is_new {
            self.store.store_changes(&changes)?;
        }
        self.clock.stored();
        let before = std::mem::replace(&mut self.desired, desired);
        let still_down = still_down(&self.down, &before, &self.desired);
        let down = std::mem::replace(&mut self.down, still_down);
        if let Err(error) = self.publish() {
            self.desired = before;
            self.down = down;
            if is_new && let Err(error) = self.store.store_changes(&self.changes) {
                log::error!("a change that was refused is stored all the same: {}", told(&error));
            }
            return Err(error.into());
        }
        self.config = config;
        self.changes = changes;
        self.follow();
        Ok(notes)
    }

    /// Checks and watches what is wanted now.
    fn follow(&mut self) {
        self.check();
        if let Some(watcher) = &self.watcher {
            watcher.set_backends(Self::addresses(&self.desired));
        }
    }

    /// Checks what is wanted now, by the way that is known now.
    fn check(&mut self) {
        self.prober.update(targets(&self.desired, &self.down, &self.network));
    }

    /// Is the backend up, by what was made of the checks?
    pub(super) fn is_up(&self, path: &str) -> bool {
        !self.down.contains(path)
    }
}

/// Those of `down` of which the same can be said after a change: a backend that is gone, or elsewhere now, was not checked
/// where it is.
pub(super) fn still_down(down: &BTreeSet<String>, before: &Desired, after: &Desired) -> BTreeSet<String> {
    let sockets = |desired: &Desired| -> BTreeSet<(String, std::net::SocketAddr)> {
        let backends = desired.backends().map(|(pool, it)| (path(&pool.name, &it.name), it.socket()));
        backends.filter(|(path, _)| down.contains(path)).collect()
    };
    let (old, new) = (sockets(before), sockets(after));
    old.intersection(&new).map(|(path, _)| path.clone()).collect()
}
