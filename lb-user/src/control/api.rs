//! What is asked and answered over the control socket, and printed by `--json`. Names and types here are an interface:
//! they may grow, and don't change.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lb_common::layout;
use serde::{Deserialize, Serialize};

use crate::config::{KeyRule, Transport, XdpMode};
use crate::pool::State;

pub use crate::daemon::journal::Entry as Event;
pub use crate::pool::NewBackend;
pub use crate::pool::handover::Phase;
pub use crate::pool::lookup::Owner;
pub use crate::pool::preview::{LoadPreview, MovePreview, PoolPreview, Preview};

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
}

impl From<layout::Counter> for Traffic {
    fn from(layout::Counter { packets, bytes }: layout::Counter) -> Self {
        Self { packets, bytes }
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// What was counted, by the name of its reason.
pub type Reasons = BTreeMap<String, Traffic>;

/// Answer to `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Number of the live state.
    pub generation: u32,
    /// How the program's scanning loops turn: `may_goto`, or `bpf_loop` on kernels without that instruction.
    pub scan_loop: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// Fingerprint of the hash key, in hexadecimal digits: the same on every node.
    pub fingerprint: String,
    /// Interfaces that carry the program.
    pub interfaces: Vec<Interface>,
    /// How daemon and datapath are getting on.
    #[serde(default)]
    pub watchdog: Watchdog,
    /// In the order of the configuration.
    pub vips: Vec<Vip>,
    /// In the order of the configuration.
    pub pools: Vec<Pool>,
    /// Sums over all VIPs, and what belongs to none.
    pub reasons: Reasons,
    /// What belongs to none.
    #[serde(default)]
    pub no_vip: Reasons,
    /// What was done at run time and goes before the configuration file.
    #[serde(default)]
    pub runtime: Vec<RuntimeChange>,
}

/// How daemon and datapath are getting on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watchdog {
    /// Seconds since the daemon's last heartbeat, which it leaves once a second; absent before the first.
    pub heartbeat_age_s: Option<f64>,
    /// For how many seconds the datapath was without a daemon, silences of more than three seconds all together.
    pub alone_s: f64,
    /// Packets that it forwarded in those.
    pub alone_packets: u64,
    /// Attempts to publish that failed, since the daemon started.
    pub publish_failures: u64,
    /// Why the pins are gone, if they are: then packets are forwarded only while the daemon lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins_lost: Option<String>,
}

/// What was done at run time and is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeChange {
    /// The pool.
    pub pool: String,
    /// The backend; of a weight the group.
    pub name: String,
    /// `added`, `removed`, `state` or `weight`.
    pub kind: String,
    /// What holds: an address, a state, a weight.
    pub value: String,
    /// What the file says in its place; absent where it says nothing.
    pub file: Option<String>,
    /// Since when, in seconds of Unix time.
    pub since: u64,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Where the program runs.
    pub mode: XdpMode,
}

/// A VIP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vip {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// What carries SIP to it.
    pub transport: Transport,
    /// Name of the pool behind it.
    pub pool: String,
    /// Everything counted for it, whatever became of it.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// By reason.
    pub reasons: Reasons,
    /// Requests of users who were being handed over.
    #[serde(default)]
    pub transactions: Transactions,
}

/// Requests of users who were being handed over, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transactions {
    /// The first of their transaction: recorded where they went.
    pub recorded: u64,
    /// Of a recorded transaction: sent where it began.
    pub followed: u64,
    /// A CANCEL or ACK of a transaction older than the handover: to the owner before.
    pub older: u64,
    /// Call-ID or CSeq can't be read: to the owner now.
    pub unreadable: u64,
    /// There was no room to record them: to the owner now.
    pub full: u64,
}

impl From<layout::ChangeCounter> for Transactions {
    fn from(counter: layout::ChangeCounter) -> Self {
        let layout::ChangeCounter { recorded, followed, older, unreadable, full } = counter;
        Self { recorded, followed, older, unreadable, full }
    }
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// What decides where no rule of its own does.
    pub key: KeyRule,
    /// Is none of its backends up, and everything sent anyway?
    pub panic: bool,
    /// Where its members come from; absent where the file lists them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// In the order of the configuration.
    pub groups: Vec<Group>,
    /// In the order of the configuration.
    pub backends: Vec<Backend>,
    /// The handover that is under way.
    pub handover: Option<Handover>,
}

