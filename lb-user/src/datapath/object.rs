//! The eBPF objects: built from `lb-ebpf`, embedded in the binary; the one that the kernel takes is loaded, with the sizes
//! that the configuration asks for.

use std::{io, path::Path};

use aya::{Ebpf, EbpfError, EbpfLoader, maps::MapError, programs::ProgramError, programs::Xdp};
use lb_common::reason::REASON_NUMBERS;

use super::{
    error::{DatapathError, Doing, OpenError},
    pins,
    probed::places,
    scan_loop::ScanLoop,
};

/// A program in an eBPF object.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    /// The object file, aligned as `aya::include_bytes_aligned` does it.
    pub object: &'a [u8],
    /// Name of the program.
    pub program: &'a str,
}

impl Code<'static> {
    /// siplb, scanning in loops by the instruction `may_goto`: Linux 6.9.
    pub const MAY_GOTO: Self = Self {
        object: aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/siplb.bpf.o")),
        program: "siplb",
    };

    /// siplb, scanning in loops by the helper `bpf_loop`: Linux 5.17. Slower.
    pub const BPF_LOOP: Self = Self {
        object: aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/siplb-bpf-loop.bpf.o")),
        program: "siplb",
    };

    /// The faster of the two that this kernel takes.
    pub fn siplb() -> Self {
        match ScanLoop::of_kernel() {
            ScanLoop::MayGoto => Self::MAY_GOTO,
            ScanLoop::BpfLoop => Self::BPF_LOOP,
        }
    }

    /// The program of `siplb decap`.
    pub(super) const DECAP: Code<'static> = Code {
        object: aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/decap.bpf.o")),
        program: "decap",
    };
}

/// The maps that make up the state that packets read; they are pinned, and shared with instances for `explain`.
pub(super) const STATE_MAPS: [&str; 12] = [
    "META",
    "PORTS",
    "ENDPOINTS",
    "VIPS",
    "NAMES",
    "TABLES",
    "GROUPS",
    "BACKENDS",
    "NEXT_HOPS",
    "SOCKETS",
    "INTERFACES",
    "TRANSACTIONS",
];

/// The maps that the live program alone writes; they are pinned too, so that the next one goes on with them.
pub(super) const LIVE_MAPS: [&str; 6] =
    ["COUNTERS", "BACKEND_COUNTERS", "CHANGES", "FRAGMENTS", "UNNAMED", "EVENTS"];

/// How much the maps hold: ids from 1 to these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// VIPs.
    pub vips: u32,
    /// Pools, each with a lookup table of 128 KiB in each half.
    pub pools: u32,
    /// Groups.
    pub groups: u32,
    /// Backends.
    pub backends: u32,
    /// Names of backends and VIPs.
    pub names: u32,
    /// First fragments that are remembered.
    pub fragments: u32,
    /// Transactions that are recorded while a change is in progress.
    pub transactions: u32,
    /// Public fingerprint of the hash key.
    pub fingerprint: u32,
}

impl Sizes {
    /// Entries in one half of an array whose ids go up to `limit`.
    pub(super) const fn entries(limit: u32) -> u32 {
        limit + 1
    }

    /// Lookup tables: a pool has one, and during a handover another.
    pub(super) const fn tables(&self) -> u32 {
        2 * self.pools
    }

    /// Entries of `VIPS` in one half: a backend may have a port of its VIP for its own, which is another entry.
    pub(super) const fn vip_entries(&self) -> u32 {
        Self::entries(self.vips) + Self::entries(self.backends)
    }

    /// Entries of `SOCKETS` in one half: with a port of its VIP for its own, a backend has another socket.
    pub(super) const fn socket_entries(&self) -> u32 {
        2 * Self::entries(self.backends)
    }

    /// Places in one half of `ENDPOINTS`. A node has more addresses than backends only by accident; peers are few.
    pub(super) const fn endpoint_places(&self) -> u32 {
        places(2 * self.vips + 4 * self.backends + 1_024)
    }

