//! Real Kamailio registrars as the second stage, after `tests/kamailio/registrar.cfg`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Process, command, output};
use crate::topology::{DOMAIN, Host, SIP_PORT};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kamailio/registrar.cfg");
const START_LIMIT: Duration = Duration::from_secs(15);

/// One registrar; dropped, it is killed.
#[derive(Debug)]
pub struct Kamailio {
    name: String,
    control: PathBuf,
    process: Process,
}

impl Kamailio {
    /// Starts a registrar with an empty location table on `host`, and waits until it can be asked.
    ///
    /// # Errors
    /// When Kamailio is missing, ends at once, or takes longer than some seconds.
    pub fn start(host: &Host, folder: &Path) -> Result<Self> {
        let control = folder.join(format!("{}.ctl", host.name));
        let mut command = host.netns.command("kamailio");
        command
            // In the foreground, complaining to its log, with 32 MiB shared and 4 MiB for each process.
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-f", CONFIG, "-w"])
            .arg(folder)
            .args(["-A", &format!("LISTEN=udp:{}:{SIP_PORT}", host.address)])
            .args(["-A", &format!("DOMAIN=\"{DOMAIN}\"")])
            .args(["-A", &format!("CONTROL=\"unixs:{}\"", control.display())]);
        let log = folder.join(format!("{}.log", host.name));
        let process = Process::spawn(&format!("Kamailio {}", host.name), command, &log)?;
        let mut kamailio = Self { name: host.name.clone(), control, process };
        kamailio.wait_ready()?;
        Ok(kamailio)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let control = &self.control;
        self.process.wait_ready(START_LIMIT, || Ok(output(kamcmd(control, &["core.version"])).is_ok()))
    }

    /// The backend's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The users who are registered here, by the registrar's own word.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn users(&self) -> Result<Vec<String>> {
        let listing = output(kamcmd(&self.control, &["ul.dump", "brief"]))
            .with_context(|| format!("cannot ask Kamailio {} for its users", self.name))?;
        let mut users: Vec<String> =
            listing.lines().filter_map(|line| line.trim().strip_prefix("AoR: ")).map(str::to_owned).collect();
        users.sort_unstable();
        Ok(users)
    }

    /// SIGKILL to all its processes at once, and with them to everything it remembers.
    pub fn kill(mut self) {
        self.process.kill();
    }
}

fn kamcmd(control: &Path, arguments: &[&str]) -> Command {
    let mut command = command("kamcmd");
    command.arg("-s").arg(format!("unixs:{}", control.display())).args(arguments);
    command
}
