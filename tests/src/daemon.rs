//! The released daemon for benchmarks that need no lab: in this process's network namespace, with files of its own, gone when
//! it is dropped.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a daemon may take to start.
const START: Duration = Duration::from_secs(30);

/// The released binary, where `cargo xtask build` leaves it.
///
/// # Errors
/// When it is not there.
pub fn binary() -> Result<PathBuf> {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/siplb");
    ensure!(binary.is_file(), "there is no {}: run `cargo xtask build`", binary.display());
    Ok(binary)
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    folder: PathBuf,
    pins: PathBuf,
    interface: String,
    child: Child,
}

impl Daemon {
    /// Starts one on an interface, with a configuration file that goes on like this behind the first keys of `[node]`. The name
    /// is for its files: no two at a time may share it.
    ///
    /// # Errors
    /// When it does not start within 30 seconds, with what it said.
    pub fn start(name: &str, interface: &str, file: &str) -> Result<Self> {
        let name = format!("siplb-bench-{name}-{}", std::process::id());
        let (folder, pins) = (std::env::temp_dir().join(&name), Path::new("/sys/fs/bpf").join(&name));
        fs::create_dir_all(&folder)?;
        configure(&folder, &pins, interface, file)?;
        let log = fs::File::create(folder.join("log"))?;
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(folder.join("siplb.toml")).arg("run").stderr(log);
        let child = command.spawn().context("start siplb")?;
        let mut daemon = Self { folder, pins, interface: interface.to_owned(), child };
        let begun = Instant::now();
        while daemon.run(&["status"]).is_err() {
            if begun.elapsed() > START || daemon.child.try_wait()?.is_some() {
                bail!("siplb did not start:\n{}", fs::read_to_string(daemon.folder.join("log"))?);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// Writes another configuration file, as [`Daemon::start`] does.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn configure(&self, file: &str) -> Result<()> {
        configure(&self.folder, &self.pins, &self.interface, file)
    }

    /// Runs a verb of the command line, and returns what it prints.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(binary()?);
        command.arg("--socket").arg(self.folder.join("socket")).args(arguments);
        let output = command.output().context("run siplb")?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its maps are pinned.
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// Ends it, and takes away what it made.
    ///
    /// # Errors
    /// When it can't be ended or detached.
    pub fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        self.child.wait()?;
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(self.folder.join("siplb.toml")).arg("detach");
        ensure!(command.stdout(Stdio::null()).status()?.success(), "siplb detach failed");
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

fn configure(folder: &Path, pins: &Path, interface: &str, file: &str) -> Result<()> {
    let mut text = String::new();
    let (key, socket, state) = ("00".repeat(16), folder.join("socket"), folder.join("state"));
    writeln!(text, "[node]\ninterfaces = [{interface:?}]\nhash-key = \"hex:{key}\"")?;
    writeln!(text, "socket = {socket:?}\nstate-dir = {state:?}\npin-dir = {pins:?}\n{file}")?;
    fs::write(folder.join("siplb.toml"), text).context("write the configuration")
}
