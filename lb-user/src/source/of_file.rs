//! What a configuration file alone says of pools that have a source: for verbs that work without a daemon.

use super::{SourceError, file};
use crate::config::{self, Config, Finding, Source, contradictions};

/// A configuration with the members in place that files have.
pub struct Filled {
    /// It.
    pub config: Config,
    /// Pools whose members only a daemon knows, with what they come from.
    pub unknown: Vec<(String, String)>,
    /// Sources that can't be read or are wrong, by pool.
    pub failed: Vec<(String, SourceError)>,
    /// What contradicts the file, or another source.
    pub contradictions: Vec<Finding>,
}

/// Reads the sources that are files.
pub fn fill(mut config: Config) -> Filled {
    let (mut unknown, mut failed) = (Vec::new(), Vec::new());
    for pool in &mut config.pools {
        match &pool.source {
            None => {}
            Some(Source::File { path }) => match file::read(path) {
                Ok(mut members) => {
                    // As the daemon has them.
                    members.sort_by(|one, other| one.name.cmp(&other.name));
                    pool.backends = config::backends(&members, pool);
                }
                Err(error) => failed.push((pool.name.clone(), error)),
            },
            Some(source) => unknown.push((pool.name.clone(), source.to_string())),
        }
    }
    let contradictions = contradictions(&config).problems;
    Filled { config, unknown, failed, contradictions }
}
