//! Proves that addresses, ports and ways of forwarding agree.
//!
//! Called by `contradictions`. The heart of it is that the way back of `nat` is unambiguous: a reply is known by nothing
//! but the backend's address, port and transport, so each such socket must belong to one port of one VIP, or the reply
//! could not tell what to leave as. `dsr` and `ipip` have no way back through the node, but can't change a port.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::choice::Forward;
use super::contradictions::{Findings, is_legible};
use super::model::{Backend, Config, Pool, Vip};

/// Looks for contradictions between sockets.
pub(super) fn check(config: &Config, found: &mut Findings) {
    for (index, pool) in config.pools.iter().enumerate() {
        let vip = config.vip_of(pool).filter(|vip| is_legible(vip.socket()));
        reachable(config, pool, index, found);
        families(vip, pool, index, found);
        if pool.forward != Forward::Nat {
            same_ports(vip, pool, index, found);
        }
    }
    own_ports(config, found);
    way_back(config, found);
}

/// A backend's packets can be told from those of clients, VIPs and nodes.
fn reachable(config: &Config, pool: &Pool, index: usize, found: &mut Findings) {
    for (nth, backend) in pool.backends.iter().enumerate() {
        let backend_path = format!("pool[{index}].backend[{nth}]");
        for (key, socket) in sockets(backend) {
            if config.vips.iter().any(|vip| vip.socket() == socket) {
                let what = format!("{socket} is a VIP: it would be sent its own packets");
                found.refuse(format!("{backend_path}.{key}"), what, "give the address of the server itself");
            }
        }
        if !is_legible(backend.socket()) {
            continue;
        }
        let path = format!("{backend_path}.address");
        if config.peers.contains(&backend.address) {
            let what = format!("{} is a peer: its packets are left alone, replies too", backend.address);
            found.refuse(path, what, "keep nodes and backends on different addresses");
        } else if backend.address.is_loopback() {
            let what = format!("{} is reached through no interface", backend.address);
            found.warn(path, what, "use an address of the server that the node has a route to");
        }
    }
}

/// The backends of a pool are of one address family: their VIP's, unless another packet is put around the client's.
fn families(vip: Option<&Vip>, pool: &Pool, index: usize, found: &mut Findings) {
    let mut first: Option<&Backend> = None;
    for (nth, backend) in pool.backends.iter().enumerate() {
        if !is_legible(backend.socket()) {
            continue;
        }
        let path = format!("pool[{index}].backend[{nth}].address");
        match vip.filter(|_| pool.forward != Forward::Ipip) {
            Some(vip) => {
                if vip.address.is_ipv4() != backend.address.is_ipv4() {
                    let what =
                        format!("{} and its VIP {} are of different families", backend.address, vip.address);
                    found.refuse(path, what, "use IPv4 on both sides, or IPv6 on both");
                }
            }
            None => {
                let first = *first.get_or_insert(backend);
                if first.address.is_ipv4() != backend.address.is_ipv4() {
                    let what = format!(
                        "{} and backend \"{}\" at {} are of different families",
                        backend.address, first.name, first.address
                    );
                    let mend = "use IPv4 for all backends of a pool, or IPv6 for all; the others can have a pool and \
                                a VIP of their own";
                    found.refuse(path, what, mend);
                }
            }
        }
    }
}

/// A pool whose way of forwarding leaves packets as they are has the ports of its VIP.
fn same_ports(vip: Option<&Vip>, pool: &Pool, index: usize, found: &mut Findings) {
    let forward = pool.forward;
    for (nth, backend) in pool.backends.iter().enumerate() {
        let path = format!("pool[{index}].backend[{nth}]");
        if let Some(vip) = vip
            && is_legible(backend.socket())
            && backend.port != vip.port
        {
            let what = format!(
                "{} is not its VIP's port {}, and \"{forward}\" can't change it",
                backend.port, vip.port
            );
            found.refuse(
                format!("{path}.port"),
                what,
                &format!("write port = {}, or forward by \"nat\"", vip.port),
            );
        }
        if let Some(own) = backend.own_port
            && ![own.vip_port, own.port].contains(&0)
            && own.vip_port != own.port
        {
            let what =
                format!("{} is not vip-port {}, and \"{forward}\" can't change it", own.port, own.vip_port);
            let mend = format!("write vip-port-to = {}, or forward by \"nat\"", own.vip_port);
            found.refuse(format!("{path}.vip-port-to"), what, &mend);
        }
    }
}

