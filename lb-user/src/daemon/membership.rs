//! What the daemon makes of what sources say: a change like the operator's, under the operator's changes.

use super::core::Core;
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
        match self.apply(config, self.changes.clone()) {
            Ok(notes) => {
                self.sources.is_live(pool);
                let differences = self.desired.differences(&before);
                differences
                    .iter()
                    .chain(&notes)
                    .for_each(|sentence| log::info!("source of {pool}: {sentence}"));
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
