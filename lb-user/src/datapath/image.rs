//! One whole state of the datapath, as plain data: what `pool` makes and [`super::Datapath::publish`] writes.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use lb_common::{
    layout::{Host, Mode, NextHop, Rules},
    slot::SLOTS,
};

/// The slots of one lookup table: the id of each one's group.
pub type Slots = Arc<[u16; SLOTS]>;

/// Everything that a packet's fate depends on. Ids start at 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// VIPs by number.
    pub vips: BTreeMap<u32, Vip>,
    /// Lookup tables by number.
    pub tables: BTreeMap<u32, Slots>,
    /// Groups by id.
    pub groups: BTreeMap<u32, Group>,
    /// Backends by id.
    pub backends: BTreeMap<u32, Backend>,
    /// Addresses of this node and of its peers. Backends are known anyway.
    pub hosts: BTreeMap<IpAddr, Host>,
}

/// A VIP.
#[derive(Clone, Debug, PartialEq)]
pub struct Vip {
    /// Where clients send to.
    pub socket: SocketAddr,
    /// How its messages are judged.
    pub rules: Rules,
    /// Its pool's lookup table; `None` while the pool has no groups.
    pub table: Option<u32>,
    /// The change of its pool that is in progress.
    pub change: Option<Moving>,
    /// By which names its messages mean a backend, or the VIP itself.
    pub names: BTreeMap<Name, Named>,
}

/// A change of a VIP's pool that is in progress: transactions of the keys that it moves stay where they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moving {
    /// Number of the change, never 0. What was recorded under another one counts for nothing.
    pub number: u32,
    /// The lookup table of the other state: of after the change while it records, of before it once it has switched. It may
    /// be the one that is live, where groups change their backends alone.
    pub other_table: Option<u32>,
    /// How far it is.
    pub phase: Phase,
}

/// How far a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The owners from before it serve, and what they are sent is recorded.
    Recording,
    /// The owners from after it serve all that is new.
    Switched,
}

/// A group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The backend that serves it; `None` is a group that is down.
    pub active: Option<u32>,
    /// The backend that serves it in the other state of a change in progress; no matter when there is none.
    pub other: Option<u32>,
}

impl Group {
    /// One that this backend serves, whatever is changed.
    pub const fn served_by(active: Option<u32>) -> Self {
        Self { active, other: active }
    }
}

/// A name as messages write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Host: in small letters, without a trailing dot, IPv6 in brackets.
    pub host: String,
    /// The port behind it.
    pub port: NamePort,
}

/// The port of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamePort {
    /// None is written.
    None,
    /// This one.
    Exactly(u16),
    /// Whatever is written.
    Any,
}

/// Who is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The VIP itself.
    Vip,
    /// The backend of this id.
    Backend(u32),
}

/// A backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Its SIP socket.
    pub socket: SocketAddr,
    /// The VIP that its packets leave as; `None` while no VIP uses its pool.
    pub vip: Option<u32>,
    /// The way to it, once it is known.
    pub next_hop: Option<NextHop>,
    /// How packets get there.
    pub mode: Mode,
    /// A port of the VIP that is its own, and its own port for that.
    pub own_port: Option<OwnPort>,
    /// Who gets the messages that name it.
    pub standing: Standing,
    /// Can the transactions that it has go on there?
    pub is_up: bool,
    /// With [`Mode::Ipip`], the network of the outer source addresses.
    pub tunnel_source: IpAddr,
}

impl Backend {
    /// One that is up, is reached by `nat`, and has no port of its own.
    pub fn new(socket: SocketAddr, vip: Option<u32>, next_hop: Option<NextHop>) -> Self {
        Self {
            socket,
            vip,
            next_hop,
            mode: Mode::Nat,
            own_port: None,
            standing: Standing::Serves,
            is_up: true,
            tunnel_source: IpAddr::from([0; 4]),
        }
    }
}

/// A port of the VIP that is one backend's own, mapped both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnPort {
    /// The VIP's port.
    pub vip_port: u16,
    /// The backend's port.
    pub port: u16,
}

/// Who gets the messages that name a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The backend itself.
    Serves,
    /// The one of this id, which serves its group in its place.
    ServedBy(u32),
    /// Nobody: its whole group is down.
    Down,
}
