//! What the daemon makes of what sources say: a change like the operator's, under the operator's changes.

use std::collections::BTreeSet;

use super::core::{Applied, Core};
use super::journal::{Kind as What, Who};
use super::live::Live;
use super::sources::Membership;
use crate::config::{Config, contradictions};
use crate::control::Error;
use crate::control::error::{Kind, told};
use crate::source::News;

impl<D: Live> Core<D> {
    /// Takes what sources said.
    pub(super) fn members(&mut self, news: Vec<News>) {
        for news in news {
            if let Some((pool, membership)) = self.sources.judge(&self.config, news) {
                self.put_in_force(&pool, membership);
            }
        }
    }

    /// Tries again what could not be put in force.
    pub(super) fn members_again(&mut self) {
        for (pool, membership) in self.sources.again(&self.config) {
            self.put_in_force(&pool, membership);
        }
    }

    /// A file that was read anew, with the members that are in force.
    ///
    /// # Errors
    /// When they contradict it.
    pub(super) fn with_members(&self, file: &Config) -> Result<Config, Error> {
        let config = self.sources.fill(file);
        match contradictions(&config).problems.first() {
            None => Ok(config),
            Some(problem) => {
                let what = format!("{}, as the members go that sources gave", problem.fault.what);
                Err(Error::new(Kind::Conflict, what, problem.fault.mend.clone()))
            }
        }
    }

    /// A change that is stored and live when this returns, or is tried again.
    fn put_in_force(&mut self, pool: &str, membership: Membership) {
        let was = self.sources.replace(pool, Some(membership));
        let config = self.sources.fill(&self.config);
        let before = self.desired.clone();
        // A pool that had nobody has nobody to hand over.
        let is_first = before.config.pool(pool).is_none_or(|pool| pool.backends.is_empty());
        let at_once = if is_first { BTreeSet::from([pool.to_owned()]) } else { BTreeSet::new() };
        match self.apply(config, self.changes.clone(), &at_once) {
            Ok(Applied { notes, told: users }) => {
                self.sources.is_live(pool);
                let done = self.desired.differences(&before).into_iter().chain(notes).chain(users);
                let reason = done.collect::<Vec<_>>().join("; ");
                log::info!("the source of pool {pool} gave other members: {reason}");
                self.journal.record(What::Source, pool, reason, &Who::Daemon);
                if let Err(error) = self.store.store_sources(self.sources.in_force()) {
                    log::error!("the next daemon will not know the members of {pool}: {}", told(&error));
                }
            }
            Err(error) => {
                self.sources.replace(pool, was);
                self.sources.complain(pool, format!("its members can't be put in force: {error}"));
            }
        }
    }
}
