//! The network: who has which address, and the veth pairs between them.
//!
//! Addresses are from the ranges for documentation and for private use, and exist inside the namespaces only.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::netns::Netns;
use crate::process::output;

/// Address of the VIP, on the node's `lo`, so that the node answers ARP for it.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Port of the VIP, and of every backend.
pub const SIP_PORT: u16 = 5060;
/// Where calls and registrations come from.
pub const CALLERS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
/// Where the users answer.
pub const CALLEES: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
/// The host part of every user's URI.
pub const DOMAIN: &str = "example.com";

const NODE_TO_CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const NODE_TO_BACKENDS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The one interface of a client or a backend.
const INTERFACE: &str = "eth0";

/// The namespaces, wired up and with addresses.
#[derive(Debug)]
pub struct Topology {
    /// The clients, callers and callees alike.
    pub client: Netns,
    /// The first stage.
    pub node: Netns,
    /// The second stage, one server each.
    pub backends: Vec<Host>,
}

/// A second-stage server's place.
#[derive(Debug)]
pub struct Host {
    /// `b1`, `b2` ...: the name of the backend, and of the node's interface towards it.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its namespace.
    pub netns: Netns,
}

impl Topology {
    /// Makes the namespaces `{name}-client`, `{name}-node`, `{name}-b1` ... and connects them.
    ///
    /// # Errors
    /// When a name is taken, or one of the commands fails.
    pub fn create(name: &str, backends: u8) -> Result<Self> {
        ensure!((1..=99).contains(&backends), "between 1 and 99 backends, not {backends}");
        let client = Netns::create(&format!("{name}-client"))?;
        let node = Netns::create(&format!("{name}-node"))?;
        let backends = (1..=backends)
            .map(|number| {
                let backend = format!("b{number}");
                let netns = Netns::create(&format!("{name}-{backend}"))?;
                Ok(Host { name: backend, address: Ipv4Addr::new(10, 0, 0, 10 + number), netns })
            })
            .collect::<Result<_>>()?;
        let topology = Self { client, node, backends };
        topology.prepare_node()?;
        topology.connect_client()?;
        for host in &topology.backends {
            topology.connect_backend(host)?;
        }
        Ok(topology)
    }

    /// The node's interfaces: one towards the clients, one towards each backend.
    pub fn node_interfaces(&self) -> Vec<String> {
        let backends = self.backends.iter().map(|host| host.name.clone());
        std::iter::once("c0".to_owned()).chain(backends).collect()
    }

    fn prepare_node(&self) -> Result<()> {
        self.node.set("ipv4/ip_forward", "1")?;
        // A packet that the program rewrote and left to the stack carries the VIP as its source, which is an
        // address of the node itself: the stack drops such packets unless told otherwise.
        self.node.set("ipv4/conf/all/accept_local", "1")?;
        self.node.set("ipv4/conf/all/rp_filter", "0")?;
        self.node.set("ipv4/conf/default/rp_filter", "0")?;
        self.node.ip(&format!("addr add {VIP}/32 dev lo"))?;
        Ok(())
    }

    fn connect_client(&self) -> Result<()> {
        self.connect("c0", &self.client)?;
        self.node.ip(&format!("addr add {NODE_TO_CLIENT}/24 dev c0"))?;
        self.client.ip(&format!("addr add {CALLERS}/24 dev {INTERFACE}"))?;
        self.client.ip(&format!("addr add {CALLEES}/24 dev {INTERFACE}"))?;
        self.client.ip(&format!("route add default via {NODE_TO_CLIENT}"))?;
        Ok(())
    }

    fn connect_backend(&self, host: &Host) -> Result<()> {
        let Host { name, address, netns } = host;
        self.connect(name, netns)?;
        self.node.ip(&format!("addr add {NODE_TO_BACKENDS} peer {address}/32 dev {name}"))?;
        netns.ip(&format!("addr add {address} peer {NODE_TO_BACKENDS}/32 dev {INTERFACE}"))?;
        // The way back leads through the node, which is what lets `nat` do without state.
        netns.ip(&format!("route add default via {NODE_TO_BACKENDS}"))?;
        Ok(())
    }

    /// A veth pair between the node and `peer`.
    fn connect(&self, node_interface: &str, peer: &Netns) -> Result<()> {
        self.node.ip(&format!(
            "link add {node_interface} type veth peer name {INTERFACE} netns {}",
            peer.name()
        ))?;
        self.node.ip(&format!("link set {node_interface} up"))?;
        peer.ip(&format!("link set {INTERFACE} up"))?;
        // Over a veth pair a sender leaves checksums to a card that never comes, and a rewrite in XDP builds on
        // what is not there: let the sender compute them.
        offload(peer, "tx", "off")?;
        // A packet that XDP redirects to a veth is lost without a word unless the other end polls for such
        // packets, which it does for an XDP program of its own or for GRO.
        offload(peer, "gro", "on")
    }
}

fn offload(netns: &Netns, feature: &str, value: &str) -> Result<()> {
    let mut command: Command = netns.command("ethtool");
    command.args(["-K", INTERFACE, feature, value]);
    output(command)?;
    Ok(())
}
