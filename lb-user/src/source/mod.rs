//! Where the members of a pool come from, when the configuration doesn't list them: a file, the DNS, or etcd.
//!
//! A [`Source`] waits until it has something to say and then gives the whole membership, or says why it can't;
//! [`follow`] runs one for each pool, in the same way whatever it is, and tells the daemon, which lays what it gave
//! where the file's backends would be. Called by the daemon; `siplb register` uses [`etcd`] from a backend's side, and
//! the verbs that work from a file alone use [`file`].
//!
//! Invariant: a source only ever gives a whole answer. What to keep when it fails is the daemon's business.
pub mod dns;
pub mod etcd;
pub mod file;
mod follow;
pub mod of_file;

use std::net::IpAddr;
use std::path::PathBuf;

use futures::future::BoxFuture;

use crate::config::{self, Config, Fault, Forward, Member, Pool, Problems};

pub use follow::{Followers, News};

/// Something that knows the members of a pool.
pub trait Source: Send {
    /// Waits until there is something to say, the first time at once: all members of the pool. After a failure the next
    /// call tries again, and is not made at once.
    fn next(&mut self) -> BoxFuture<'_, Result<Answer, SourceError>>;
}

/// What a source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// All members.
    pub members: Vec<Member>,
    /// Number of this answer, where the source counts them.
    pub revision: Option<u64>,
    /// What could not be found out, so that an earlier answer stands in for it.
    pub complaint: Option<String>,
}

/// Why a source has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file can't be read.
    #[error("{path} can't be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{0}")]
    Wrong(Problems),
    /// A name has no answer, and never had one.
    #[error("{0}")]
    Dns(#[from] dns::DnsError),
    /// No etcd answers, or it answers nonsense.
    #[error("{0}")]
    Etcd(#[from] etcd::EtcdError),
    /// What is under a key is no member.
    #[error("{key} is no member: {what}")]
    Entry {
        /// The key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

impl SourceError {
    fn entry(key: &str, fault: &Fault) -> Self {
        Self::Entry { key: key.to_owned(), what: fault.to_string() }
    }
}

/// The source of a pool.
fn open(source: &config::Source, family: Family) -> Result<Box<dyn Source>, SourceError> {
    Ok(match source {
        config::Source::File { path } => Box::new(file::File::new(path.clone())),
        config::Source::Dns(dns) => Box::new(dns::Dns::new(dns.clone(), family)?),
        config::Source::Etcd(etcd) => Box::new(etcd::Etcd::new(etcd.clone())),
    })
}

/// Of which family the addresses of a pool's members must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Either.
    Any,
}

impl Family {
    /// The one that the VIP in front of the pool has, but for `ipip`.
    pub fn of(config: &Config, pool: &Pool) -> Self {
        match config.vip_of(pool).filter(|_| pool.forward != Forward::Ipip).map(|vip| vip.address) {
            Some(IpAddr::V4(_)) => Self::V4,
            Some(IpAddr::V6(_)) => Self::V6,
            None => Self::Any,
        }
    }
}
