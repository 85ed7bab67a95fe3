//! A telephone behind a NAT that lets in only what comes from the very address and port that was sent to.
//!
//! ```text
//!  phone namespace          nat namespace                         node namespace
//!  192.168.1.10 eth0 ------ eth1 192.168.1.1  eth0 203.0.113.7 -- n0 203.0.113.1
//! ```
//!
//! The NAT is the kernel's (nftables): a mapping for each pair of sockets, and other ports outside than inside.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::{INTERFACE, Topology, make, pair};
use crate::netns::Netns;
use crate::process::output;

/// The node's interface towards the NAT.
pub(super) const NODE_INTERFACE: &str = "n0";

const NODE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const INSIDE: &str = "eth1";
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

const RULES: &str = "
table ip nat {
    chain outwards {
        type nat hook postrouting priority srcnat
        oifname eth0 ip protocol udp masquerade to :20000-29999 random
    }
}
table ip filter {
    chain through {
        type filter hook forward priority filter; policy drop
        iifname eth1 accept
        ct state established accept
    }
}
";

/// The telephone's place, and the NAT in front of it.
#[derive(Debug)]
pub struct Home {
    /// Where the telephone is.
    pub phone: Netns,
    /// Where the NAT is.
    pub router: Netns,
}

impl Home {
    /// The telephone's own address.
    pub const PHONE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
    /// The address that others see.
    pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
}

impl Topology {
    pub(super) fn connect_home(&self) -> Result<Home> {
        let home = Home { phone: make(&self.name, "phone")?, router: make(&self.name, "nat")? };
        pair((&self.node, NODE_INTERFACE), (&home.router, INTERFACE))?;
        pair((&home.router, INSIDE), (&home.phone, INTERFACE))?;
        self.node.ip(&format!("addr add {NODE}/24 dev {NODE_INTERFACE}"))?;
        home.router.ip(&format!("addr add {}/24 dev {INTERFACE}", Home::OUTSIDE))?;
        home.router.ip(&format!("addr add {ROUTER}/24 dev {INSIDE}"))?;
        home.router.ip(&format!("route add default via {NODE}"))?;
        home.router.set("ipv4/ip_forward", "1")?;
        home.phone.ip(&format!("addr add {}/24 dev {INTERFACE}", Home::PHONE))?;
        home.phone.ip(&format!("route add default via {ROUTER}"))?;
        let mut nft = home.router.command("nft");
        nft.arg(RULES);
        output(nft)?;
        Ok(home)
    }
}
