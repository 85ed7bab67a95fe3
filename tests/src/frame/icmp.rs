//! ICMP messages (RFC 792, RFC 4443).

use std::net::IpAddr;

use super::{
    IPV4, IPV6, Link,
    ip::{Header, pseudo_header},
    plus, sum,
};

/// An ICMP message in an Ethernet frame; which ICMP it is, the addresses say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// In front of it.
    pub link: Link,
    /// Source; of the same family as `to`.
    pub from: IpAddr,
    /// Destination.
    pub to: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 flags.
    pub fragment: u16,
    /// Type and code.
    pub kind: [u8; 2],
    /// What stands behind the checksum: unused, or an MTU.
    pub rest: u32,
    /// By how much the checksum is wrong.
    pub checksum_off: u16,
    /// What it carries: in an error, the beginning of the packet that it is about.
    pub body: Vec<u8>,
}

impl Icmp {
    /// Number of ICMP and of ICMPv6.
    const V4: u8 = 1;
    const V6: u8 = 58;

    /// Offset of the ICMP header.
    pub fn icmp_at(&self) -> usize {
        self.link.len() + if self.to.is_ipv4() { 20 } else { 40 }
    }

    /// The frame.
    ///
    /// # Panics
    /// When the addresses are of two families, or the message is too long.
    pub fn bytes(&self) -> Vec<u8> {
        let ethertype = if self.to.is_ipv4() { IPV4 } else { IPV6 };
        self.link.frame(ethertype, &self.packet())
    }

    /// The IP packet.
    ///
    /// # Panics
    /// As [`Icmp::bytes`].
    pub fn packet(&self) -> Vec<u8> {
        let mut message = [&self.kind[..], &[0, 0], &self.rest.to_be_bytes(), &self.body].concat();
        let protocol = if self.to.is_ipv4() { Self::V4 } else { Self::V6 };
        // Only ICMPv6 covers the addresses (RFC 4443 section 2.3).
        let covered = if self.to.is_ipv4() {
            Vec::new()
        } else {
            pseudo_header(self.from, self.to, protocol, message.len())
        };
        let checksum = plus(!plus(sum(&covered), sum(&message)), self.checksum_off);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        let header =
            Header { ttl: self.ttl, protocol, fragment: self.fragment, ..Header::new(self.from, self.to) };
        header.before(&message)
    }
}
