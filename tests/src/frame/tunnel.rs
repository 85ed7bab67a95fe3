//! Packets inside packets (RFC 2003, RFC 2473).

use std::net::IpAddr;

use super::{DONT_FRAGMENT, IPV4, IPV6, Link, ip::Header};

/// A packet inside another one, in an Ethernet frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encapsulated {
    /// In front of it.
    pub link: Link,
    /// Outer source.
    pub from: IpAddr,
    /// Outer destination.
    pub to: IpAddr,
    /// IPv6: the outer flow label.
    pub label: u32,
    /// The inner packet.
    pub packet: Vec<u8>,
    /// Bytes behind it, which are no part of either packet.
    pub trailer: Vec<u8>,
}

impl Encapsulated {
    /// The frame.
    ///
    /// # Panics
    /// When the addresses are of two families, or the packet is too long.
    pub fn bytes(&self) -> Vec<u8> {
        let is_v4_inside = self.packet[0] >> 4 == 4;
        let header = Header {
            protocol: if is_v4_inside { 4 } else { 41 },
            fragment: DONT_FRAGMENT,
            label: self.label,
            ..Header::new(self.from, self.to)
        };
        let ethertype = if self.to.is_ipv4() { IPV4 } else { IPV6 };
        self.link.frame(ethertype, &[header.before(&self.packet), self.trailer.clone()].concat())
    }

    /// The same with what is a flow's own taken from a frame: the last 16 bits of an IPv4 source, the last 32 of an IPv6
    /// one, and the flow label.
    pub fn with_flow_of(&self, frame: &[u8]) -> Self {
        let at = self.link.len();
        let bytes = |from: usize, to: usize| frame.get(at + from..at + to).unwrap_or(&[0; 8]);
        let mut encapsulated = self.clone();
        match &mut encapsulated.from {
            IpAddr::V4(from) => {
                let [a, b, ..] = from.octets();
                *from = [a, b, bytes(14, 16)[0], bytes(14, 16)[1]].into();
            }
            IpAddr::V6(from) => {
                let mut octets = from.octets();
                octets[12..].copy_from_slice(&bytes(20, 24)[..4]);
                *from = octets.into();
                let label = bytes(1, 4);
                encapsulated.label = u32::from_be_bytes([0, label[0] & 0xf, label[1], label[2]]);
            }
        }
        encapsulated
    }
}
