//! Where the programs run: a network namespace with one interface, a route and a neighbour, so that the kernel's tables
//! have an answer for replies.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use lb_common::layout::{NextHop, Vlans};
use nix::{
    sched::{CloneFlags, CpuSet, sched_getcpu, sched_setaffinity, unshare},
    unistd::Pid,
};

/// The interface that frames come in by, and what lies behind it.
pub(crate) struct Lab {
    pub(crate) interface: u32,
}

impl Lab {
    /// The way to the neighbour, as user space would have resolved it.
    pub(crate) fn next_hop(&self) -> NextHop {
        NextHop {
            interface: self.interface,
            destination: NEIGHBOUR,
            source: [2, 0, 0, 0, 0, 1],
            vlans: Vlans::default(),
            mtu: 1_500,
        }
    }
}

/// MAC address of the neighbour.
pub(crate) const NEIGHBOUR: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// Moves this process into a namespace of its own, furnishes it, and stays on the CPU that this began on: a case would pay
/// for the cold caches of another.
pub(crate) fn enter() -> Result<Lab> {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("stay on one CPU")?;
    unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
    for command in [
        "link add v0 type veth peer name v1",
        "addr add 10.0.0.1/8 dev v0",
        "addr add 198.51.100.254/24 dev v0",
        "link set v0 up",
        "link set v1 up",
        "link set lo up",
        "neigh add 10.0.0.11 lladdr 02:00:00:00:00:09 dev v0",
        "neigh add 198.51.100.1 lladdr 02:00:00:00:00:09 dev v0",
    ] {
        let status =
            Command::new("ip").args(command.split(' ')).status().context("run ip (package iproute2)")?;
        ensure!(status.success(), "ip {command} failed");
    }
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("switch forwarding on")?;
    let interface = nix::net::if_::if_nametoindex("v0")?;
    Ok(Lab { interface })
}

/// An eBPF object in memory that is aligned as ELF structures need it.
pub(crate) struct Object {
    bytes: Vec<u64>,
    length: usize,
}

impl Object {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the words hold at least `length` bytes, and bytes need no alignment.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.length) }
    }
}

/// An object with the benchmark's programs, where `cargo xtask build` leaves it.
pub(crate) fn object(name: &str) -> Result<Object> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bpf").join(name);
    let file = std::fs::read(&path).context("the eBPF object is not built yet: run `cargo xtask build`")?;
    let words = file.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    Ok(Object { bytes: words.collect(), length: file.len() })
}