    /// Places in one half of `NAMES`: a name for any port has an entry for none as well.
    pub(super) const fn name_places(&self) -> u32 {
        places(2 * self.names)
    }

    /// Every map that has a size, with its number of entries, those of both halves together.
    fn maps(&self) -> [(&'static str, u32); 13] {
        [
            ("ENDPOINTS", 2 * self.endpoint_places()),
            ("VIPS", 2 * self.vip_entries()),
            ("NAMES", 2 * self.name_places()),
            ("FRAGMENTS", self.fragments),
            ("TRANSACTIONS", self.transactions),
            ("TABLES", 2 * Self::entries(self.tables())),
            ("GROUPS", 2 * Self::entries(self.groups)),
            ("BACKENDS", 2 * Self::entries(self.backends)),
            ("NEXT_HOPS", 2 * Self::entries(self.backends)),
            ("SOCKETS", 2 * self.socket_entries()),
            ("COUNTERS", Self::entries(self.vips) * REASON_NUMBERS as u32),
            ("BACKEND_COUNTERS", Self::entries(self.backends)),
            ("CHANGES", Self::entries(self.vips)),
        ]
    }
}

/// What the maps of an instance are.
pub(super) enum Maps<'a> {
    /// All of them pinned in this folder: made there, or taken from there.
    Pinned(&'a Path),
    /// The state is that which is pinned in this folder; counters and trace are the instance's own.
    SharedState(&'a Path),
    /// All of them the instance's own.
    Private,
}

/// Loads a program; with `trace` the instance says what it decides. One that shares the live state leaves no traces in it.
pub(super) fn load(code: Code<'_>, sizes: &Sizes, maps: Maps<'_>, trace: bool) -> Result<Ebpf, OpenError> {
    let mut loader = EbpfLoader::new();
    let trace = u32::from(trace);
    loader.override_global("TRACE_ON", &trace, true);
    let observer = u32::from(matches!(maps, Maps::SharedState(_)));
    loader.override_global("OBSERVER", &observer, true);
    for (name, entries) in sizes.maps() {
        loader.map_max_entries(name, entries);
    }
    let (folder, counters) = match maps {
        Maps::Pinned(folder) => (Some(folder), LIVE_MAPS.as_slice()),
        Maps::SharedState(folder) => (Some(folder), [].as_slice()),
        Maps::Private => (None, [].as_slice()),
    };
    if let Some(folder) = folder {
        for name in STATE_MAPS.iter().chain(counters) {
            loader.map_pin_path(name, pins::map(folder, name));
        }
    }
    let mut object = loader.load(code.object).map_err(refusal)?;
    program(&mut object, code.program)?.load().map_err(|error| refusal(error.into()))?;
    Ok(object)
}

/// A program of a loaded object.
pub(super) fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, DatapathError> {
    let program = object.program_mut(name).ok_or("it has no such program").doing("open the eBPF object")?;
    program.try_into().doing("open the eBPF object")
}

/// The sentence for an error of loading.
pub(super) fn refusal(error: EbpfError) -> OpenError {
    let system = match &error {
        EbpfError::ProgramError(ProgramError::LoadError { io_error, verifier_log }) => {
            let log = verifier_log.to_string();
            let last = log.lines().rev().find(|line| !line.trim().is_empty() && !is_statistic(line));
            if io_error.kind() != io::ErrorKind::PermissionDenied || last.is_some() {
                let reason = format!("{io_error}: {}", last.unwrap_or("the verifier says nothing"));
                return OpenError::Refused { reason, release: release() };
            }
            Some(io_error)
        }
        EbpfError::MapError(MapError::CreateError { io_error, .. }) => Some(io_error),
        _ => None,
    };
    if system.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        return OpenError::NotPermitted;
    }
    OpenError::Other(DatapathError::new("load the eBPF object", error))
}

/// The verifier ends its log with figures; its verdict stands before them.
fn is_statistic(line: &str) -> bool {
    ["processed ", "verification time ", "stack depth "].iter().any(|start| line.starts_with(start))
}

/// Release of the running kernel.
fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".into(), |text| text.trim().into())
}
