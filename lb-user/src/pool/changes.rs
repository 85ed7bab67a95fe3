//! What the operator changed at run time: the data that outlives a restart, and the requests that change it.
//!
//! The daemon keeps one [`Changes`], stores it, and lays it over the file ([`super::desired`]). A [`Change`] is checked
//! against what is there before it becomes part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Desired;
use crate::config::{Config, Finding};

/// What the operator wants of a backend. Health is another matter: a backend can be active and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It serves whenever it is up and its turn in the group.
    #[default]
    Active,
    /// It takes no new users. Another member of its group serves in its place; where there is none that is active and
    /// up, the group's slots go to other groups. It still forwards its replies, and serves when nobody else can.
    Draining,
    /// It is out at once, whatever its health.
    Maintenance,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
        })
    }
}

/// All changes at run time that are in force, by pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Pools without changes are left out.
    #[serde(default)]
    pub pools: BTreeMap<String, PoolChanges>,
}

/// The changes of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolChanges {
    /// Backends that the file doesn't have, by name.
    pub added: BTreeMap<String, Added>,
    /// Backends of the file that are not wanted.
    pub removed: BTreeSet<String>,
    /// Backends that are not active.
    pub states: BTreeMap<String, State>,
    /// Weights in place of the file's, by group.
    pub weights: BTreeMap<String, u32>,
}

/// A backend that was added at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// Its address.
    pub address: IpAddr,
    /// Its SIP port.
    pub port: u16,
    /// Its group.
    pub group: String,
    /// The lowest healthy one in the group serves.
    pub priority: u8,
    /// Weight of its group, unless the file has the group.
    pub weight: u32,
    /// Host names by which it names itself.
    pub aliases: Vec<String>,
}

/// A backend to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBackend {
    /// Its name, unique in the pool.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its SIP port.
    pub port: u16,
    /// Its group; its own name if absent.
    #[serde(default)]
    pub group: Option<String>,
    /// The lowest healthy one in the group serves.
    #[serde(default)]
    pub priority: u8,
    /// Weight of the group; the group's present one, or 100, if absent.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Host names by which it names itself.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// A change that is asked for. The pool of a backend need be given only where two pools have one of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new backend.
    Add {
        /// Its pool.
        pool: String,
        /// What it is.
        backend: NewBackend,
    },
    /// A backend less.
    Remove(Named),
    /// Another state.
    State(Named, State),
    /// Another weight of the backend's group.
    Weight(Named, u32),
}

impl Change {
    /// The pool that it is about.
    ///
    /// # Errors
    /// When it names a backend that isn't there, or none for certain.
    pub fn pool(&self, desired: &Desired) -> Result<String, Refusal> {
        match self {
            Self::Add { pool, .. } => Ok(pool.clone()),
            Self::Remove(named) | Self::State(named, _) | Self::Weight(named, _) => {
                named.find(desired).map(|(pool, _)| pool)
            }
        }
    }
}

/// Which backend is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its pool, if that was said.
    pub pool: Option<String>,
    /// Its name.
    pub name: String,
}

/// Why a change was refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No pool of that name.
    #[error("there is no pool \"{0}\"")]
    NoPool(String),
    /// No backend of that name.
    #[error("there is no backend \"{0}\"")]
    NoBackend(String),
    /// Several pools have a backend of that name.
    #[error("backend \"{name}\" is in several pools: {}", pools.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Pools that have it.
        pools: Vec<String>,
    },
    /// The pool has a backend of that name.
    #[error("pool \"{pool}\" has a backend \"{name}\" already")]
    Exists {
        /// The pool.
        pool: String,
        /// The name.
        name: String,
    },
    /// The group has members, and another weight.
    #[error("group \"{group}\" has weight {present}, not {stated}")]
    Weight {
        /// The group.
        group: String,
        /// Its weight.
        present: u32,
        /// The one that was asked for.
        stated: u32,
    },
    /// What would come of it contradicts itself.
    #[error("{}", .0.iter().map(|finding| finding.fault.what.as_str()).collect::<Vec<_>>().join("; "))]
    Contradiction(Vec<Finding>),
}

