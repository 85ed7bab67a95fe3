//! `siplb plan`: what a change would do to what is live, found out without doing it.
//!
//! The same steps as a change takes, on copies: what the verb would refuse is refused here, in the same words. Only what the
//! datapath or the disk would refuse can't be foreseen.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::core::{Core, still};
use super::course::sentence;
use super::live::Live;
use crate::config::{self, Config, Limits, LoadError, Node};
use crate::control::Error;
use crate::control::api::Preview;
use crate::control::error::Kind;
use crate::control::proposal::Proposed;
use crate::pool::handover::{Moment, News};
use crate::pool::preview::preview;
use crate::pool::{Change, Changes, Desired, Facts, Plan, State};

/// What would be done at run time.
struct Asked<'a> {
    changes: Changes,
    /// Pool and name of a backend that would not be kept from going home any more.
    released: Option<(&'a str, &'a str)>,
}

impl<D: Live> Core<D> {
    /// Says what a change would do.
    ///
    /// # Errors
    /// As the change itself.
    pub fn preview(&self, proposed: &Proposed) -> Result<Preview, Error> {
        match proposed {
            Proposed::Reload => self.preview_of_file(config::load(&self.file)),
            Proposed::File(name, text) => {
                self.preview_of_file(config::parse(text, name).map_err(LoadError::from))
            }
            Proposed::Change(change) => {
                let (changes, done) = self.changes.with(&self.config, change)?;
                let pool = change.pool(&self.desired, &self.config)?;
                let released = match change {
                    Change::State(named, State::Active) => Some((pool.as_str(), named.name.as_str())),
                    _ => None,
                };
                let is_change = changes.pools != self.changes.pools;
                let asked = Asked { changes, released };
                Ok(self.compare(&self.config, asked, |_| is_change.then_some(done).into_iter().collect()))
            }
        }
    }

    fn preview_of_file(&self, loaded: Result<Config, LoadError>) -> Result<Preview, Error> {
        let config = self.admitted(loaded)?;
        let asked = Asked { changes: self.changes.clone(), released: None };
        let mut preview = self.compare(&config, asked, |desired| desired.differences(&self.desired));
        let mut left = self.changes.clone();
        Desired::new(&config, &mut left);
        preview.notes.extend(left.in_force().map(|it| it.sentence(&config)));
        preview
            .warnings
            .extend(config.warnings.iter().map(|warning| format!("{}:{warning}", config.warnings.file)));
        Ok(preview)
    }

    /// What is live beside what this would make of it.
    fn compare(
        &self,
        config: &Config,
        asked: Asked<'_>,
        differences: impl FnOnce(&Desired) -> Vec<String>,
    ) -> Preview {
        let mut changes = asked.changes;
        let (desired, notes) = Desired::new(config, &mut changes);
        let all = desired.config.pools.iter().map(|pool| pool.name.clone()).collect();
        let (plan, _) = self.foretell(&desired, &all, asked.released);
        // As it would really go: where users are handed over, they move later.
        let (_, news) = self.foretell(&desired, &BTreeSet::new(), asked.released);
        let mut found = preview(&self.plan, (&desired, &plan), differences(&desired));
        found.notes.extend(notes);
        found.notes.extend(news.iter().map(|(pool, news)| sentence(pool, news, &desired)));
        found
    }

    /// What would be live at once if this were wanted, and what would happen to the pools.
    fn foretell(
        &self,
        desired: &Desired,
        at_once: &BTreeSet<String>,
        released: Option<(&str, &str)>,
    ) -> (Plan, Vec<(String, News)>) {
        let (mut courses, mut planner) = (self.courses.clone(), self.planner.clone());
        if let Some((pool, name)) = released {
            courses.release(pool, name);
        }
        let (old, new) = (courses.effective(&self.desired), courses.effective(desired));
        let (down, overloaded) = (still(&self.down, &old, &new), still(&self.overloaded, &old, &new));
        let facts = Facts { down: &down, overloaded: &overloaded };
        planner.number(&new, &courses);
        let now = Instant::now().into_std();
        let moment = Moment { now, windows: desired.config.handover, at_once, facts };
        let news = courses.advance(desired, &mut planner.judge(facts), &moment);
        let plan = planner.plan_on(&courses, &courses.effective(desired), facts, &self.network);
        (plan, news)
    }

    /// A configuration that this daemon can take while it runs.
    ///
    /// # Errors
    /// When it is wrong, with everything that is; or when it takes a restart.
    pub(super) fn admitted(&self, loaded: Result<Config, LoadError>) -> Result<Config, Error> {
        let config = loaded.map_err(|error| match error {
            // A line each, as `siplb check` has them: the file's name and the line's number come first.
            LoadError::Wrong(problems) => {
                let what = format!("{} is wrong, and nothing is changed:\n{problems}", problems.file);
                Error::new(Kind::Bad, what, "")
            }
            LoadError::Unreadable { .. } => {
                Error::new(Kind::Bad, error.to_string(), "until then nothing changes")
            }
        })?;
        let mut fixed =
            only_by_restart((&self.config.node, &self.config.limits), (&config.node, &config.limits));
        if self.config.metrics != config.metrics {
            fixed.push("metrics.listen");
        }
        if fixed.is_empty() {
            return Ok(config);
        }
        let what = format!("{} can't change while the daemon runs", fixed.join(", "));
        Err(Error::new(Kind::Conflict, what, "put it back, or restart the daemon"))
    }
}

/// The keys whose change takes a restart, of those that differ.
pub(crate) fn only_by_restart(before: (&Node, &Limits), after: (&Node, &Limits)) -> Vec<&'static str> {
    let differs = [
        ("node.interfaces", before.0.interfaces != after.0.interfaces),
        ("node.xdp-mode", before.0.xdp_mode != after.0.xdp_mode),
        ("node.hash-key", before.0.hash_key != after.0.hash_key),
        ("node.socket", before.0.socket != after.0.socket),
        ("node.state-dir", before.0.state_dir != after.0.state_dir),
        ("node.pin-dir", before.0.pin_dir != after.0.pin_dir),
        ("limits", before.1 != after.1),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
