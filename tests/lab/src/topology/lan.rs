//! The backends, the node and the clients' router on one network: what `dsr` needs, and how its answers bypass the node.
//!
//! ```text
//!  client namespace        node namespace          one namespace a backend
//!  198.51.100.10 eth0 ---- c0     l0 10.0.0.1      eth0 10.0.0.11
//!  10.0.0.254    eth1      |      |                |
//!                |         `------+------ bridge --+---- ...
//!                `------------------------`
//! ```
//!
//! The client namespace plays the router too: backends reach the clients by its second interface.

use std::net::Ipv6Addr;

use anyhow::Result;

use super::{
    Family, Host, INTERFACE, NODE_TO_BACKENDS, NODE_TO_BACKENDS6, ONLINK, Topology, VIP, VIP6, make, pair,
};

/// The node's interface on this network.
pub(super) const NODE_INTERFACE: &str = "l0";

const ROUTER_INTERFACE: &str = "eth1";
const ROUTER: &str = "10.0.0.254";
const ROUTER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 0xfe);
const BRIDGE: &str = "br0";
/// The routing table of what a backend sends to the VIP.
const TABLE: u32 = 100;

impl Topology {
    /// Connects node, backends and router.
    pub(super) fn connect_lan(&self) -> Result<()> {
        let lan = make(&self.name, "lan")?;
        lan.ip(&format!("link add {BRIDGE} type bridge"))?;
        lan.ip(&format!("link set {BRIDGE} up"))?;
        let hosts = self.backends.iter().map(|host| (&host.netns, INTERFACE, host.name.as_str()));
        let others = [(&self.node, NODE_INTERFACE, "node"), (&self.client, ROUTER_INTERFACE, "router")];
        for (netns, interface, port) in others.into_iter().chain(hosts) {
            pair((&lan, port), (netns, interface))?;
            lan.ip(&format!("link set {port} master {BRIDGE}"))?;
        }
        self.node.ip(&format!("addr add {NODE_TO_BACKENDS}/24 dev {NODE_INTERFACE}"))?;
        self.node.ip(&format!("addr add {NODE_TO_BACKENDS6}/64 dev {NODE_INTERFACE}"))?;
        // Answers come in by another interface than the one that questions leave by.
        self.client.set("ipv4/conf/all/rp_filter", "0")?;
        self.client.ip(&format!("addr add {ROUTER}/24 dev {ROUTER_INTERFACE}"))?;
        self.client.ip(&format!("addr add {ROUTER6}/64 dev {ROUTER_INTERFACE}"))?;
        self.backends.iter().try_for_each(settle)
    }
}

impl Host {
    /// Gives the VIP to the backend as `docs/backends.md` has it: it takes what comes for the VIP, says nothing about it
    /// on the network, and sends what is for the VIP to the node instead of to itself.
    ///
    /// # Errors
    /// When a command fails.
    pub fn hold_vip(&self) -> Result<()> {
        self.netns.set("ipv4/conf/all/arp_ignore", "1")?;
        self.netns.set("ipv4/conf/all/arp_announce", "2")?;
        self.netns.ip(&format!("addr add {VIP}/32 dev lo"))?;
        self.netns.ip(&format!("addr add {VIP6}/128 dev lo"))?;
        for (family, vip, node) in [
            ("-4", VIP.to_string(), NODE_TO_BACKENDS.to_string()),
            ("-6", VIP6.to_string(), NODE_TO_BACKENDS6.to_string()),
        ] {
            self.netns.ip(&format!("{family} route add default via {node} {ONLINK} table {TABLE}"))?;
            self.netns.ip(&format!("{family} rule add pref 10 iif lo to {vip} lookup {TABLE}"))?;
            // The table of the host's own addresses otherwise comes first of all.
            self.netns.ip(&format!("{family} rule add pref 20 lookup local"))?;
            self.netns.ip(&format!("{family} rule del pref 0"))?;
        }
        Ok(())
    }
}

fn settle(host: &Host) -> Result<()> {
    let Host { netns, .. } = host;
    netns.ip(&format!("addr add {}/24 dev {INTERFACE}", host.address))?;
    netns.ip(&format!("addr add {}/64 dev {INTERFACE}", host.address_of(Family::V6)))?;
    netns.ip(&format!("route add default via {ROUTER} {ONLINK}"))?;
    netns.ip(&format!("route add default via {ROUTER6} {ONLINK}"))?;
    Ok(())
}