impl Refusal {
    /// How to mend it.
    pub fn mend(&self) -> String {
        match self {
            Self::NoPool(_) => "`siplb status` lists the pools".to_owned(),
            Self::NoBackend(_) => "`siplb backend list` lists them".to_owned(),
            Self::Ambiguous { .. } => "say which with --pool".to_owned(),
            Self::Exists { .. } => "give it another name, or remove that one first".to_owned(),
            Self::Weight { .. } => {
                "leave the weight out, and set the group's with `siplb backend weight`".to_owned()
            }
            Self::Contradiction(findings) => {
                findings.iter().map(|finding| finding.fault.mend.as_str()).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// Is it about something that isn't there?
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NoPool(_) | Self::NoBackend(_))
    }
}

/// The weight of a group that nobody stated one for, as in the file.
const WEIGHT: u32 = 100;

impl Changes {
    /// These changes and one more, with a sentence that says what it does.
    ///
    /// # Errors
    /// When the change names what isn't there, or leads to a contradiction.
    pub fn with(&self, file: &Config, change: &Change) -> Result<(Self, String), Refusal> {
        let mut changes = self.clone();
        let present = Desired::new(file, &mut changes).0;
        let done = match change {
            Change::Add { pool, backend } => changes.add(file, &present, pool, backend)?,
            Change::Remove(named) => {
                let (pool, name) = named.find(&present)?;
                changes.remove(file, &pool, &name);
                format!("{name} of {pool} is removed")
            }
            Change::State(named, state) => {
                let (pool, name) = named.find(&present)?;
                let was = present.state(&pool, &name);
                changes.set_state(&pool, &name, *state);
                format!("{name} of {pool} is {state} now, was {was}")
            }
            Change::Weight(named, weight) => {
                let (pool, name) = named.find(&present)?;
                let backend = present.backend(&pool, &name).expect("a backend that was found");
                changes.pool(&pool).weights.insert(backend.group.clone(), *weight);
                let (group, was) = (&backend.group, backend.weight);
                format!("group {group} of {pool} weighs {weight} now, {was} before")
            }
        };
        changes.pools.retain(|_, pool| *pool != PoolChanges::default());
        Ok((changes, done))
    }

    /// Adds a backend, if the configuration still agrees with itself then.
    fn add(
        &mut self,
        file: &Config,
        present: &Desired,
        pool: &str,
        new: &NewBackend,
    ) -> Result<String, Refusal> {
        let its_pool = present.config.pool(pool).ok_or_else(|| Refusal::NoPool(pool.to_owned()))?;
        if present.backend(pool, &new.name).is_some() {
            return Err(Refusal::Exists { pool: pool.to_owned(), name: new.name.clone() });
        }
        let group = new.group.clone().unwrap_or_else(|| new.name.clone());
        let member = its_pool.backends.iter().find(|backend| backend.group == group);
        let weight = match (member.map(|member| member.weight), new.weight) {
            (Some(present), Some(stated)) if present != stated => {
                return Err(Refusal::Weight { group, present, stated });
            }
            (present, stated) => present.or(stated).unwrap_or(WEIGHT),
        };
        let added = Added {
            address: new.address,
            port: new.port,
            group,
            priority: new.priority,
            weight,
            aliases: new.aliases.clone(),
        };
        let done = format!(
            "{} of {pool} is added: {}:{}, group {}, priority {}",
            new.name, added.address, added.port, added.group, added.priority
        );
        let mut candidate = present.config.clone();
        let backend = super::desired::backend(its_pool, &new.name, &added);
        candidate.pools.iter_mut().filter(|known| known.name == pool).for_each(|known| {
            known.backends.push(backend.clone());
        });
        let problems = crate::config::contradictions(&candidate).problems;
        if !problems.is_empty() {
            return Err(Refusal::Contradiction(problems));
        }
        let as_in_file = file.pool(pool).is_some_and(|pool| pool.backends.contains(&backend));
        let changes = self.pool(pool);
        if as_in_file {
            changes.removed.remove(&new.name);
        } else {
            changes.added.insert(new.name.clone(), added);
        }
        Ok(done)
    }

    /// Removes a backend that is there.
    fn remove(&mut self, file: &Config, pool: &str, name: &str) {
        let in_file =
            file.pool(pool).is_some_and(|pool| pool.backends.iter().any(|known| known.name == name));
        let changes = self.pool(pool);
        changes.states.remove(name);
        changes.added.remove(name);
        if in_file {
            changes.removed.insert(name.to_owned());
        }
    }

    fn set_state(&mut self, pool: &str, name: &str, state: State) {
        let states = &mut self.pool(pool).states;
        match state {
            State::Active => states.remove(name),
            other => states.insert(name.to_owned(), other),
        };
    }

    fn pool(&mut self, pool: &str) -> &mut PoolChanges {
        self.pools.entry(pool.to_owned()).or_default()
    }
}

impl Named {
    /// Its pool and name.
    ///
    /// # Errors
    /// When there is none of the name, or more than one.
    pub fn find(&self, desired: &Desired) -> Result<(String, String), Refusal> {
        let pools = &desired.config.pools;
        if let Some(pool) = &self.pool {
            let known = desired.config.pool(pool).ok_or_else(|| Refusal::NoPool(pool.clone()))?;
            let has = known.backends.iter().any(|backend| backend.name == self.name);
            return if has {
                Ok((pool.clone(), self.name.clone()))
            } else {
                Err(Refusal::NoBackend(super::path(pool, &self.name)))
            };
        }
        let having =
            pools.iter().filter(|pool| pool.backends.iter().any(|backend| backend.name == self.name));
        let pools: Vec<String> = having.map(|pool| pool.name.clone()).collect();
        match pools.as_slice() {
            [] => Err(Refusal::NoBackend(self.name.clone())),
            [pool] => Ok((pool.clone(), self.name.clone())),
            _ => Err(Refusal::Ambiguous { name: self.name.clone(), pools }),
        }
    }
}
