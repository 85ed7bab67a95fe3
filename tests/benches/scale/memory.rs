//! What the real daemon and its maps take: the released binary, with interfaces of its own in this process's namespace.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lb_user::datapath::memory_of_maps;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Backends of the daemons.
pub(crate) const BACKENDS: [usize; 3] = [4, 1_000, 4_000];
/// How long a daemon may take to start.
const START: Duration = Duration::from_secs(30);
/// As long as it takes until the last 32 checks of every backend are known, which is all that is kept of them.
const CHECKED: Duration = Duration::from_secs(35);

/// What was found.
pub(crate) struct Memory {
    /// Bytes of each map with the limits that are the default.
    pub(crate) maps: BTreeMap<&'static str, u64>,
    /// The same with 1,024 VIPs and pools.
    pub(crate) maps_at_most: BTreeMap<&'static str, u64>,
    /// Bytes of memory that is resident, by backends.
    pub(crate) resident: Vec<(usize, u64)>,
}

/// Starts the daemons, lets them check their backends for a while, and asks the kernel.
pub(crate) fn measure() -> Result<Memory> {
    let mut daemons = Vec::new();
    for (number, backends) in BACKENDS.into_iter().enumerate() {
        daemons.push(Daemon::start(number, backends, "")?);
    }
    let largest = Daemon::start(BACKENDS.len(), 4, "[limits]\nvips = 1024\npools = 1024\n")?;
    let maps_at_most = memory_of_maps(&largest.pins)?;
    largest.stop()?;
    sleep(CHECKED);
    let maps = memory_of_maps(&daemons[0].pins)?;
    let resident = BACKENDS.into_iter().zip(&daemons);
    let resident =
        resident.map(|(backends, daemon)| Ok((backends, daemon.resident()?))).collect::<Result<_>>()?;
    daemons.into_iter().try_for_each(Daemon::stop)?;
    Ok(Memory { maps, maps_at_most, resident })
}

struct Daemon {
    folder: PathBuf,
    pins: PathBuf,
    child: Child,
}

impl Daemon {
    fn start(number: usize, backends: usize, limits: &str) -> Result<Self> {
        let (interface, network) = (format!("d{number}"), format!("10.{}", 100 + number));
        furnish(&interface, &network, backends)?;
        let name = format!("siplb-bench-scale-{}-{number}", std::process::id());
        let (folder, pins) = (std::env::temp_dir().join(&name), Path::new("/sys/fs/bpf").join(&name));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("siplb.toml"), config(&folder, &pins, &interface, &network, backends, limits))?;
        let log = fs::File::create(folder.join("log"))?;
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(folder.join("siplb.toml")).arg("run").stderr(log);
        let child = command.spawn().context("start siplb")?;
        let mut daemon = Self { folder, pins, child };
        let begun = Instant::now();
        while !daemon.is_ready()? {
            if begun.elapsed() > START || daemon.child.try_wait()?.is_some() {
                bail!("siplb did not start:\n{}", fs::read_to_string(daemon.folder.join("log"))?);
            }
            sleep(Duration::from_millis(50));
        }
        Ok(daemon)
    }

    fn is_ready(&self) -> Result<bool> {
        let mut command = Command::new(binary()?);
        command.arg("--socket").arg(self.folder.join("socket")).arg("status");
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        Ok(status.success())
    }

    /// Bytes of its memory that are resident.
    fn resident(&self) -> Result<u64> {
        let told = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is told")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1_024)
    }

    fn stop(mut self) -> Result<()> {
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

/// An interface behind which every backend has a MAC address and nobody answers.
fn furnish(interface: &str, network: &str, backends: usize) -> Result<()> {
    let mut lines = format!(
        "link add {interface} type veth peer name {interface}x\naddr add {network}.0.1/16 dev {interface}\n\
         link set {interface} up\nlink set {interface}x up\n"
    );
    for host in 1..=backends {
        let address = address(network, host);
        let _ =
            writeln!(lines, "neigh replace {address} lladdr 02:00:00:00:00:09 dev {interface} nud permanent");
    }
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped());
    let mut child = command.spawn().context("run ip (package iproute2)")?;
    child.stdin.take().context("its input is ours")?.write_all(lines.as_bytes())?;
    ensure!(child.wait()?.success(), "ip -batch failed");
    Ok(())
}

fn address(network: &str, host: usize) -> String {
    format!("{network}.{}.{}", 1 + host / 256, host % 256)
}

/// A VIP with so many backends, each a group of its own with an alias; times are the default.
fn config(
    folder: &Path,
    pins: &Path,
    interface: &str,
    network: &str,
    backends: usize,
    limits: &str,
) -> String {
    let mut text = format!(
        "[node]\ninterfaces = [{interface:?}]\nhash-key = \"hex:{}\"\nsocket = {:?}\nstate-dir = {:?}\npin-dir = {pins:?}\n\
         {limits}[[vip]]\naddress = \"192.0.2.10\"\npool = \"registrars\"\ndomains = [\"example.com\"]\n\
         [[pool]]\nname = \"registrars\"\n",
        "00".repeat(16),
        folder.join("socket"),
        folder.join("state"),
    );
    for host in 1..=backends {
        let address = address(network, host);
        let _ = write!(
            text,
            "[[pool.backend]]\nname = \"b{host}\"\naddress = \"{address}\"\naliases = [\"b{host}.sip.example.com\"]\n"
        );
    }
    text
}

fn binary() -> Result<PathBuf> {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/siplb");
    ensure!(binary.is_file(), "there is no {}: run `cargo xtask build`", binary.display());
    Ok(binary)
}
