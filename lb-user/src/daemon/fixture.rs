//! A daemon without kernel and root, for tests: the datapath is in memory, the state folder a temporary one.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::core::{Core, Start};
use super::live::InMemory;
use super::sources::Sources;
use super::store::Store;
use crate::config;
use crate::health::Event;
use crate::net::Network;
use crate::source::{Followers, News};

/// Where a daemon lives, over its restarts.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
}

/// A daemon, and what its checks would say if they were ever made: the interval is an hour.
pub(crate) struct Daemon {
    pub(crate) core: Core<InMemory>,
    pub(crate) health: UnboundedReceiver<Event>,
    pub(crate) members: UnboundedReceiver<News>,
}

impl Home {
    /// With pool `p` behind a VIP: group `a` of `a1` and its standby `a2`, and `b1` in a group of its own.
    pub(crate) fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write(&["a1 10.0.0.1 a 0", "a2 10.0.0.2 a 1", "b1 10.0.0.3 b 0"]);
        home
    }

    /// Writes a configuration with these backends: name, address, group, priority.
    pub(crate) fn write(&self, backends: &[&str]) {
        let mut text = format!(
            "[node]\ninterfaces = [\"eth0\"]\nhash-key = \"hex:{}\"\n[health]\ninterval = \"1h\"\n\
             [[vip]]\naddress = \"192.0.2.10\"\npool = \"p\"\n[[pool]]\nname = \"p\"\n",
            "0".repeat(32)
        );
        for backend in backends {
            let [name, address, group, priority] = backend.split(' ').collect::<Vec<_>>()[..] else {
                panic!()
            };
            text += &format!(
                "[[pool.backend]]\nname = \"{name}\"\naddress = \"{address}\"\ngroup = \"{group}\"\npriority = {priority}\n"
            );
        }
        fs::write(self.file(), text).unwrap();
    }

    /// Writes a configuration whose pool `p` has a source: a file that isn't there; and more lines of the VIP.
    pub(crate) fn write_with_source(&self, of_vip: &str) {
        self.write(&[]);
        let text = fs::read_to_string(self.file()).unwrap();
        let source = self.folder.path().join("pool.toml");
        let text = text.replace("pool = \"p\"\n", &format!("pool = \"p\"\n{of_vip}\n"));
        let source = format!("[pool.source]\nkind = \"file\"\npath = {source:?}\n");
        fs::write(self.file(), text + &source).unwrap();
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("siplb.toml")
    }

    /// Starts a daemon on this datapath.
    pub(crate) fn start(&self, datapath: InMemory) -> anyhow::Result<Daemon> {
        let (events, health) = unbounded_channel();
        let store = Store::open(&self.folder.path().join("state"))?;
        let (source_news, members) = unbounded_channel();
        let start = Start {
            file: self.file(),
            config: config::load(&self.file())?,
            fingerprint: 0x1234,
            seed: 7,
            sources: Sources::new(Followers::new(source_news), store.sources()?),
            store,
            is_adopted: datapath.generation > 0,
            datapath,
            network: Network::default(),
        };
        Ok(Daemon { core: Core::start(start, events)?, health, members })
    }
}
