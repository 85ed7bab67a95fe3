//! Proves that the parts of a configuration agree.
//!
//! Run on every file that is read, and on every change at run time before it is applied. What is here goes entry by
//! entry; [`sockets`] proves that addresses, ports and ways of forwarding agree, and [`names`] that no name means two
//! things.
//!
//! Blanks (an empty name, port 0, address 0.0.0.0) stand for what the reader could not make out, and agree with
//! everything.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::choice::Forward;
use super::model::{Backend, Config, Pool, Vip};
use super::nearest::nearest;
use super::problem::{Fault, Finding};
use super::{names, sockets};

/// What doesn't agree, and what agrees in a way that surprises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must be mended before the configuration can be applied.
    pub problems: Vec<Finding>,
    /// What can stay if it is meant.
    pub warnings: Vec<Finding>,
}

impl Findings {
    pub(super) fn refuse(&mut self, path: String, what: String, mend: &str) {
        self.problems.push(Finding { path, fault: Fault::new(what, mend) });
    }

    pub(super) fn warn(&mut self, path: String, what: String, mend: &str) {
        self.warnings.push(Finding { path, fault: Fault::new(what, mend) });
    }
}

/// Looks for all contradictions.
pub fn contradictions(config: &Config) -> Findings {
    let mut found = Findings::default();
    vips(config, &mut found);
    pools(config, &mut found);
    for (index, pool) in config.pools.iter().enumerate() {
        backends(pool, index, &mut found);
        groups(pool, index, &mut found);
    }
    sockets::check(config, &mut found);
    names::check(config, &mut found);
    limits(config, &mut found);
    found
}

/// Each VIP is there once, and has a pool that is there and its alone.
fn vips(config: &Config, found: &mut Findings) {
    let mut seen: HashMap<_, &Vip> = HashMap::new();
    let mut served: HashMap<&str, &Vip> = HashMap::new();
    for (index, vip) in config.vips.iter().enumerate() {
        let (socket, path) = (vip.socket(), format!("vip[{index}]"));
        if is_legible(socket) && seen.insert((socket, vip.transport), vip).is_some() {
            let what = format!("{socket} over {} is already a VIP", vip.transport);
            found.refuse(format!("{path}.address"), what, "leave one of the two out");
            continue;
        }
        if vip.address.is_loopback() {
            let what = format!("{} never arrives at an interface", vip.address);
            found.warn(format!("{path}.address"), what, "use the address that clients send to");
        }
        if vip.pool.is_empty() {
            continue;
        }
        let names = || config.pools.iter().map(|pool| pool.name.as_str());
        if !names().any(|name| name == vip.pool) {
            let mend = match nearest(&vip.pool, names()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "add it under a [[pool]] header, or name one that is there".to_owned(),
            };
            found.refuse(format!("{path}.pool"), format!("there is no pool \"{}\"", vip.pool), &mend);
        }
        if let Some(other) = served.insert(&vip.pool, vip) {
            let behind = format!("pool \"{}\" is already behind {}", vip.pool, other.socket());
            let forward = config.pool(&vip.pool).map(|pool| pool.forward).unwrap_or_default();
            let (what, mend) = match forward {
                Forward::Nat => (
                    format!("{behind}: a reply of its backends could not tell which VIP to leave as"),
                    "give each VIP a pool of its own, with backend ports of its own",
                ),
                Forward::Dsr | Forward::Ipip => {
                    (behind, "give each VIP a pool of its own; the servers in it may be the same")
                }
            };
            found.refuse(format!("{path}.pool"), what, mend);
        }
    }
    if config.vips.is_empty() {
        found.warn(
            "vip".into(),
            "there is no VIP: nothing is balanced".into(),
            "add one under a [[vip]] header",
        );
    }
}

