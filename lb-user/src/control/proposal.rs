//! A change as it is asked for over the socket: by the verb that makes it, or by `siplb plan`, which asks what it would do.
//!
//! Both read it here, so that what one refuses the other does.

use serde::{Deserialize, Serialize};

use super::api::AddBackend;
use super::error::{Error, Kind};
use crate::config;
use crate::pool::changes::Named;
use crate::pool::{Change, NewBackend, State};

/// Body of `POST /v1/plan`: what might be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proposal {
    /// `siplb reload`.
    Reload,
    /// The same, with this in the configuration file.
    File {
        /// How messages call it.
        name: String,
        /// What would be in it.
        text: String,
    },
    /// A backend more.
    Add(AddBackend),
    /// A backend less.
    Remove(Which),
    /// Another state of a backend.
    State {
        /// The backend.
        #[serde(flatten)]
        which: Which,
        /// Its state.
        state: State,
    },
    /// Another weight of a backend's group.
    Weight {
        /// The backend.
        #[serde(flatten)]
        which: Which,
        /// 1 to 10,000.
        weight: u32,
    },
    /// What the file says of a backend.
    Reset(Which),
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// Its name.
    pub name: String,
    /// Its pool, where the name alone is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

impl From<Which> for Named {
    fn from(Which { name, pool }: Which) -> Self {
        Self { name, pool }
    }
}

/// What is to be done about one backend, or about the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// What the configuration file says now.
    Reload,
    /// What this text says: name and content of a file.
    File(String, String),
    /// This change.
    Change(Change),
}

impl TryFrom<Proposal> for Proposed {
    type Error = Error;

    fn try_from(proposal: Proposal) -> Result<Self, Error> {
        Ok(match proposal {
            Proposal::Reload => Self::Reload,
            Proposal::File { name, text } => Self::File(name, text),
            Proposal::Add(backend) => Self::Change(addition(backend)?),
            Proposal::Remove(which) => Self::Change(Change::Remove(which.into())),
            Proposal::State { which, state } => Self::Change(Change::State(which.into(), state)),
            Proposal::Weight { which, weight } => Self::Change(weighing(which.into(), weight)?),
            Proposal::Reset(which) => Self::Change(Change::Reset(which.into())),
        })
    }
}

/// A backend to add, held to what the file's keys of the same names are held to.
///
/// # Errors
/// When something of it is not legal.
pub(super) fn addition(AddBackend { pool, backend }: AddBackend) -> Result<Change, Error> {
    let bad = |fault: config::Fault| Error::new(Kind::Bad, fault.what, fault.mend);
    config::name(&backend.name).map_err(bad)?;
    backend.group.as_deref().map_or(Ok(String::new()), config::name).map_err(bad)?;
    config::address(&backend.address.to_string()).map_err(bad)?;
    if backend.port == 0 {
        return Err(Error::new(Kind::Bad, "0 is not a port", "give a port from 1 to 65535"));
    }
    backend.weight.map_or(Ok(()), weight)?;
    let aliases = backend.aliases.iter().map(|alias| config::host_and_port(alias));
    let aliases = aliases.collect::<Result<_, _>>().map_err(bad)?;
    Ok(Change::Add { pool, backend: NewBackend { aliases, ..backend } })
}

/// Another weight.
///
/// # Errors
/// When it is out of range.
pub(super) fn weighing(named: Named, wanted: u32) -> Result<Change, Error> {
    weight(wanted)?;
    Ok(Change::Weight(named, wanted))
}

/// The bounds of the file's key of that name.
fn weight(weight: u32) -> Result<(), Error> {
    if (1..=10_000).contains(&weight) {
        return Ok(());
    }
    Err(Error::new(Kind::Bad, format!("{weight} is not a weight"), "give a number from 1 to 10000"))
}
