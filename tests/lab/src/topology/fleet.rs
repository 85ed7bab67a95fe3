//! Two nodes, on one network with the clients and on another with the backends.
//!
//! ```text
//!  client namespace                node and peer namespaces            one namespace a backend
//!  198.51.100.10 eth0 --- br0 -+-- c0 198.51.100.1  l0 10.0.0.1 -+- br1 --- eth0 10.0.0.11
//!                              `-- c0 198.51.100.2  l0 10.0.0.2 -'
//! ```
//!
//! Every client and backend is its own router, with both nodes as equal ways: to the VIP, and back to the clients.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::{CALLEES, CALLERS, INTERFACE, NODE_TO_BACKENDS, NODE_TO_CLIENT, Topology, VIP, lan, make, pair};
use crate::netns::Netns;
use crate::process::output;

const PEER_TO_CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const PEER_TO_BACKENDS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const CLIENTS: &str = "198.51.100.0/24";

/// The second node.
#[derive(Debug)]
pub struct Fleet {
    /// Where it is.
    pub peer: Netns,
}

impl Fleet {
    /// Addresses of the first node.
    pub const NODE: [Ipv4Addr; 2] = [NODE_TO_CLIENT, NODE_TO_BACKENDS];
    /// Addresses of the second one.
    pub const PEER: [Ipv4Addr; 2] = [PEER_TO_CLIENT, PEER_TO_BACKENDS];
    /// Where the backends' way back leads when the nodes pass it on to each other.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
}

impl Topology {
    /// Connects clients, nodes and backends.
    pub(super) fn connect_fleet(&self) -> Result<Fleet> {
        let fleet = Fleet { peer: make(&self.name, "peer")? };
        fleet.peer.prepare_as_node()?;
        let lan = make(&self.name, "lan")?;
        for bridge in ["br0", "br1"] {
            lan.ip(&format!("link add {bridge} type bridge"))?;
            lan.ip(&format!("link set {bridge} up"))?;
        }
        let plug = |bridge: &str, port: &str, netns: &Netns, interface: &str, address: Ipv4Addr| {
            pair((&lan, port), (netns, interface))?;
            lan.ip(&format!("link set {port} master {bridge}"))?;
            netns.ip(&format!("addr add {address}/24 dev {interface}"))
        };
        plug("br0", "client", &self.client, INTERFACE, CALLERS)?;
        self.client.ip(&format!("addr add {CALLEES}/24 dev {INTERFACE}"))?;
        for (netns, name, [front, back]) in
            [(&self.node, "node", Fleet::NODE), (&fleet.peer, "peer", Fleet::PEER)]
        {
            plug("br0", &format!("{name}-c0"), netns, "c0", front)?;
            plug("br1", &format!("{name}-l0"), netns, lan::NODE_INTERFACE, back)?;
        }
        for host in &self.backends {
            plug("br1", &host.name, &host.netns, INTERFACE, host.address)?;
        }
        self.by_address()?;
        Ok(fleet)
    }

    /// Equal-cost routes, of which addresses alone choose one: the kernel's default, by which the fragments of a datagram
    /// stay together.
    ///
    /// # Errors
    /// When a command fails.
    pub fn by_address(&self) -> Result<()> {
        let to = |netns: &Netns, what: &str, [node, peer]: [Ipv4Addr; 2]| {
            netns.set("ipv4/fib_multipath_hash_policy", "0")?;
            let ways = format!("nexthop via {node} dev {INTERFACE} nexthop via {peer} dev {INTERFACE}");
            netns.ip(&format!("route replace {what} {ways}"))
        };
        to(&self.client, &format!("{VIP}/32"), [NODE_TO_CLIENT, PEER_TO_CLIENT])?;
        self.backends.iter().try_for_each(|host| {
            to(&host.netns, "default", [NODE_TO_BACKENDS, PEER_TO_BACKENDS])?;
            Ok(())
        })
    }

    /// Every packet in turn by one node and by the other, which no router does: what holds then holds for whatever it does
    /// with packets that are whole.
    ///
    /// # Errors
    /// When a command fails.
    pub fn spray(&self) -> Result<()> {
        spray(&self.client, &VIP.to_string(), [NODE_TO_CLIENT, PEER_TO_CLIENT])?;
        let hosts = self.backends.iter();
        hosts.map(|host| &host.netns).try_for_each(|netns| {
            spray(netns, &format!("{{ {CLIENTS}, {VIP} }}"), [NODE_TO_BACKENDS, PEER_TO_BACKENDS])
        })
    }

    /// Undoes [`Topology::spray`].
    ///
    /// # Errors
    /// When a command fails.
    pub fn spray_no_more(&self) -> Result<()> {
        let hosts = self.backends.iter().map(|host| &host.netns);
        hosts.chain([&self.client]).try_for_each(|netns| nft(netns, "delete table ip spray"))
    }

    /// One way for everybody, which one node has at a time: the VIP itself is on the clients' network, and
    /// [`Fleet::GATEWAY`] on the backends'. No node has them of its own accord.
    ///
    /// # Errors
    /// When a command fails.
    pub fn by_floating_addresses(&self) -> Result<()> {
        self.client.ip(&format!("route replace {VIP}/32 dev {INTERFACE} scope link"))?;
        for host in &self.backends {
            host.netns.ip(&format!("route replace default via {} dev {INTERFACE}", Fleet::GATEWAY))?;
        }
        let peer = self.fleet.as_ref().map(|fleet| &fleet.peer);
        for netns in peer.into_iter().chain([&self.node]) {
            netns.ip(&format!("addr del {VIP}/32 dev lo"))?;
        }
        Ok(())
    }
}

/// Sends what goes `to` there by two gateways in turn, packet by packet.
fn spray(netns: &Netns, to: &str, gateways: [Ipv4Addr; 2]) -> Result<()> {
    for (mark, gateway) in (1..).zip(gateways) {
        netns.ip(&format!("route replace default via {gateway} dev {INTERFACE} table {}", 100 + mark))?;
        netns.ip(&format!("rule add pref {} fwmark {mark} lookup {}", 100 + mark, 100 + mark))?;
    }
    nft(
        netns,
        &format!(
            "table ip spray {{\nchain out {{\ntype route hook output priority mangle\n\
             ip daddr {to} ip protocol udp meta mark set numgen inc mod 2 offset 1\n}}\n}}"
        ),
    )
}

fn nft(netns: &Netns, rules: &str) -> Result<()> {
    let mut command = netns.command("nft");
    command.arg(rules);
    output(command)?;
    Ok(())
}
