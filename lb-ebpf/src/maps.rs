//! The maps. Their types are in `lb_common::layout`, their sizes here are the smallest: user space sets the real ones.

use aya_ebpf::{
    macros::map,
    maps::{Array, DevMapHash, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use lb_common::layout::{
    Backend, BackendCounter, ChangeCounter, Counter, Endpoint, EndpointKey, Fragment, FragmentKey, Group,
    Meta, NameKey, Named, NextHop, Ports, Probed, Socket, Table, Trace, Transaction, Unnamed, UnnamedKey,
    Vip,
};
use lb_common::sip::user::Canonical;

use crate::{
    deliver::answers::{self, Answer},
    limiter::Limiter,
    notes::Notes,
};

const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// Generation, sizes, and what the pins are checked by.
#[map]
pub(crate) static META: Array<Meta> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Ports of VIPs and backends, by half.
#[map]
pub(crate) static PORTS: Array<Ports> = Array::with_max_entries(2, 0);

/// Sockets of VIPs, SIP sockets of backends, and addresses to which a backend's packets are not replies: a probed array.
#[map]
pub(crate) static ENDPOINTS: Array<Probed<EndpointKey, Endpoint>> =
    Array::with_max_entries(1, BPF_F_MMAPABLE);

/// VIPs, by half and as `ENDPOINTS` says; a VIP has one entry for each of its ports.
#[map]
pub(crate) static VIPS: Array<Vip> = Array::with_max_entries(1, 0);

/// Names by which messages mean a backend, or the VIP itself: a probed array.
#[map]
pub(crate) static NAMES: Array<Probed<NameKey, Named>> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Lookup tables, by half and number.
#[map]
pub(crate) static TABLES: Array<Table> = Array::with_max_entries(1, 0);

/// Groups, by half and id.
#[map]
pub(crate) static GROUPS: Array<Group> = Array::with_max_entries(1, 0);

/// Backends, by half and id.
#[map]
pub(crate) static BACKENDS: Array<Backend> = Array::with_max_entries(1, 0);

/// Next hops, by half and id.
#[map]
pub(crate) static NEXT_HOPS: Array<NextHop> = Array::with_max_entries(1, 0);

/// What backends' SIP sockets leave as, by half and as `ENDPOINTS` says.
#[map]
pub(crate) static SOCKETS: Array<Socket> = Array::with_max_entries(1, 0);

/// Interfaces that packets may be redirected to, by interface index.
#[map]
pub(crate) static INTERFACES: DevMapHash = DevMapHash::with_max_entries(64, 0);

/// Where first fragments went.
#[map]
pub(crate) static FRAGMENTS: LruHashMap<FragmentKey, Fragment> = LruHashMap::with_max_entries(1, 0);

/// Transactions of keys that a change in progress moves, by their ids. It lies there whole from the start, so that a
/// transaction is recorded without asking for memory.
#[map]
pub(crate) static TRANSACTIONS: HashMap<u64, Transaction> = HashMap::with_max_entries(1, 0);

/// Hosts that name nobody where they should.
#[map]
pub(crate) static UNNAMED: HashMap<UnnamedKey, Unnamed> = HashMap::with_max_entries(256, BPF_F_NO_PREALLOC);

/// What the daemon is told at once.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// Packets and bytes by VIP (0 is none) and reason.
#[map]
pub(crate) static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(1, 0);

/// Packets and bytes by backend.
#[map]
pub(crate) static BACKEND_COUNTERS: PerCpuArray<BackendCounter> = PerCpuArray::with_max_entries(1, 0);

/// Requests of keys that a change in progress moves, by VIP.
#[map]
pub(crate) static CHANGES: PerCpuArray<ChangeCounter> = PerCpuArray::with_max_entries(1, 0);

/// What an instance with [`crate::trace::TRACE_ON`] says of its last packet.
#[map]
pub(crate) static TRACE: Array<Trace> = Array::with_max_entries(1, 0);

/// The notes about the packet under way; each instance of the program has its own.
#[map]
pub(crate) static NOTES: PerCpuArray<Notes> = PerCpuArray::with_max_entries(1, 0);

/// What the kernel's tables have just said of clients; each instance of the program has its own.
#[map]
pub(crate) static ANSWERS: PerCpuArray<Answer> = PerCpuArray::with_max_entries(answers::LINES, 0);

/// How many ICMP messages may still be sent.
#[map]
pub(crate) static LIMITER: PerCpuArray<Limiter> = PerCpuArray::with_max_entries(1, 0);

/// Room for a user while it is decoded, which the stack lacks.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Canonical> = PerCpuArray::with_max_entries(1, 0);