/// A planned change of a pool's owners that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// `recording`: users are where they were. `finishing`: they have moved, and transactions finish where they began.
    pub phase: Phase,
    /// For how many seconds it has been in that phase.
    pub since_s: u64,
    /// How many seconds the phase has left.
    pub left_s: u64,
    /// Slots that change their owner.
    pub slots: u32,
    /// The same as a part of all slots, 0 to 1.
    pub share: f64,
    /// Backends that are not wanted any more, and serve what they have under way.
    pub leaving: Vec<String>,
    /// Is something wanted that waits for the end of this one?
    pub awaited: bool,
}

/// Where the members of a pool come from, and how well that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `file`, `dns` or `etcd`.
    pub kind: String,
    /// The kind, and what of it is asked.
    pub from: String,
    /// How many members are in force.
    pub members: usize,
    /// Number of the answer that they were in, where the source counts them.
    pub revision: Option<u64>,
    /// 16 hexadecimal digits: equal on two nodes exactly if their members are. Absent before the first answer.
    pub digest: Option<String>,
    /// Seconds since the source last said so.
    pub age_s: Option<u64>,
    /// Why its last answer is not in force, or why there is none.
    pub error: Option<String>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its weight.
    pub weight: u32,
    /// Slots that it has now.
    pub slots: u32,
    /// The same as a part of all slots, 0 to 1.
    pub share: f64,
    /// The backend that serves it.
    pub active: Option<String>,
    /// Does it serve its own users?
    pub up: bool,
}

/// A backend. Also one line of `siplb --json backend list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    /// Its pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its address.
    pub address: IpAddr,
    /// Its SIP port.
    pub port: u16,
    /// The lowest healthy one in the group serves.
    pub priority: u8,
    /// Weight of its group.
    pub weight: u32,
    /// What is wanted of it.
    pub state: State,
    /// What the checks say: `up` or `down`.
    pub health: String,
    /// Is it up again and kept from its users, who are with others?
    #[serde(default)]
    pub is_held: bool,
    /// Has it asked for less (503)? Then it keeps its users and takes nobody else's.
    #[serde(default)]
    pub is_overloaded: bool,
    /// For how many seconds they have said so.
    pub since_s: u64,
    /// How the last check ended; absent before the first.
    pub last_check: Option<String>,
    /// Round trip of the last check that was answered.
    pub round_trip_ms: Option<f64>,
    /// Slots that it serves now; 0 for one that is not its group's active one.
    pub slots: u32,
    /// The same as a part of all slots, 0 to 1.
    pub share: f64,
    /// Counted towards it.
    pub requests: Traffic,
    /// Counted from it, left as the VIP.
    pub replies: Traffic,
}

/// Body of `PUT /v1/backends/NAME/state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetState {
    /// What is wanted.
    pub state: State,
}

/// Body of `PUT /v1/backends/NAME/weight`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetWeight {
    /// 1 to 10,000.
    pub weight: u32,
}

/// Body of `POST /v1/backends`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddBackend {
    /// The pool that gets it.
    pub pool: String,
    /// What it is.
    #[serde(flatten)]
    pub backend: NewBackend,
}

/// Query of requests about a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPool {
    /// Its pool, where the name alone is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// Query of every request that can move users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Do they move at once, whatever transactions are under way?
    #[serde(default)]
    pub now: bool,
}

/// Query of `GET /v1/lookup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// The URI of the user.
    pub uri: String,
    /// The pool, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The VIP, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vip: Option<String>,
}

/// Answer to a change: what was done. It is live when the answer comes; a handover is under way then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// A sentence for each thing.
    pub done: Vec<String>,
    /// Number of the state that has it.
    pub generation: u32,
    /// What was done at run time and goes before the configuration file, a sentence each. Told by a reload.
    #[serde(default)]
    pub kept: Vec<String>,
    /// How long it took.
    #[serde(default)]
    pub took: Took,
}

