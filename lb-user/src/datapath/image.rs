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
    /// The active backend of each group, by group id; `None` is a group that is down.
    pub groups: BTreeMap<u32, Option<u32>>,
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
    /// By which names its messages mean a backend, or the VIP itself.
    pub names: BTreeMap<Name, Named>,
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
