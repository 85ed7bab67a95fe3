//! The network: who has which address, and the veth pairs between them.
//!
//! Addresses are from the ranges for documentation and for private use, and exist inside the namespaces only. Everybody
//! has one of each family.

mod fleet;
mod home;
mod lan;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::netns::Netns;
use crate::process::output;

pub use fleet::Fleet;
pub use home::Home;

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

/// The VIP of IPv6, on the node's `lo` too.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0x10);
/// Where calls and registrations come from over IPv6.
pub const CALLERS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 0x10);
/// Where the users answer over IPv6.
pub const CALLEES6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 0x20);

const NODE_TO_CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const NODE_TO_CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 1);
const NODE_TO_BACKENDS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const NODE_TO_BACKENDS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 1);
/// The one interface of a client or a backend.
const INTERFACE: &str = "eth0";
/// Where a gateway is. Said outright, since the kernel may not have made the route to an IPv6 gateway yet that it would look
/// for: it does so a moment after the other end of a wire is up.
const ONLINK: &str = "dev eth0 onlink";

/// An address family, and who has which address of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Address of the VIP.
    pub fn vip(self) -> IpAddr {
        match self {
            Self::V4 => VIP.into(),
            Self::V6 => VIP6.into(),
        }
    }

    /// Address and port of the VIP.
    pub fn vip_socket(self) -> SocketAddr {
        (self.vip(), SIP_PORT).into()
    }

    /// Where calls and registrations come from.
    pub fn callers(self) -> IpAddr {
        match self {
            Self::V4 => CALLERS.into(),
            Self::V6 => CALLERS6.into(),
        }
    }

    /// Where the users answer.
    pub fn callees(self) -> IpAddr {
        match self {
            Self::V4 => CALLEES.into(),
            Self::V6 => CALLEES6.into(),
        }
    }
}

/// What a network consists of.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many backends.
    pub backends: u8,
    /// All backends on one network with the node and with the clients' router, as `dsr` wants it; otherwise each at the
    /// end of a wire of its own, and the way back leads through the node.
    pub has_lan: bool,
    /// With a telephone behind a NAT.
    pub has_home: bool,
    /// With a second node, and clients and backends on a network each with both nodes.
    pub has_peer: bool,
}

impl From<u8> for Shape {
    /// So many backends on wires of their own, nobody behind a NAT.
    fn from(backends: u8) -> Self {
        Self { backends, has_lan: false, has_home: false, has_peer: false }
    }
}

/// The namespaces, wired up and with addresses.
#[derive(Debug)]
pub struct Topology {
    name: String,
    /// The clients, callers and callees alike.
    pub client: Netns,
    /// The first stage.
    pub node: Netns,
    /// The second stage, one server each.
    pub backends: Vec<Host>,
    /// The telephone behind a NAT, if there is one.
    pub home: Option<Home>,
    /// The second node and the two networks, if there is one.
    pub fleet: Option<Fleet>,
    has_lan: bool,
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

impl Host {
    /// Its address of a family.
    pub fn address_of(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.address.into(),
            Family::V6 => {
                let number = self.address.octets()[3];
                Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, number.into()).into()
            }
        }
    }

    /// Brings its link up again, where it is on a wire of its own, with the IPv4 address and the way back that went with it.
    ///
    /// # Errors
    /// When a command fails.
    pub fn connect_again(&self) -> Result<()> {
        let Self { netns, address, .. } = self;
        netns.ip(&format!("link set {INTERFACE} up"))?;
        netns.ip(&format!("addr replace {address} peer {NODE_TO_BACKENDS}/32 dev {INTERFACE}"))?;
        netns.ip(&format!("route replace default via {NODE_TO_BACKENDS} {ONLINK}"))?;
        Ok(())
    }
}

impl Topology {
    /// Makes the namespaces `{name}-client`, `{name}-node`, `{name}-b1` ... and connects them.
    ///
    /// # Errors
    /// When a name is taken, or one of the commands fails.
    pub fn create(name: &str, shape: Shape) -> Result<Self> {
        let Shape { backends, has_lan, has_home, has_peer } = shape;
        ensure!((1..=99).contains(&backends), "between 1 and 99 backends, not {backends}");
        let client = make(name, "client")?;
        let node = make(name, "node")?;
        let backends = (1..=backends)
            .map(|number| {
                let backend = format!("b{number}");
                let netns = make(name, &backend)?;
                Ok(Host { name: backend, address: Ipv4Addr::new(10, 0, 0, 10 + number), netns })
            })
            .collect::<Result<_>>()?;
        let has_lan = has_lan || has_peer;
        let mut topology =
            Self { name: name.to_owned(), client, node, backends, home: None, fleet: None, has_lan };
        topology.node.prepare_as_node()?;
        if has_peer {
            topology.fleet = Some(topology.connect_fleet()?);
            return Ok(topology);
        }
        topology.connect_client()?;
        if has_lan {
            topology.connect_lan()?;
        } else {
            for host in &topology.backends {
                topology.connect_backend(host)?;
            }
        }
        if has_home {
            topology.home = Some(topology.connect_home()?);
        }
        Ok(topology)
    }

