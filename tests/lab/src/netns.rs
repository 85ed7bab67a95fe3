//! Network namespaces by name, entered without leaving the mount namespace.
//!
//! `ip netns exec` would also give the child a mount namespace with a fresh /sys: what it pins to a BPF file
//! system mounted there is gone when it ends. Everything here enters the network namespace and nothing else.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::{command, output};

const FOLDER: &str = "/run/netns";

/// A named network namespace. Dropping the value leaves the namespace: see [`Netns::delete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace, with `lo` up.
    ///
    /// # Errors
    /// When the name is taken or the kernel refuses, for lack of privilege for instance.
    pub fn create(name: &str) -> Result<Self> {
        ip(&["netns", "add", name])?;
        let netns = Self { name: name.to_owned() };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// All namespaces that exist whose names begin with `prefix`.
    ///
    /// # Errors
    /// When the folder of the names can't be read.
    pub fn existing(prefix: &str) -> Result<Vec<Self>> {
        if !Path::new(FOLDER).exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(FOLDER)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) {
                found.push(Self { name });
            }
        }
        Ok(found)
    }

    /// The name, as `ip netns` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run `program` inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = command("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    /// Runs `ip` on this namespace; `arguments` are separated by blanks.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        let arguments: Vec<&str> =
            ["-n", &self.name].into_iter().chain(arguments.split_whitespace()).collect();
        ip(&arguments)
    }

    /// Runs `work` on a thread of its own that is inside; sockets that it opens stay inside.
    ///
    /// # Errors
    /// When the namespace can't be entered, or `work` fails or panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let inside = || {
            let file = File::open(self.path()).with_context(|| format!("no namespace {}", self.name))?;
            setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", self.name))?;
            work()
        };
        std::thread::scope(|scope| {
            scope.spawn(inside).join().map_err(|_| anyhow!("work in namespace {} panicked", self.name))?
        })
    }

    /// Sets one of the namespace's own settings under /proc/sys/net.
    ///
    /// # Errors
    /// When there is no such setting or it refuses the value.
    pub fn set(&self, setting: &str, value: &str) -> Result<()> {
        let file = format!("/proc/sys/net/{setting}");
        self.run(|| fs::write(&file, value).with_context(|| format!("cannot write {value} to {file}")))
    }

    /// Kills whatever runs inside and removes the namespace, with all interfaces in it.
    ///
    /// # Errors
    /// When the namespace is there and can't be removed.
    pub fn delete(&self) -> Result<()> {
        for pid in ip(&["netns", "pids", &self.name])?.lines() {
            if let Ok(pid) = pid.trim().parse() {
                // It may have ended in between.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        ip(&["netns", "del", &self.name])?;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }
}

fn ip(arguments: &[&str]) -> Result<String> {
    let mut command = command("ip");
    command.args(arguments);
    output(command)
}
