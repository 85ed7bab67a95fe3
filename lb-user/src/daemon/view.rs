//! What the daemon shows of its state: the answers to questions.

use std::collections::BTreeMap;

use lb_common::layout::Counter;
use lb_common::reason::Reason;
use lb_common::slot::SLOTS;
use tokio::time::Instant;

use super::core::Core;
use super::digests::{digests, fingerprint};
use super::live::Live;
use crate::config;
use crate::control::Error;
use crate::control::api;
use crate::datapath::{Counters, Unnamed};
use crate::health;
use crate::pool::handover::Phase;
use crate::pool::lookup::{Which, lookup};
use crate::pool::runtime::InForce;
use crate::pool::{Plan, PoolPlan, path};

impl<D: Live> Core<D> {
    /// Everything that is known.
    ///
    /// # Errors
    /// When the counters can't be read.
    pub fn status(&self) -> Result<api::Status, Error> {
        let counters = self.counters()?;
        let mut pools = BTreeMap::<String, Vec<api::Backend>>::new();
        for backend in self.backends_with(&counters) {
            pools.entry(backend.pool.clone()).or_default().push(backend);
        }
        let pool = |pool: &config::Pool| {
            let plan = self.plan.pool(&pool.name);
            api::Pool {
                name: pool.name.clone(),
                key: pool.key,
                panic: plan.is_some_and(|plan| plan.is_panic),
                source: self.sources.shown(pool),
                groups: plan.map(groups).unwrap_or_default(),
                backends: pools.remove(&pool.name).unwrap_or_default(),
                handover: self.handover(pool),
            }
        };
        Ok(api::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: self.datapath.generation(),
            scan_loop: self.datapath.scan_loop().to_string(),
            uptime_s: self.started.elapsed().as_secs(),
            fingerprint: fingerprint(self.fingerprint),
            interfaces: self.interfaces.clone(),
            watchdog: self.watchdog(),
            pools: self.desired.config.pools.iter().map(pool).collect(),
            vips: self.desired.config.vips.iter().map(|vip| self.vip(vip, &counters)).collect(),
            reasons: reasons(counters.vips.values().flatten()),
            no_vip: reasons(counters.vips.get(&0).into_iter().flatten()),
            runtime: self.changes.in_force().map(|it| self.runtime(&it)).collect(),
        })
    }

    fn runtime(&self, it: &InForce<'_>) -> api::RuntimeChange {
        api::RuntimeChange {
            pool: it.pool.to_owned(),
            name: it.name.to_owned(),
            kind: it.kind().to_owned(),
            value: it.value(),
            file: it.by_file(&self.config),
            since: self.changes.since.get(&it.key()).copied().unwrap_or(0),
        }
    }

    fn handover(&self, pool: &config::Pool) -> Option<api::Handover> {
        let course = self.courses.of(&pool.name)?;
        let handover = course.handover.as_ref()?;
        let windows = self.desired.config.handover;
        let window = match handover.phase {
            Phase::Recording => windows.record,
            Phase::Finishing => windows.finish,
        };
        let passed = Instant::now().into_std().saturating_duration_since(handover.since);
        Some(api::Handover {
            phase: handover.phase,
            since_s: passed.as_secs(),
            left_s: window.saturating_sub(passed).as_secs_f64().ceil() as u64,
            slots: handover.moving,
            share: share(handover.moving),
            leaving: course.leaving(pool).map(|backend| backend.name.clone()).collect(),
            awaited: handover.is_awaited,
        })
    }

    /// All backends, in the order of the configuration.
    ///
    /// # Errors
    /// When the counters can't be read.
    pub fn backends(&self) -> Result<Vec<api::Backend>, Error> {
        Ok(self.backends_with(&self.counters()?))
    }

    /// Hosts that should have named a backend and named nobody, most packets first.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn unnamed(&self) -> Result<Vec<api::Unnamed>, Error> {
        let shown = |unnamed: Unnamed| {
            // A VIP that is gone can't be mended.
            let (vip, _) = self.plan.vips.iter().find(|(_, number)| *number == unnamed.vip)?;
            let Unnamed { source, host, packets, from, .. } = unnamed;
            Some(api::Unnamed {
                vip: vip.to_string(),
                key_source: source.name().to_owned(),
                host,
                packets,
                from,
            })
        };
        Ok(self.datapath.unnamed()?.into_iter().filter_map(shown).collect())
    }

    /// Forgets them, and says which they were.
    ///
    /// # Errors
    /// When they can't be read or forgotten.
    pub fn forget_unnamed(&mut self) -> Result<Vec<api::Unnamed>, Error> {
        let unnamed = self.unnamed()?;
        self.datapath.forget_unnamed()?;
        Ok(unnamed)
    }

    /// Who owns a user.
    ///
    /// # Errors
    /// When that can't be said.
    pub fn lookup(&self, asked: &api::Lookup) -> Result<api::Owner, Error> {
        let which = Which { pool: asked.pool.as_deref(), vip: asked.vip.as_deref() };
        Ok(lookup(&asked.uri, which, &self.desired, &self.plan, self.planner.seed())?)
    }

    /// One number for each lookup table.
    pub fn digests(&self) -> Vec<api::Digest> {
        let source = |pool: &config::Pool| self.sources.shown(pool);
        digests(&self.desired, &self.plan, &self.down, self.fingerprint, source, &self.courses)
    }

    /// What happened after event number `since`.
    pub fn events(&self, since: u64) -> api::Events {
        api::Events { events: self.journal.since(since), last: self.journal.last() }
    }

    /// Tells when more has happened: the number of the last event.
    pub fn event_news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.journal.news()
    }

    /// What is live, in names.
    pub fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn counters(&self) -> Result<Counters, Error> {
        Ok(self.datapath.counters()?)
    }

    fn vip(&self, vip: &config::Vip, counters: &Counters) -> api::Vip {
        let number = self.plan.vip(vip.socket());
        let counted = number.and_then(|number| counters.vips.get(&number)).into_iter().flatten();
        let reasons = reasons(counted);
        let mut traffic = api::Traffic::default();
        reasons.values().for_each(|of_reason| traffic += *of_reason);
        let changes = number.and_then(|number| counters.changes.get(&number)).copied();
        let transactions = changes.unwrap_or_default().into();
        let config::Vip { address, port, transport, .. } = *vip;
        api::Vip { address, port, transport, pool: vip.pool.clone(), traffic, reasons, transactions }
    }

    fn backends_with(&self, counters: &Counters) -> Vec<api::Backend> {
        let checks: BTreeMap<String, health::Status> =
            self.prober.snapshot().into_iter().map(|status| (status.backend.clone(), status)).collect();
        let backend = |(pool, backend): (&config::Pool, &config::Backend)| {
            let name = path(&pool.name, &backend.name);
            self.backend(pool, backend, checks.get(&name), counters)
        };
        self.desired.backends().map(backend).collect()
    }

    fn backend(
        &self,
        pool: &config::Pool,
        backend: &config::Backend,
        check: Option<&health::Status>,
        counters: &Counters,
    ) -> api::Backend {
        let name = path(&pool.name, &backend.name);
        let id = self.planner.ids().backends.get(&name).unwrap_or(0);
        let counted = counters.backends.get(&id).copied().unwrap_or_default();
        let groups = self.plan.pool(&pool.name).map(|plan| plan.groups.as_slice()).unwrap_or_default();
        let served =
            groups.iter().filter(|group| group.active.as_ref().is_some_and(|(_, active)| *active == id));
        let slots = served.map(|group| group.slots).sum();
        let health = if self.is_up(&name) { health::Health::Up } else { health::Health::Down };
        api::Backend {
            pool: pool.name.clone(),
            name: backend.name.clone(),
            group: backend.group.clone(),
            address: backend.address,
            port: backend.port,
            priority: backend.priority,
            weight: backend.weight,
            state: self.desired.state(&pool.name, &backend.name),
            health: health.to_string(),
            is_held: self.courses.of(&pool.name).is_some_and(|course| course.is_held(&backend.name)),
            is_overloaded: self.is_overloaded(&name),
            since_s: check.map_or(0, |check| check.for_duration.as_secs()),
            last_check: check.and_then(|check| check.last.as_ref()).map(|(outcome, _)| outcome.to_string()),
            round_trip_ms: check.and_then(|check| check.round_trip).map(|time| time.as_micros() as f64 / 1e3),
            slots,
            share: share(slots),
            requests: counted.requests.into(),
            replies: counted.replies.into(),
        }
    }
}

fn groups(plan: &PoolPlan) -> Vec<api::Group> {
    let group = |group: &crate::pool::GroupPlan| api::Group {
        name: group.name.clone(),
        weight: group.weight,
        slots: group.slots,
        share: share(group.slots),
        active: group.active.as_ref().map(|(name, _)| name.clone()),
        up: group.is_up,
    };
    plan.groups.iter().map(group).collect()
}

/// A part of all slots, to the millionth.
fn share(slots: u32) -> f64 {
    (f64::from(slots) / SLOTS as f64 * 1e6).round() / 1e6
}

/// Sums by name. A number without a name is a reason of a newer program, whose maps were adopted.
fn reasons<'a>(counted: impl Iterator<Item = (&'a u8, &'a Counter)>) -> api::Reasons {
    let mut reasons = api::Reasons::new();
    for (number, counter) in counted {
        let name = Reason::from_number(*number)
            .map_or_else(|| format!("reason-{number}"), |reason| reason.name().into());
        *reasons.entry(name).or_default() += (*counter).into();
    }
    reasons
}
