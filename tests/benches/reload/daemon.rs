//! The daemon that is measured: the released binary, in a network namespace of its own.

use std::{
    fs,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, unshare};
use serde::Deserialize;
use serde_json::Value;

use crate::files::Case;

/// Between reloads, so that none pays for the grace period of the one before.
const PAUSE: Duration = Duration::from_millis(100);

/// What the daemon says of a reload, in microseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Took {
    pub(crate) total_us: u64,
    pub(crate) read_us: u64,
    pub(crate) plan_us: u64,
    pub(crate) store_us: u64,
    pub(crate) publish_us: u64,
}

pub(crate) struct Daemon(siplb_tests::daemon::Daemon);

impl Daemon {
    /// Starts it in a new namespace, with one backend.
    pub(crate) fn start() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
        for command in [
            "link set lo up",
            "link add v0 type veth peer name v1",
            "addr add 10.0.0.1/8 dev v0",
            "link set v0 up",
            "link set v1 up",
        ] {
            let status = Command::new("ip").args(command.split(' ')).status().context("run ip (iproute2)")?;
            ensure!(status.success(), "ip {command} failed");
        }
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("switch forwarding on")?;
        siplb_tests::daemon::Daemon::start("reload", "v0", &file(&Case::All.files()[1])).map(Self)
    }

    /// Reloads with another file.
    pub(crate) fn reload(&mut self, pools: &str) -> Result<Took> {
        self.0.configure(&file(pools))?;
        sleep(PAUSE);
        Ok(serde_json::from_value(self.ask(&["reload"])?["took"].clone())?)
    }

    /// How long `siplb status` takes, process and all, in microseconds; and how many bytes its widest line has.
    pub(crate) fn time_of_status(&mut self) -> Result<(u64, usize)> {
        let [all, _] = Case::All.files();
        self.reload(&all)?;
        let begun = Instant::now();
        let text = self.0.run(&["status"])?;
        Ok((begun.elapsed().as_micros() as u64, text.lines().map(str::len).max().unwrap_or(0)))
    }

    fn ask(&self, verb: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.0.run(&[&["--json"], verb].concat())?)?)
    }

    /// Ends it, and takes away what it made.
    pub(crate) fn stop(self) -> Result<()> {
        self.0.stop()
    }
}

/// What stands in the file before the pools.
fn file(pools: &str) -> String {
    format!("[health]\ninterval = \"1h\"\n[limits]\nbackends = 4096\ngroups = 1024\nnames = 16384\n{pools}")
}
