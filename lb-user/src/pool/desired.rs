//! What is wanted: the configuration file with the changes at run time laid over it.
//!
//! One rule says what wins: what was done at run time stays in force, over restarts and new files, until it is undone or
//! no longer fits the file. It doesn't fit when the file has no such backend or group any more, has by now what was
//! added, says by now what was set, or contradicts it; then it is dropped, and that is said.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::{Added, Changes, PoolChanges, State};
use crate::config::{Backend, Config, Pool, contradictions};

/// What is wanted of the datapath.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The configuration, with backends as they are wanted now.
    pub config: Config,
    /// States of backends that are not active, by [`super::path`].
    states: BTreeMap<String, State>,
}

impl Desired {
    /// The file as it is.
    pub fn of_file(config: Config) -> Self {
        Self { config, states: BTreeMap::new() }
    }

    /// Lays `changes` over the file. What doesn't apply any more is taken out of `changes`; the sentences say what.
    pub fn new(file: &Config, changes: &mut Changes) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let mut desired = Self::of_file(file.clone());
        changes.pools.retain(|pool, _| {
            let is_known = file.pool(pool).is_some();
            if !is_known {
                notes.push(format!("the changes of pool {pool} are dropped: the file has no such pool"));
            }
            is_known
        });
        for (index, pool) in file.pools.iter().enumerate() {
            if let Some(changes) = changes.pools.get_mut(&pool.name) {
                remove(&mut desired.config.pools[index], changes, &mut notes);
                add(&mut desired.config, index, changes, &mut notes);
                weigh(&mut desired.config.pools[index], changes, &mut notes);
                desired.states.extend(states(&desired.config.pools[index], changes, &mut notes));
            }
        }
        changes.pools.retain(|_, pool| *pool != PoolChanges::default());
        (desired, notes)
    }

    /// The state of a backend.
    pub fn state(&self, pool: &str, name: &str) -> State {
        self.states.get(&super::path(pool, name)).copied().unwrap_or_default()
    }

    /// A backend by name.
    pub fn backend(&self, pool: &str, name: &str) -> Option<&Backend> {
        self.config.pool(pool)?.backends.iter().find(|backend| backend.name == name)
    }

    /// Every backend with its pool, in the order of the configuration.
    pub fn backends(&self) -> impl Iterator<Item = (&Pool, &Backend)> {
        self.config.pools.iter().flat_map(|pool| pool.backends.iter().map(move |backend| (pool, backend)))
    }

    /// What differs from `before`, a sentence each.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let by_path = |desired: &Self| -> BTreeMap<String, Backend> {
            desired
                .backends()
                .map(|(pool, backend)| (super::path(&pool.name, &backend.name), backend.clone()))
                .collect()
        };
        let (old, new) = (by_path(before), by_path(self));
        let mut sentences = Vec::new();
        for (path, backend) in &new {
            match old.get(path) {
                None => sentences.push(format!("backend {path} at {} is new", backend.socket())),
                Some(known) if known != backend => {
                    sentences.push(format!("backend {path} is changed: {}", changed(known, backend)));
                }
                Some(_) => {}
            }
        }
        sentences.extend(
            old.keys().filter(|path| !new.contains_key(*path)).map(|path| format!("backend {path} is gone")),
        );
        let without_backends = |desired: &Self| {
            let empty = |pool: &Pool| Pool { backends: Vec::new(), ..pool.clone() };
            desired.config.pools.iter().map(empty).collect::<Vec<_>>()
        };
        if without_backends(self) != without_backends(before) {
            sentences.push("the settings of pools are changed".to_owned());
        }
        if self.config.vips != before.config.vips {
            sentences.push("the VIPs are changed".to_owned());
        }
        if self.config.peers != before.config.peers {
            sentences.push("the peers are changed".to_owned());
        }
        if self.config.node.tunnel_source != before.config.node.tunnel_source {
            sentences.push("the tunnel source is changed".to_owned());
        }
        sentences
    }
}

