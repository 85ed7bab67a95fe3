//! The daemon that is measured: the released binary, in a network namespace of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use serde_json::Value;

use crate::files::Case;

/// How long the daemon may take to start.
const START: Duration = Duration::from_secs(20);
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

pub(crate) struct Daemon {
    folder: PathBuf,
    pins: PathBuf,
    child: Child,
}

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
        let name = format!("siplb-bench-{}", std::process::id());
        let (folder, pins) = (std::env::temp_dir().join(&name), Path::new("/sys/fs/bpf").join(&name));
        fs::create_dir_all(&folder)?;
        write(&folder, &pins, &Case::All.files()[1])?;
        let log = fs::File::create(folder.join("log"))?;
        let child = Command::new(binary()?)
            .arg("--config")
            .arg(folder.join("siplb.toml"))
            .arg("run")
            .stderr(log)
            .spawn()
            .context("start siplb")?;
        let mut daemon = Self { folder, pins, child };
        let begun = Instant::now();
        while daemon.ask(&["status"]).is_err() {
            if begun.elapsed() > START || daemon.child.try_wait()?.is_some() {
                bail!("siplb did not start:\n{}", fs::read_to_string(daemon.folder.join("log"))?);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// Reloads with another file.
    pub(crate) fn reload(&mut self, file: &str) -> Result<Took> {
        write(&self.folder, &self.pins, file)?;
        sleep(PAUSE);
        Ok(serde_json::from_value(self.ask(&["reload"])?["took"].clone())?)
    }

    /// How long `siplb status` takes, process and all, in microseconds; and how many bytes its widest line has.
    pub(crate) fn time_of_status(&mut self) -> Result<(u64, usize)> {
        let [all, _] = Case::All.files();
        self.reload(&all)?;
        let begun = Instant::now();
        let text = self.run(&["status"])?;
        Ok((begun.elapsed().as_micros() as u64, text.lines().map(str::len).max().unwrap_or(0)))
    }

    fn ask(&self, verb: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(&[&["--json"], verb].concat())?)?)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let socket = self.folder.join("socket");
        let mut command = Command::new(binary()?);
        command.arg("--socket").arg(&socket).args(arguments).stderr(Stdio::piped());
        let output = command.output().context("run siplb")?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Ends it, and takes away what it made.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        self.child.wait()?;
        let detached = Command::new(binary()?)
            .arg("--config")
            .arg(self.folder.join("siplb.toml"))
            .arg("detach")
            .stdout(Stdio::null())
            .status()?;
        ensure!(detached.success(), "siplb detach failed");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After a failure; `stop` has left nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_dir_all(&self.pins);
    }
}

fn write(folder: &Path, pins: &Path, file: &str) -> Result<()> {
    let node = format!(
        "[node]\ninterfaces = [\"v0\"]\nhash-key = \"hex:{}\"\nsocket = {:?}\nstate-dir = {:?}\npin-dir = {pins:?}\n\
         [health]\ninterval = \"1h\"\n[limits]\nbackends = 4096\ngroups = 1024\nnames = 16384\n",
        "00".repeat(16),
        folder.join("socket"),
        folder.join("state"),
    );
    fs::write(folder.join("siplb.toml"), node + file).context("write the configuration")
}

fn binary() -> Result<PathBuf> {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/siplb");
    ensure!(binary.is_file(), "there is no {}: run `cargo xtask build`", binary.display());
    Ok(binary)
}
