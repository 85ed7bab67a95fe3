//! Frames, from their fields: what a packet test sends, and what it expects to get back.
//!
//! A rewritten frame is expected as the same datagram with some fields changed, written anew with its checksums: byte for
//! byte, this also says that nothing else changed.

use std::net::{IpAddr, SocketAddr};

/// Ethertype of IPv4.
pub const IPV4: u16 = 0x0800;
/// Ethertype of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Ethertype of ARP.
pub const ARP: u16 = 0x0806;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// The IPv4 flag "don't fragment".
pub const DONT_FRAGMENT: u16 = 0x4000;
/// The IPv4 flag "more fragments".
pub const MORE_FRAGMENTS: u16 = 0x2000;

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Ethertype that announces it: 0x8100 or 0x88a8.
    pub protocol: u16,
    /// Priority and VLAN id.
    pub control: u16,
}

/// What stands in front of the IP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// MAC address of the receiver.
    pub destination: [u8; 6],
    /// MAC address of the sender.
    pub source: [u8; 6],
    /// VLAN tags, outermost first.
    pub tags: Vec<Tag>,
}

impl Link {
    /// A frame with this header.
    pub fn frame(&self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [self.destination, self.source].concat();
        for tag in &self.tags {
            bytes.extend([tag.protocol, tag.control].map(u16::to_be_bytes).concat());
        }
        bytes.extend(ethertype.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// Length of the header in bytes.
    pub fn len(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// Never: there is always an Ethernet header.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// What a UDP checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The truth.
    Right,
    /// Nothing: 0 is "none" (RFC 768).
    Absent,
    /// Off by so much: a datagram that was damaged on its way.
    Off(u16),
}

/// A UDP datagram in an Ethernet frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// In front of it.
    pub link: Link,
    /// Source; of the same family as `to`.
    pub from: SocketAddr,
    /// Destination.
    pub to: SocketAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 options: up to 40 bytes in whole words.
    pub options: Vec<u8>,
    /// IPv4 flags and fragment offset.
    pub fragment: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// By how much the IPv4 header checksum is wrong.
    pub ip_checksum_off: u16,
    /// The UDP checksum.
    pub checksum: Checksum,
    /// What it carries.
    pub payload: Vec<u8>,
    /// Bytes behind the IP packet, such as Ethernet's padding to 60 bytes.
    pub trailer: Vec<u8>,
}

impl Datagram {
    /// Offset of the IP header.
    pub fn ip_at(&self) -> usize {
        self.link.len()
    }

    /// Offset of the UDP header.
    pub fn udp_at(&self) -> usize {
        self.ip_at() + if self.to.is_ipv4() { 20 + self.options.len() } else { 40 }
    }

    /// Offset of the payload.
    pub fn payload_at(&self) -> usize {
        self.udp_at() + 8
    }

    /// The frame.
    ///
    /// # Panics
    /// When the addresses are of two families, or the payload is longer than a datagram can be.
    pub fn bytes(&self) -> Vec<u8> {
        let (ethertype, mut packet) = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => (IPV4, self.ipv4(from.octets(), to.octets())),
            (IpAddr::V6(from), IpAddr::V6(to)) => (IPV6, self.ipv6(from.octets(), to.octets())),
            _ => panic!("addresses of two families: {} and {}", self.from, self.to),
        };
        packet.extend(&self.trailer);
        self.link.frame(ethertype, &packet)
    }

    fn ipv4(&self, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let udp = self.udp(&from, &to);
        let header_bytes = 20 + self.options.len();
        let total = u16::try_from(header_bytes + udp.len()).expect("a datagram's length fits 16 bits");
        let mut header = vec![0x40 | (header_bytes / 4) as u8, 0xb8];
        header.extend([total, 0x1234, self.fragment].map(u16::to_be_bytes).concat());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend([from, to].concat());
        header.extend(&self.options);
        let checksum = plus(!sum(&header), self.ip_checksum_off);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        [header, udp].concat()
    }

    fn ipv6(&self, from: [u8; 16], to: [u8; 16]) -> Vec<u8> {
        let udp = self.udp(&from, &to);
        let length = u16::try_from(udp.len()).expect("a datagram's length fits 16 bits");
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(length.to_be_bytes());
        header.extend([self.protocol, self.ttl]);
        header.extend([from, to].concat());
        [header, udp].concat()
    }

    /// UDP header and payload (RFC 768).
    fn udp(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + self.payload.len()).expect("a datagram's length fits 16 bits");
        let mut udp = [self.from.port(), self.to.port(), length, 0].map(u16::to_be_bytes).concat();
        udp.extend(&self.payload);
        let pseudo_header = [from, to, &[0, UDP], &length.to_be_bytes()].concat();
        let right = !plus(sum(&pseudo_header), sum(&udp));
        let checksum = match self.checksum {
            Checksum::Absent => 0,
            Checksum::Right => nonzero(right),
            Checksum::Off(by) => nonzero(plus(right, by)),
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        udp
    }
}

/// The ones' complement sum of the 16-bit words; an odd byte at the end counts as if a zero followed (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
    bytes.chunks(2).map(word).fold(0, plus)
}

/// Ones' complement addition: the carry comes in again at the end.
fn plus(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// A computed checksum of zero is sent as its other form, since zero says that there is none.
fn nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 section 3 works this sum through.
    #[test]
    fn sum_of_the_rfc() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        assert_eq!(sum(&[0xab]), 0xab00);
    }

    /// The sum over a header with its checksum is all ones.
    #[test]
    fn checksums_hold() {
        for payload in [&b""[..], b"a", b"ab", b"abc"] {
            let datagram = Datagram {
                payload: payload.to_vec(),
                options: vec![1; 8],
                ..crate::example::from_client(b"")
            };
            let bytes = datagram.bytes();
            assert_eq!(sum(&bytes[datagram.ip_at()..datagram.udp_at()]), 0xffff);
            let length = (8 + payload.len() as u16).to_be_bytes();
            let addresses = &bytes[datagram.ip_at() + 12..datagram.ip_at() + 20];
            let pseudo_header = [addresses, &[0, UDP], &length].concat();
            assert_eq!(plus(sum(&pseudo_header), sum(&bytes[datagram.udp_at()..])), 0xffff);
        }
    }
}
