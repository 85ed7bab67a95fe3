//! The options that every verb has, and what follows from them: which file, which daemon.

use std::future::Future;
use std::path::{Path, PathBuf};

use crate::config::{self, Config, LoadError};
use crate::control::client::{Client, ClientError};
use crate::daemon::{block_on, local_addresses};
use crate::net::Network;
use crate::pool::{Desired, Facts, Ids, Plan, Planner};

use super::failure::{Code, Failure};
use crate::source::of_file;

const DEFAULT_CONFIG: &str = "/etc/siplb/siplb.toml";
/// The defaults of `node.socket` and `node.pin-dir`, for a machine without a configuration.
const DEFAULT_SOCKET: &str = "/run/siplb/siplb.sock";
const DEFAULT_PIN_DIR: &str = "/sys/fs/bpf/siplb";

/// Options of every verb.
#[derive(Debug, clap::Args)]
pub(super) struct Context {
    /// Configuration file [default: /etc/siplb/siplb.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Control socket of the daemon [default: as the configuration file says]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print JSON: one object, or one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What a configuration file alone says, with every backend taken as up.
pub(super) struct OfFile {
    pub(super) desired: Desired,
    pub(super) plan: Plan,
    pub(super) seed: u64,
    pub(super) fingerprint: u32,
}

/// A configuration with the members that its file sources have. Says which pools it knows nothing of.
fn with_members(config: Config) -> Result<Config, Failure> {
    let filled = of_file::fill(config);
    for (pool, source) in &filled.unknown {
        eprintln!(
            "warning: the members of pool {pool} come from {source}, and only the daemon knows them: without -c it is asked"
        );
    }
    let failed = filled.failed.iter().map(|(pool, error)| format!("the source of pool {pool}: {error}"));
    let contradictions = filled.contradictions.iter().map(ToString::to_string);
    match failed.chain(contradictions).collect::<Vec<_>>().join("\n") {
        wrong if !wrong.is_empty() => Err(Failure::new(Code::BadUsage, wrong)),
        _ => Ok(filled.config),
    }
}

impl Context {
    /// The configuration file.
    pub(super) fn file(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG))
    }

    /// The configuration file, if one was named.
    pub(super) fn named_file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Reads the configuration file.
    pub(super) fn load(&self) -> Result<Config, LoadError> {
        config::load(self.file())
    }

    /// Reads the file if it was named, or there is one that can be read.
    fn load_if_any(&self) -> Result<Option<Config>, LoadError> {
        match self.load() {
            Err(error) if self.config.is_some() => Err(error),
            loaded => Ok(loaded.ok()),
        }
    }

    /// The daemon's socket.
    pub(super) fn socket(&self) -> Result<PathBuf, LoadError> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        Ok(self.load_if_any()?.map_or_else(|| DEFAULT_SOCKET.into(), |config| config.node.socket))
    }

    /// Where program, maps and links are pinned.
    pub(super) fn pin_dir(&self) -> Result<PathBuf, LoadError> {
        Ok(self.load_if_any()?.map_or_else(|| DEFAULT_PIN_DIR.into(), |config| config.node.pin_dir))
    }

    /// The plan of the configuration file, for verbs that work without a daemon: when a file was named, and no socket.
    pub(super) fn of_file(&self) -> Result<Option<OfFile>, Failure> {
        if self.config.is_none() || self.socket.is_some() {
            return Ok(None);
        }
        let config = self.load()?;
        let key = config.node.hash_key.load().map_err(anyhow::Error::from)?;
        let desired = Desired::of_file(with_members(config)?);
        let network = Network { local: local_addresses(), ..Network::default() };
        let plan = Planner::new(key.seed, Ids::default()).plan(&desired, Facts::NONE, &network);
        Ok(Some(OfFile { desired, plan, seed: key.seed, fingerprint: key.fingerprint }))
    }

    /// Asks the daemon.
    pub(super) fn ask<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        question: impl FnOnce(Client) -> F,
    ) -> Result<T, Failure> {
        let client = Client::new(&self.socket()?);
        Ok(block_on(async { Ok(question(client).await) })??)
    }
}