    /// The node's interfaces: one towards the clients, one towards each backend or one towards all, one towards the NAT.
    pub fn node_interfaces(&self) -> Vec<String> {
        let mut interfaces = vec!["c0".to_owned()];
        if self.has_lan {
            interfaces.push(lan::NODE_INTERFACE.to_owned());
        } else {
            interfaces.extend(self.backends.iter().map(|host| host.name.clone()));
        }
        if self.home.is_some() {
            interfaces.push(home::NODE_INTERFACE.to_owned());
        }
        interfaces
    }

    fn connect_client(&self) -> Result<()> {
        pair((&self.node, "c0"), (&self.client, INTERFACE))?;
        self.node.ip(&format!("addr add {NODE_TO_CLIENT}/24 dev c0"))?;
        self.node.ip(&format!("addr add {NODE_TO_CLIENT6}/64 dev c0"))?;
        for address in [CALLERS, CALLEES] {
            self.client.ip(&format!("addr add {address}/24 dev {INTERFACE}"))?;
        }
        for address in [CALLERS6, CALLEES6] {
            self.client.ip(&format!("addr add {address}/64 dev {INTERFACE}"))?;
        }
        self.client.ip(&format!("route add default via {NODE_TO_CLIENT} dev {INTERFACE}"))?;
        self.client.ip(&format!("route add default via {NODE_TO_CLIENT6} {ONLINK}"))?;
        Ok(())
    }

    fn connect_backend(&self, host: &Host) -> Result<()> {
        let Host { name, netns, .. } = host;
        pair((&self.node, name), (netns, INTERFACE))?;
        for (node, address, bits) in [
            (IpAddr::from(NODE_TO_BACKENDS), host.address_of(Family::V4), 32),
            (NODE_TO_BACKENDS6.into(), host.address_of(Family::V6), 128),
        ] {
            self.node.ip(&format!("addr add {node} peer {address}/{bits} dev {name}"))?;
            netns.ip(&format!("addr add {address} peer {node}/{bits} dev {INTERFACE}"))?;
            // The way back leads through the node, which is what lets `nat` do without state.
            netns.ip(&format!("route add default via {node} {ONLINK}"))?;
        }
        Ok(())
    }
}

impl Netns {
    fn prepare_as_node(&self) -> Result<()> {
        self.set("ipv4/ip_forward", "1")?;
        self.set("ipv6/conf/all/forwarding", "1")?;
        // A packet that the program rewrote and left to the stack carries the VIP as its source, which is an
        // address of the node itself: the stack drops such packets unless told otherwise.
        self.set("ipv4/conf/all/accept_local", "1")?;
        self.set("ipv4/conf/all/rp_filter", "0")?;
        self.set("ipv4/conf/default/rp_filter", "0")?;
        self.ip(&format!("addr add {VIP}/32 dev lo"))?;
        self.ip(&format!("addr add {VIP6}/128 dev lo"))?;
        Ok(())
    }
}

/// A namespace of this network, whose IPv6 addresses can be used as soon as they are there.
fn make(lab: &str, name: &str) -> Result<Netns> {
    let netns = Netns::create(&format!("{lab}-{name}"))?;
    netns.set("ipv6/conf/default/accept_dad", "0")?;
    netns.set("ipv6/conf/all/accept_dad", "0")?;
    Ok(netns)
}

/// A veth pair. Each of the two ends is a namespace and the name of the interface there.
fn pair(one: (&Netns, &str), other: (&Netns, &str)) -> Result<()> {
    let ((netns, interface), (peer, peer_interface)) = (one, other);
    netns.ip(&format!("link add {interface} type veth peer name {peer_interface} netns {}", peer.name()))?;
    for (netns, interface) in [one, other] {
        netns.ip(&format!("link set {interface} up"))?;
        // Over a veth pair a sender leaves checksums to a card that never comes, and a rewrite in XDP builds on
        // what is not there: let the sender compute them.
        offload(netns, interface, "tx", "off")?;
        // A packet that XDP redirects to a veth is lost without a word unless the other end polls for such
        // packets, which it does for an XDP program of its own or for GRO.
        offload(netns, interface, "gro", "on")?;
    }
    Ok(())
}

fn offload(netns: &Netns, interface: &str, feature: &str, value: &str) -> Result<()> {
    let mut command: Command = netns.command("ethtool");
    command.args(["-K", interface, feature, value]);
    output(command)?;
    Ok(())
}
