//! One whole state of the datapath, as plain data: what `pool` makes and [`super::Datapath::publish`] writes.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use lb_common::{
    layout::{Host, NextHop, Rules},
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
}
