//! A child with a process group and a log file of its own.
//!
//! The group keeps the terminal's Ctrl-C away from the child (the run decides in which order things end), and
//! lets servers that fork die whole.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::interrupt::wait_until;

/// A running child; dropped, its whole group is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command`, with both its outputs in the file `log`.
    ///
    /// # Errors
    /// When the log can't be written or the program can't be started.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// The id of the child, which is also that of its group.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Where the child's output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Signals the child alone, not its group.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Signals the whole group.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        killpg(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGKILL to the whole group at once, as a crash would be.
    pub fn kill(&mut self) {
        // Both fail only when there is nothing left to kill or to reap, which is what is wanted.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// # Errors
    /// With the end of its log, when the child has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.log_end()),
        }
    }

    /// Waits for the child to end by itself, calling `watch` all the while.
    ///
    /// # Errors
    /// When it has not after `limit`, or when a signal asked the run to end.
    pub fn wait(&mut self, limit: Duration, mut watch: impl FnMut()) -> Result<ExitStatus> {
        let mut status = None;
        let what = format!("{} to end", self.name);
        wait_until(&what, limit, Duration::from_millis(50), || {
            watch();
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        status.context("a child that ended has a status")
    }

    /// Asks `is_ready` until it says yes, and gives up when the child ends instead.
    ///
    /// # Errors
    /// When the child ends, `limit` is over, `is_ready` fails, or a signal asked the run to end.
    pub fn wait_ready(&mut self, limit: Duration, mut is_ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let what = format!("{} to be ready (its log: {})", self.name, self.log.display());
        wait_until(&what, limit, Duration::from_millis(50), || {
            self.ensure_running()?;
            is_ready()
        })?;
        Ok(())
    }

    /// The last lines of the log, for messages.
    pub fn log_end(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command for `program`, looked for in the system's folders too: a root shell that was opened with `su` has
/// them not on its PATH, and most of what the lab starts is there.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let mut command = Command::new(program);
    command.env("PATH", path);
    command
}

/// Runs a short command to its end and returns what it printed.
///
/// # Errors
/// When it can't be started, or fails: then with what it complained of.
pub fn output(mut command: Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .process_group(0)
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{command:?}` failed ({}): {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
