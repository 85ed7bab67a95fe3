//! A real name server: dnsmasq, with records of its own and nobody to ask.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::interrupt::pause;
use crate::netns::Netns;
use crate::process::Process;

/// A name server on 127.0.0.1 of a namespace; dropped, it is killed.
#[derive(Debug)]
pub struct Dnsmasq {
    process: Process,
    log: PathBuf,
}

impl Dnsmasq {
    /// Starts it with these lines of configuration: `srv-host=NAME,TARGET,PORT,PRIORITY,WEIGHT`, `host-record=NAME,ADDRESS`.
    /// All records live so many seconds.
    ///
    /// # Errors
    /// When dnsmasq is missing or ends at once.
    pub fn start(netns: &Netns, folder: &Path, ttl: u32, records: &str) -> Result<Self> {
        let (config, log) = (folder.join("dnsmasq.conf"), folder.join("dnsmasq.log"));
        let settings = "port=53\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nlog-queries\n\
                        local=/example.com/\n";
        fs::write(&config, format!("{settings}local-ttl={ttl}\n{records}"))?;
        let mut command = netns.command("dnsmasq");
        // In the foreground, as whoever it is started by, with its log on stderr.
        command.args(["--keep-in-foreground", "--user=root", "--log-facility=-", "--pid-file="]);
        command.arg(format!("--conf-file={}", config.display()));
        let mut process = Process::spawn("dnsmasq", command, &log)?;
        pause(Duration::from_millis(300))?;
        process.ensure_running()?;
        Ok(Self { process, log })
    }

    /// How often it was asked for the SRV records of anything.
    ///
    /// # Errors
    /// When its log can't be read.
    pub fn questions(&self) -> Result<usize> {
        Ok(fs::read_to_string(&self.log)?.matches("query[SRV]").count())
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill();
    }
}