/// What is changed of a backend.
fn changed(before: &Backend, after: &Backend) -> String {
    let numbers = [
        ("address", before.socket().to_string(), after.socket().to_string()),
        ("group", before.group.clone(), after.group.clone()),
        ("priority", before.priority.to_string(), after.priority.to_string()),
        ("weight", before.weight.to_string(), after.weight.to_string()),
    ];
    let differs = numbers.into_iter().filter(|(_, before, after)| before != after);
    let mut parts: Vec<String> =
        differs.map(|(key, before, after)| format!("{key} {after}, was {before}")).collect();
    let others = [
        ("aliases", before.aliases != after.aliases),
        ("port of its own", before.own_port != after.own_port),
        ("checks", before.health != after.health),
    ];
    parts.extend(others.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| format!("other {key}")));
    parts.join("; ")
}

/// A backend of a pool as it was added.
pub(super) fn backend(pool: &Pool, name: &str, added: &Added) -> Backend {
    Backend {
        name: name.to_owned(),
        address: added.address,
        port: added.port,
        group: added.group.clone(),
        priority: added.priority,
        weight: pool
            .backends
            .iter()
            .find(|member| member.group == added.group)
            .map_or(added.weight, |member| member.weight),
        aliases: added.aliases.clone(),
        own_port: None,
        health: pool.health.clone(),
    }
}

fn remove(pool: &mut Pool, changes: &mut PoolChanges, notes: &mut Vec<String>) {
    let names: BTreeSet<String> = pool.backends.iter().map(|backend| backend.name.clone()).collect();
    changes.removed.retain(|name| {
        let is_known = names.contains(name);
        if !is_known {
            notes.push(format!(
                "{name} of {} need not be removed any more: the file doesn't have it",
                pool.name
            ));
        }
        is_known
    });
    pool.backends.retain(|backend| !changes.removed.contains(&backend.name));
}

/// Adds what was added, all at once if that agrees with the file, else one by one to find what doesn't.
fn add(config: &mut Config, index: usize, changes: &mut PoolChanges, notes: &mut Vec<String>) {
    let pool = config.pools[index].clone();
    let names: BTreeSet<&str> = pool.backends.iter().map(|known| known.name.as_str()).collect();
    changes.added.retain(|name, _| {
        let is_new = !names.contains(name.as_str());
        if !is_new {
            notes.push(format!("{name} of {} is taken from the file now, not as it was added", pool.name));
        }
        is_new
    });
    let added = changes.added.iter().map(|(name, added)| backend(&pool, name, added));
    config.pools[index].backends.extend(added);
    if changes.added.is_empty() || contradictions(config).problems.is_empty() {
        return;
    }
    config.pools[index].backends.truncate(pool.backends.len());
    changes.added.retain(|name, added| {
        config.pools[index].backends.push(backend(&pool, name, added));
        let Some(problem) = contradictions(config).problems.into_iter().next() else { return true };
        config.pools[index].backends.pop();
        notes.push(format!("{name}, added to {}, is dropped: {}", pool.name, problem.fault.what));
        false
    });
}

fn weigh(pool: &mut Pool, changes: &mut PoolChanges, notes: &mut Vec<String>) {
    let mut groups: BTreeMap<String, u32> = BTreeMap::new();
    for backend in &pool.backends {
        groups.entry(backend.group.clone()).or_insert(backend.weight);
    }
    changes.weights.retain(|group, weight| {
        let stated = groups.get(group);
        match stated {
            None => notes.push(format!(
                "the weight {weight} of group {group} of {} is dropped: it has no members",
                pool.name
            )),
            Some(stated) if stated == weight => notes.push(format!(
                "the weight {weight} of group {group} of {} is what the file says now: it goes by the file again",
                pool.name
            )),
            Some(_) => {}
        }
        stated.is_some_and(|stated| stated != weight)
    });
    for backend in &mut pool.backends {
        backend.weight = changes.weights.get(&backend.group).copied().unwrap_or(backend.weight);
    }
}

/// The states that apply, by path.
fn states(pool: &Pool, changes: &mut PoolChanges, notes: &mut Vec<String>) -> BTreeMap<String, State> {
    let names: BTreeSet<&str> = pool.backends.iter().map(|backend| backend.name.as_str()).collect();
    changes.states.retain(|name, state| {
        let is_known = names.contains(name.as_str());
        if !is_known {
            notes.push(format!("{name} of {} is not {state} any more: it is gone", pool.name));
        }
        is_known
    });
    changes.states.iter().map(|(name, state)| (super::path(&pool.name, name), *state)).collect()
}
