//! A real etcd, one member of a cluster of one, and the backends' registrations in it.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::netns::Netns;
use crate::process::{Process, output};

const START_LIMIT: Duration = Duration::from_secs(20);
const PORT: u16 = 2379;

/// One etcd; dropped, it is killed. Its data stay in the folder.
#[derive(Debug)]
pub struct Etcd {
    netns: Netns,
    process: Process,
}

impl Etcd {
    /// Starts it with the data that the folder has, for clients at `address`, and waits until it can be asked.
    ///
    /// # Errors
    /// When etcd is missing, ends at once, or takes too long.
    pub fn start(netns: &Netns, address: IpAddr, folder: &Path) -> Result<Self> {
        let data: PathBuf = folder.join("etcd");
        fs::create_dir_all(&data)?;
        let mut command = netns.command("etcd");
        command
            .args(["--name", "lab", "--data-dir"])
            .arg(&data)
            .args(["--listen-client-urls", &format!("http://127.0.0.1:{PORT},http://{address}:{PORT}")])
            .args(["--advertise-client-urls", &Self::url(address)])
            .args(["--listen-peer-urls", "http://127.0.0.1:2380"])
            .args(["--initial-advertise-peer-urls", "http://127.0.0.1:2380"])
            .args(["--initial-cluster", "lab=http://127.0.0.1:2380"]);
        let process = Process::spawn("etcd", command, &folder.join("etcd.log"))?;
        let mut etcd = Self { netns: netns.clone(), process };
        etcd.wait_ready()?;
        Ok(etcd)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let netns = &self.netns;
        self.process.wait_ready(START_LIMIT, || Ok(ctl(netns, &["endpoint", "health"]).is_ok()))
    }

    /// Where its clients find it.
    pub fn url(address: IpAddr) -> String {
        format!("http://{address}:{PORT}")
    }

    /// Runs `etcdctl`.
    ///
    /// # Errors
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        ctl(&self.netns, arguments)
    }
}

fn ctl(netns: &Netns, arguments: &[&str]) -> Result<String> {
    let mut command = netns.command("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--command-timeout", "3s"]).args(arguments);
    output(command)
}