/// How long a change took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Took {
    /// From the request to the last store.
    pub total_us: u64,
    /// Reading the configuration file, which only a reload does, and laying what was done at run time over it.
    pub read_us: u64,
    /// Making a plan: lookup tables, who serves, names.
    pub plan_us: u64,
    /// Writing to `state-dir`.
    pub store_us: u64,
    /// Writing the kernel's maps, waiting for packets to let go of the half to be written, and the one store that counts.
    pub publish_us: u64,
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |us: u64| us as f64 / 1e3;
        let Self { total_us, read_us, plan_us, store_us, publish_us } = *self;
        write!(
            f,
            "{:.1} ms: {:.1} to read, {:.1} to plan, {:.1} to store, {:.1} to publish",
            ms(total_us),
            ms(read_us),
            ms(plan_us),
            ms(store_us),
            ms(publish_us)
        )
    }
}

/// One lookup table. Answer to `GET /v1/digest` is a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The pool.
    pub pool: String,
    /// 16 hexadecimal digits: equal on two nodes exactly if their tables are.
    pub digest: String,
    /// Fingerprint of the hash key; nodes with different ones send users to different places whatever the tables.
    pub fingerprint: String,
    /// What the table and the ways of dialogs follow from, by what it is about: `version`, `config`, `state` of backends that
    /// are not active, `health` of those that are down, `served-by` of each group, `source`.
    #[serde(default)]
    pub facts: BTreeMap<String, Facts>,
}

/// Facts of one kind, by what they are of.
pub type Facts = BTreeMap<String, String>;

/// Query of `GET /v1/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsSince {
    /// Only events with a greater number.
    #[serde(default)]
    pub since: u64,
    /// Where there are none, how many seconds to wait for one; 60 at most.
    #[serde(default)]
    pub wait_s: u64,
}

/// Answer to `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The oldest first.
    pub events: Vec<Event>,
    /// Number of the last event that there is. Less than was asked after: the journal was lost, and counts anew.
    pub last: u64,
}

/// A host that should have named a backend and named nobody. Answer to `GET /v1/unnamed` and `DELETE /v1/unnamed` is a
/// list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unnamed {
    /// Address and port of the VIP.
    pub vip: String,
    /// Where it stood: `via` in a response; `route` or `request-uri-host` in a request within a dialog; `none` where there
    /// was no such header.
    pub key_source: String,
    /// The host as it was written, up to 64 bytes of it; empty where none was.
    pub host: String,
    /// How many packets had it.
    pub packets: u64,
    /// Who sent the last one of them.
    pub from: IpAddr,
}

/// Body of `POST /v1/explain`: bytes as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packets {
    /// Ethernet frames.
    Frames(Vec<Hex>),
    /// SIP messages, each to be addressed to the first VIP.
    Messages(Vec<Hex>),
}

/// Bytes that travel as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex(pub Vec<u8>);

impl From<Hex> for String {
    fn from(Hex(bytes): Hex) -> Self {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let byte = |pair: &[u8]| {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let [high, low] = pair else { return None };
            Some((digit(*high)? << 4 | digit(*low)?) as u8)
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Self).ok_or_else(|| "not a row of hexadecimal bytes".to_owned())
    }
}

/// What became of one packet. One line of `siplb --json explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Its place among those that were asked about, from 0.
    pub index: usize,
    /// `forward`, `drop` or `pass`.
    pub verdict: String,
    /// The XDP return code, which depends on routes and neighbours too.
    pub xdp: String,
    /// Why.
    pub reason: String,
    /// The method; none for a response and for what isn't SIP.
    pub method: Option<String>,
    /// Where the key came from.
    pub key_source: String,
    /// The key: percent-encoded where it is not printable ASCII.
    pub key: Option<String>,
    /// The key's slot.
    pub slot: Option<u32>,
    /// The group that has the slot.
    pub group: Option<String>,
    /// The backend it goes to, or comes from.
    pub backend: Option<String>,
    /// Why earlier rules did not decide, a sentence each, in the order of the rules.
    #[serde(default)]
    pub passed_over: Vec<String>,
    /// What a planned change makes of it: only while one is in progress, and only of a request that goes by its key.
    #[serde(default)]
    pub transaction: Option<Transaction>,
}

/// A request's transaction, while a change of its pool is in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// `not-moving`, `recorded` (it would be: explaining records nothing), `followed`, `older` or `unreadable`.
    pub treatment: String,
    /// By what it is known, in hexadecimal; none while its key stays, or when its Call-ID or CSeq can't be read.
    pub id: Option<String>,
}
