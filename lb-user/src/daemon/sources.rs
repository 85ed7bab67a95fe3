//! What the sources of pools said last, and what of it is in force.
//!
//! [`super::core`] asks [`Sources::fill`] for the configuration as it is with all members in place, and brings each piece
//! of news to [`Sources::judge`]. What is in force is stored, and goes before an answer that never comes.
//!
//! Invariant: members that are in force agree with each other and were given together. A source that fails, gives
//! nothing, or contradicts what is there changes nothing.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};
use xxhash_rust::xxh64::xxh64;

use crate::config::{self, Config, Member, contradictions};
use crate::control::api;
use crate::source::{Answer, Followers, News, SourceError};

/// How long a start waits for sources that nothing is known of: an empty pool would drop everything.
const FIRST_ANSWERS: Duration = Duration::from_secs(3);

/// The members of pools that are in force, as they are stored.
pub(super) type Stored = BTreeMap<String, Membership>;

/// The members of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Membership {
    /// All of them, in the order of their names.
    pub(super) members: Vec<Member>,
    /// Number of the answer, where the source counts them.
    #[serde(default)]
    pub(super) revision: Option<u64>,
    /// When the source last said so, in seconds since 1970.
    pub(super) confirmed: u64,
}

/// The sources of all pools.
#[derive(Debug)]
pub(super) struct Sources {
    followers: Followers,
    inputs: Inputs,
    in_force: Stored,
    /// Why the last answer of a pool's source is not in force.
    complaints: BTreeMap<String, String>,
    /// Answers that could not be applied for a reason of the node's own, to be tried again.
    pending: BTreeMap<String, Answer>,
}

/// News that came before anybody could take them.
type Inputs = Vec<News>;

impl Sources {
    /// With what was stored.
    pub(super) fn new(followers: Followers, in_force: Stored) -> Self {
        let (inputs, complaints, pending) = Default::default();
        Self { followers, inputs, in_force, complaints, pending }
    }

    /// Waits a while for the sources of which nothing is known.
    pub(super) async fn first_answers(&mut self, config: &Config, news: &mut UnboundedReceiver<News>) {
        self.followers.follow(config);
        let mut unknown: Vec<&str> = config
            .pools
            .iter()
            .filter(|pool| pool.source.is_some() && !self.in_force.contains_key(&pool.name))
            .map(|pool| pool.name.as_str())
            .collect();
        let end = Instant::now() + FIRST_ANSWERS;
        while !unknown.is_empty() {
            let Ok(Some(first)) = timeout_at(end, news.recv()).await else { break };
            unknown.retain(|pool| *pool != first.pool || first.answer.is_err());
            self.inputs.push(first);
        }
        unknown
            .iter()
            .for_each(|pool| log::warn!("the source of pool {pool} says nothing yet: it has no backends"));
    }

    /// What came while the daemon started.
    pub(super) fn early(&mut self) -> Vec<News> {
        std::mem::take(&mut self.inputs)
    }

    /// The configuration with all members in place.
    pub(super) fn fill(&self, file: &Config) -> Config {
        let mut config = file.clone();
        for pool in config.pools.iter_mut().filter(|pool| pool.source.is_some()) {
            let members =
                self.in_force.get(&pool.name).map(|known| known.members.as_slice()).unwrap_or_default();
            pool.backends = config::backends(members, pool);
        }
        config
    }

    /// At start: forgets members that contradict the file, which was perhaps changed since they were stored.
    pub(super) fn forget_contradictions(&mut self, file: &Config) {
        if contradictions(&self.fill(file)).problems.is_empty() {
            return;
        }
        let all = std::mem::take(&mut self.in_force);
        for (pool, membership) in all {
            self.in_force.insert(pool.clone(), membership);
            if let Some(problem) = contradictions(&self.fill(file)).problems.first() {
                log::error!(
                    "the stored members of pool {pool} contradict the file and are dropped: {}",
                    problem.fault
                );
                self.in_force.remove(&pool);
            }
        }
    }

    /// Follows the sources of a configuration, and forgets those that it doesn't have.
    pub(super) fn follow(&mut self, config: &Config) {
        self.followers.follow(config);
        let has_source = |pool: &str| config.pool(pool).is_some_and(|pool| pool.source.is_some());
        self.in_force.retain(|pool, _| has_source(pool));
        self.complaints.retain(|pool, _| has_source(pool));
        self.pending.retain(|pool, _| has_source(pool));
    }

