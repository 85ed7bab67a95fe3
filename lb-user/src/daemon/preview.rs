//! `siplb plan`: what a change would do to what is live, found out without doing it.
//!
//! The same steps as a change takes, on copies: what the verb would refuse is refused here, in the same words. Only what the
//! datapath or the disk would refuse can't be foreseen.

use super::core::{Core, still_down};
use super::live::Live;
use crate::config::{self, Config, Limits, LoadError, Node};
use crate::control::Error;
use crate::control::api::Preview;
use crate::control::error::Kind;
use crate::control::proposal::Proposed;
use crate::pool::preview::preview;
use crate::pool::{Changes, Desired};

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
                let is_change = changes.pools != self.changes.pools;
                Ok(self.compare(&self.config, changes, |_| is_change.then_some(done).into_iter().collect()))
            }
        }
    }

    fn preview_of_file(&self, loaded: Result<Config, LoadError>) -> Result<Preview, Error> {
        let config = self.admitted(loaded)?;
        let changes = self.changes.clone();
        let mut preview = self.compare(&config, changes, |desired| desired.differences(&self.desired));
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
        mut changes: Changes,
        differences: impl FnOnce(&Desired) -> Vec<String>,
    ) -> Preview {
        let (desired, notes) = Desired::new(config, &mut changes);
        let down = still_down(&self.down, &self.desired, &desired);
        let plan = self.planner.clone().plan(&desired, &down, &self.network);
        let mut found = preview(&self.plan, (&desired, &plan), differences(&desired));
        found.notes.extend(notes);
        found
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
        let fixed = only_by_restart((&self.config.node, &self.config.limits), (&config.node, &config.limits));
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
