//! What is counted.

use super::Address;

/// Value of the per-CPU maps of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes of the frames' linear parts: of a frame beyond some 3,500 bytes, as much as lies there.
    pub bytes: u64,
}

/// Value of the per-CPU map `BACKEND_COUNTERS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BackendCounter {
    /// Towards the backend.
    pub requests: Counter,
    /// From the backend, left as the VIP.
    pub replies: Counter,
}

/// Key of the map `UNNAMED`: a host that names no backend, where one should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct UnnamedKey {
    /// [`crate::decide::name_hash`] of the host.
    pub host: u64,
    /// Number of the VIP.
    pub vip: u32,
    /// The [`KeySource`](super::KeySource) that would have named one, as a number.
    pub source: u32,
}

/// Value of the map `UNNAMED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Unnamed {
    /// How many packets.
    pub packets: u64,
    /// Who sent the last one.
    pub from: Address,
    /// The host as it was written, as far as it fits.
    pub text: [u8; 64],
    /// Its length in bytes.
    pub length: u64,
}

/// What the program tells the daemon at once, by the ring buffer `EVENTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// An [`EventKind`], as a number.
    pub kind: u32,
    /// Id of the backend.
    pub backend: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EventKind {
    /// The backend's host says that nobody listens on its SIP port (ICMP port unreachable).
    PortUnreachable = 1,
}