/// Pool names are unique, and each pool is of use.
fn pools(config: &Config, found: &mut Findings) {
    let mut names = HashSet::new();
    for (index, pool) in config.pools.iter().enumerate() {
        let path = format!("pool[{index}]");
        let name = &pool.name;
        if !name.is_empty() && !names.insert(name) {
            let what = format!("there is a pool \"{name}\" already");
            found.refuse(format!("{path}.name"), what, "give it another name");
            continue;
        }
        if config.vip_of(pool).is_none() {
            let what = format!("pool \"{name}\" is behind no VIP: it gets no packets");
            found.warn(path.clone(), what, &format!("name it in a VIP: pool = \"{name}\""));
        }
        if pool.backends.is_empty() && pool.source.is_none() {
            let what = format!("pool \"{name}\" has no backends: everything for its VIP is dropped");
            found.warn(path, what, "add one under a [[pool.backend]] header, or at run time");
        }
    }
}

/// In one pool, names and sockets are one backend's each.
fn backends(pool: &Pool, index: usize, found: &mut Findings) {
    let mut names = HashSet::new();
    let mut sockets: HashMap<SocketAddr, &Backend> = HashMap::new();
    for (nth, backend) in pool.backends.iter().enumerate() {
        let path = format!("pool[{index}].backend[{nth}]");
        if !backend.name.is_empty() && !names.insert(&backend.name) {
            let what = format!("there is a backend \"{}\" in this pool already", backend.name);
            found.refuse(format!("{path}.name"), what, "give it another name");
        }
        let socket = backend.socket();
        if is_legible(socket)
            && let Some(other) = sockets.insert(socket, backend)
        {
            let what = format!("{socket} is already backend \"{}\" of this pool", other.name);
            found.refuse(format!("{path}.address"), what, "leave one of the two out, or mend its port");
        }
    }
}

/// The members of a group agree on its weight, and on who is its primary.
fn groups(pool: &Pool, index: usize, found: &mut Findings) {
    let mut weights: HashMap<&str, &Backend> = HashMap::new();
    let mut priorities: HashMap<(&str, u8), &Backend> = HashMap::new();
    for (nth, backend) in pool.backends.iter().enumerate() {
        let path = format!("pool[{index}].backend[{nth}]");
        let group = backend.group.as_str();
        if group.is_empty() {
            continue;
        }
        let first = *weights.entry(group).or_insert(backend);
        if first.weight != backend.weight {
            let what = format!(
                "group \"{group}\" has weight {} by backend \"{}\", and {} by this one",
                first.weight, first.name, backend.weight
            );
            found.refuse(format!("{path}.weight"), what, "the weight is the group's: state it once");
        }
        if let Some(other) = priorities.insert((group, backend.priority), backend) {
            let what = format!(
                "backend \"{}\" of group \"{group}\" has priority {} too: which of them serves is left open",
                other.name, backend.priority
            );
            found.warn(format!("{path}.priority"), what, "give the primary the lowest, each standby its own");
        }
    }
}

/// What is there fits the maps.
fn limits(config: &Config, found: &mut Findings) {
    let groups = config
        .pools
        .iter()
        .map(|pool| pool.backends.iter().map(|backend| backend.group.as_str()).collect::<HashSet<_>>().len());
    let limits = &config.limits;
    for (key, limit, present) in [
        ("pools", limits.pools, config.pools.len()),
        ("backends", limits.backends, config.pools.iter().map(|pool| pool.backends.len()).sum()),
        ("groups", limits.groups, groups.sum()),
        ("vips", limits.vips, config.vips.len()),
        ("names", limits.names, names::names(config).len()),
    ] {
        // A limit of 0 is one that could not be read.
        if limit > 0 && present > limit as usize {
            let what = format!("there are {present} {key}, more than the limit of {limit}");
            found.refuse(
                format!("limits.{key}"),
                what,
                &format!("write {key} = {present} or more under [limits]"),
            );
        }
    }
}

/// Was all of it read? No legal address is unspecified, and no legal port 0.
pub(super) fn is_legible(socket: SocketAddr) -> bool {
    socket.port() != 0 && !socket.ip().is_unspecified()
}