/// A port of a VIP's address is a VIP's, or one backend's.
fn own_ports(config: &Config, found: &mut Findings) {
    let backends = config.pools.iter().flat_map(|pool| &pool.backends);
    let listening: HashMap<SocketAddr, &Backend> =
        backends.flat_map(|backend| sockets(backend).map(move |(_, socket)| (socket, backend))).collect();
    let mut owners: HashMap<SocketAddr, &Backend> = HashMap::new();
    for (index, pool) in config.pools.iter().enumerate() {
        let Some(vip) = config.vip_of(pool) else { continue };
        for (nth, backend) in pool.backends.iter().enumerate() {
            let Some(socket) = vip_socket(vip.address, backend) else { continue };
            let path = format!("pool[{index}].backend[{nth}].vip-port");
            if config.vips.iter().any(|vip| vip.socket() == socket) {
                let what = format!("{socket} is a VIP itself");
                found.refuse(path, what, "give a port of the VIP's address that no VIP has");
            } else if let Some(other) = owners.insert(socket, backend) {
                let what = format!("{socket} already leads to backend \"{}\"", other.name);
                found.refuse(path, what, "give each backend a port of its own");
            } else if let Some(at) = listening.get(&socket) {
                let what = format!("{socket} is the address of backend \"{}\"", at.name);
                found.refuse(path, what, "give a port of the VIP's address that nobody listens on");
            }
        }
    }
}

/// What a packet from a socket of a server leaves as, and by which backend that was said.
struct Owner<'a> {
    pool: &'a Pool,
    backend: &'a Backend,
    leaves_as: SocketAddr,
}

/// A backend's socket is behind one port of one VIP, where its replies are rewritten; and all that forward to it do so
/// in the same way. Two backends of one pool and port are the business of `backends`.
fn way_back(config: &Config, found: &mut Findings) {
    let mut owners: HashMap<SocketAddr, Owner<'_>> = HashMap::new();
    for (index, pool) in config.pools.iter().enumerate() {
        let Some(vip) = config.vip_of(pool).filter(|vip| is_legible(vip.socket())) else { continue };
        for (nth, backend) in pool.backends.iter().enumerate() {
            for (key, socket) in sockets(backend) {
                let leaves_as = match key {
                    "address" => Some(vip.socket()),
                    _ => vip_socket(vip.address, backend),
                };
                let Some(leaves_as) = leaves_as else { continue };
                let owner = owners.entry(socket).or_insert(Owner { pool, backend, leaves_as });
                let path = format!("pool[{index}].backend[{nth}].{key}");
                if owner.pool.forward != pool.forward {
                    let what = format!(
                        "{socket} is also backend \"{}\" of pool \"{}\", which forwards by \"{}\", not \"{}\"",
                        owner.backend.name, owner.pool.name, owner.pool.forward, pool.forward
                    );
                    found.refuse(path, what, "forward to a server in one way");
                } else if pool.forward == Forward::Nat && owner.leaves_as != leaves_as {
                    let (what, mend) = ambiguous(owner, backend, socket);
                    found.refuse(path, what, mend);
                }
            }
        }
    }
}

/// What is wrong with a `socket` of `backend` that is the owner's already, and the mend.
fn ambiguous(owner: &Owner<'_>, backend: &Backend, socket: SocketAddr) -> (String, &'static str) {
    if std::ptr::eq(owner.backend, backend) {
        let what =
            format!("{socket} is its port already: a reply could not tell which port of the VIP to leave as");
        return (what, "let the server listen on one more port, for vip-port alone");
    }
    let what = format!(
        "{socket} is also backend \"{}\" of pool \"{}\", behind {}: a reply could not tell which VIP to leave as",
        owner.backend.name, owner.pool.name, owner.leaves_as
    );
    (what, "let the server listen on a port for each VIP")
}

/// The sockets of a server that could be read, by the key that says them.
fn sockets(backend: &Backend) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let own = backend.own_socket().map(|socket| ("vip-port-to", socket));
    std::iter::once(("address", backend.socket())).chain(own).filter(|(_, socket)| is_legible(*socket))
}

/// The socket of a VIP's address that is a backend's alone.
fn vip_socket(vip: IpAddr, backend: &Backend) -> Option<SocketAddr> {
    backend.own_port.map(|own| SocketAddr::new(vip, own.vip_port)).filter(|socket| is_legible(*socket))
}