    /// Takes news, and says what is to be put in force: none where everything stays.
    pub(super) fn judge(&mut self, file: &Config, news: News) -> Option<(String, Membership)> {
        if !self.followers.is_current(&news) {
            return None;
        }
        let News { pool, answer, .. } = news;
        match answer {
            Ok(answer) => self.judge_answer(file, &pool, answer),
            Err(error) => {
                self.complain(&pool, told(&error));
                None
            }
        }
    }

    fn judge_answer(
        &mut self,
        file: &Config,
        pool: &str,
        mut answer: Answer,
    ) -> Option<(String, Membership)> {
        self.pending.remove(pool);
        answer.members.sort_by(|one, other| one.name.cmp(&other.name));
        let known = self.in_force.get(pool);
        if answer.members.is_empty() && known.is_some_and(|known| !known.members.is_empty()) {
            self.complain(pool, "it has no members any more: the last ones are kept".to_owned());
            return None;
        }
        let membership =
            Membership { members: answer.members.clone(), revision: answer.revision, confirmed: now() };
        if known.is_some_and(|known| known.members == membership.members) {
            self.confirm(pool, &answer);
            return None;
        }
        let mut candidate = self.fill(file);
        for place in candidate.pools.iter_mut().filter(|place| place.name == pool) {
            place.backends = config::backends(&membership.members, place);
        }
        if let Some(problem) = contradictions(&candidate).problems.first() {
            self.complain(pool, format!("{}: the last members are kept", problem.fault.what));
            return None;
        }
        self.pending.insert(pool.to_owned(), answer);
        Some((pool.to_owned(), membership))
    }

    /// The same members as before.
    fn confirm(&mut self, pool: &str, answer: &Answer) {
        if let Some(known) = self.in_force.get_mut(pool) {
            known.revision = answer.revision;
            if answer.complaint.is_none() {
                known.confirmed = now();
            }
        }
        self.answered(pool, answer.complaint.clone());
    }

    /// Puts members in force; returns what was.
    pub(super) fn replace(&mut self, pool: &str, membership: Option<Membership>) -> Option<Membership> {
        match membership {
            Some(membership) => self.in_force.insert(pool.to_owned(), membership),
            None => self.in_force.remove(pool),
        }
    }

    /// What was put in force is live.
    pub(super) fn is_live(&mut self, pool: &str) {
        let complaint = self.pending.remove(pool).and_then(|answer| answer.complaint);
        self.answered(pool, complaint);
    }

    /// Could an answer not be applied? The pools, and what to try again.
    pub(super) fn again(&mut self, file: &Config) -> Vec<(String, Membership)> {
        let pending = std::mem::take(&mut self.pending);
        pending.into_iter().filter_map(|(pool, answer)| self.judge_answer(file, &pool, answer)).collect()
    }

    fn answered(&mut self, pool: &str, complaint: Option<String>) {
        match complaint {
            Some(complaint) => self.complain(pool, complaint),
            None if self.complaints.remove(pool).is_some() => {
                log::info!("the source of pool {pool} is well again")
            }
            None => {}
        }
    }

    /// Once is enough.
    pub(super) fn complain(&mut self, pool: &str, complaint: String) {
        if self.complaints.get(pool) != Some(&complaint) {
            log::error!("the source of pool {pool}: {complaint}");
            self.complaints.insert(pool.to_owned(), complaint);
        }
    }

    /// To be stored.
    pub(super) fn in_force(&self) -> &Stored {
        &self.in_force
    }

    /// For `status`.
    pub(super) fn shown(&self, pool: &config::Pool) -> Option<api::Source> {
        let source = pool.source.as_ref()?;
        let known = self.in_force.get(&pool.name);
        Some(api::Source {
            kind: source.kind().to_owned(),
            from: source.to_string(),
            members: known.map_or(0, |known| known.members.len()),
            revision: known.and_then(|known| known.revision),
            digest: known.map(|known| format!("{:016x}", digest(&known.members))),
            age_s: known.map(|known| now().saturating_sub(known.confirmed)),
            error: self.complaints.get(&pool.name).cloned(),
        })
    }
}

/// One number for a list of members, the same on every node that has the same.
fn digest(members: &[Member]) -> u64 {
    xxh64(&serde_json::to_vec(members).unwrap_or_default(), 0)
}

fn told(error: &SourceError) -> String {
    // A file has a line for each problem; one is enough here, `siplb check` tells all.
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
