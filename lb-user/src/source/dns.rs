//! The members in SRV records (RFC 2782).
//!
//! Each record's target is a server, named by its host. What makes a group is said by `group-by`: each target of a name's
//! lowest priority number, with its weight; or the name, with its targets as primary and standbys. Names are asked again
//! when the least of the times to live is over. A name that fails, or has no records any more, keeps its last answer.

mod members;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::proto::xfer::Protocol;
use hickory_resolver::{ResolveError, TokioResolver};
use tokio::time::{Instant, sleep_until};

use super::{Answer, Family, Source, SourceError};
use crate::config;

/// A time to live below this counts as this: a name server must not be asked without end.
const TTL_MIN: Duration = Duration::from_secs(1);
/// And above this as this.
const TTL_MAX: Duration = Duration::from_secs(3600);
/// How soon a name that failed is asked again.
const RETRY: Duration = Duration::from_secs(5);
/// For the answer of one name server, and how often all are asked.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// Why a name gives no members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// `/etc/resolv.conf` is of no use.
    #[error("the system's name servers are not known ({0}); name some in pool.source.resolver")]
    NoResolver(String),
    /// There is no answer.
    #[error("{name} has no answer: {why}")]
    NoAnswer {
        /// The name.
        name: String,
        /// What the resolver says.
        why: String,
    },
    /// The answer is of no use.
    #[error("{name} has no server: {why}")]
    NoUse {
        /// The name.
        name: String,
        /// What is the matter.
        why: String,
    },
}

/// One SRV record, and where its target is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    priority: u16,
    weight: u16,
    /// In lower case without a trailing dot.
    host: String,
    port: u16,
    address: IpAddr,
}

/// Names that are asked.
pub(super) struct Dns {
    resolver: TokioResolver,
    asked: config::Dns,
    family: Family,
    /// When to ask.
    due: Instant,
    /// What each name answered last.
    last: BTreeMap<String, Vec<Target>>,
}

impl Dns {
    pub(super) fn new(asked: config::Dns, family: Family) -> Result<Self, DnsError> {
        let resolver = resolver(&asked.resolver)?;
        Ok(Self { resolver, asked, family, due: Instant::now(), last: BTreeMap::new() })
    }

    async fn answer(&mut self) -> Result<Answer, SourceError> {
        sleep_until(self.due).await;
        let (mut complaint, mut ttl) = (None, TTL_MAX);
        for name in &self.asked.names {
            match self.ask(name).await {
                Ok((targets, its_ttl)) => {
                    ttl = ttl.min(its_ttl);
                    self.last.insert(name.clone(), targets);
                }
                Err(error) => {
                    ttl = ttl.min(RETRY);
                    complaint.get_or_insert(error);
                }
            }
        }
        let missing = self.asked.names.iter().any(|name| !self.last.contains_key(name));
        match complaint {
            Some(error) if missing => Err(error.into()),
            complaint => {
                self.due = Instant::now() + ttl.max(TTL_MIN);
                let answers = self.asked.names.iter().map(|name| (name.as_str(), self.last[name].as_slice()));
                let members = members::members(self.asked.group_by, answers)?;
                Ok(Answer { members, revision: None, complaint: complaint.map(|error| error.to_string()) })
            }
        }
    }

    /// The targets of a name, and how long they are good for.
    async fn ask(&self, name: &str) -> Result<(Vec<Target>, Duration), DnsError> {
        let no_use = |why: String| DnsError::NoUse { name: name.to_owned(), why };
        let (records, mut ttl) = self.records(name, RecordType::SRV).await?;
        let mut targets = Vec::new();
        for record in records {
            let RData::SRV(srv) = record else { continue };
            if srv.target().is_root() {
                return Err(no_use("the service is not offered, says its record".to_owned()));
            }
            let host = srv.target().to_lowercase().to_ascii();
            let (address, its_ttl) = self.address(&host).await?;
            ttl = ttl.min(its_ttl);
            targets.push(Target {
                priority: srv.priority(),
                weight: srv.weight(),
                host: host.trim_end_matches('.').to_owned(),
                port: srv.port(),
                address,
            });
        }
        if targets.is_empty() {
            return Err(no_use("it has no SRV records".to_owned()));
        }
        // The order of records in an answer means nothing, and name servers change it.
        targets.sort();
        targets.dedup();
        Ok((targets, ttl))
    }

    /// The address of a host: the lowest, so that every node takes the same one.
    async fn address(&self, host: &str) -> Result<(IpAddr, Duration), DnsError> {
        let kinds: &[RecordType] = match self.family {
            Family::V4 => &[RecordType::A],
            Family::V6 => &[RecordType::AAAA],
            Family::Any => &[RecordType::A, RecordType::AAAA],
        };
        let mut error = None;
        for kind in kinds {
            match self.records(host, *kind).await {
                Ok((records, ttl)) => {
                    let addresses = records.iter().filter_map(|record| match record {
                        RData::A(a) => Some(IpAddr::from(a.0)),
                        RData::AAAA(aaaa) => Some(IpAddr::from(aaaa.0)),
                        _ => None,
                    });
                    if let Some(address) = addresses.min() {
                        return Ok((address, ttl));
                    }
                }
                Err(failed) => error = Some(failed),
            }
        }
        let no_use = DnsError::NoUse { name: host.to_owned(), why: "it has no address".to_owned() };
        Err(error.unwrap_or(no_use))
    }

    /// What a name has of a kind, and how long that is good for. A name that is an alias of another has that one's.
    async fn records(&self, name: &str, kind: RecordType) -> Result<(Vec<RData>, Duration), DnsError> {
        // With the dot at its end, nothing is appended to it.
        let absolute = format!("{}.", name.trim_end_matches('.'));
        let answer = self.resolver.lookup(absolute, kind).await;
        let no_answer =
            |error: ResolveError| DnsError::NoAnswer { name: name.to_owned(), why: error.to_string() };
        let answer = answer.map_err(no_answer)?;
        let ttl = answer.record_iter().map(|record| record.ttl()).min().unwrap_or(0);
        Ok((answer.iter().cloned().collect(), Duration::from_secs(ttl.into())))
    }
}

/// Asks these servers, or those of the system; keeps nothing, since times to live are kept here.
fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, DnsError> {
    let provider = TokioConnectionProvider::default();
    let mut builder = if servers.is_empty() {
        TokioResolver::builder(provider).map_err(|error| DnsError::NoResolver(error.to_string()))?
    } else {
        let server = |socket: &SocketAddr| {
            [Protocol::Udp, Protocol::Tcp].map(|protocol| NameServerConfig::new(*socket, protocol))
        };
        let servers: Vec<NameServerConfig> = servers.iter().flat_map(server).collect();
        TokioResolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), servers), provider)
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.cache_size = 0;
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    Ok(builder.build())
}

impl Source for Dns {
    fn next(&mut self) -> BoxFuture<'_, Result<Answer, SourceError>> {
        self.answer().boxed()
    }
}
