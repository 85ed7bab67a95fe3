//! What the real daemon and its maps take: the released binary, with interfaces of its own in this process's namespace.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use lb_user::datapath::memory_of_maps;
use siplb_tests::daemon::Daemon;

/// Backends of the daemons.
pub(crate) const BACKENDS: [usize; 3] = [4, 1_000, 4_000];
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
        daemons.push(start(number, backends, "")?);
    }
    let largest = start(BACKENDS.len(), 4, "[limits]\nvips = 1024\npools = 1024\n")?;
    let maps_at_most = memory_of_maps(largest.pins())?;
    largest.stop()?;
    sleep(CHECKED);
    let maps = memory_of_maps(daemons[0].pins())?;
    let resident = BACKENDS.into_iter().zip(&daemons);
    let resident =
        resident.map(|(backends, daemon)| Ok((backends, resident_bytes(daemon)?))).collect::<Result<_>>()?;
    daemons.into_iter().try_for_each(Daemon::stop)?;
    Ok(Memory { maps, maps_at_most, resident })
}

/// Starts a daemon with so many backends, behind an interface of its own.
fn start(number: usize, backends: usize, limits: &str) -> Result<Daemon> {
    let (interface, network) = (format!("d{number}"), format!("10.{}", 100 + number));
    furnish(&interface, &network, backends)?;
    Daemon::start(&format!("scale-{number}"), &interface, &config(&network, backends, limits))
}

/// Bytes of a daemon's memory that are resident.
fn resident_bytes(daemon: &Daemon) -> Result<u64> {
    let told = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is told")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1_024)
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
fn config(network: &str, backends: usize, limits: &str) -> String {
    let mut text = format!(
        "{limits}[[vip]]\naddress = \"192.0.2.10\"\npool = \"registrars\"\ndomains = [\"example.com\"]\n\
         [[pool]]\nname = \"registrars\"\n"
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
