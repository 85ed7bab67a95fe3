//! Frames, from their fields: what a packet test sends, and what it expects to get back.
//!
//! A rewritten frame is expected as the same datagram with some fields changed, written anew with its checksums: byte for
//! byte, this also says that nothing else changed.

mod icmp;
mod ip;
mod tunnel;

use std::{net::SocketAddr, ops::Range};

pub use icmp::Icmp;
use ip::{Header, pseudo_header};
pub use tunnel::Encapsulated;

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
/// Numbers of IPv6 extension headers: options for every hop, routing, fragment, authentication, options for the end.
pub const HOP_BY_HOP: u8 = 0;
/// See [`HOP_BY_HOP`].
pub const ROUTING: u8 = 43;
/// See [`HOP_BY_HOP`].
pub const FRAGMENT: u8 = 44;
/// See [`HOP_BY_HOP`].
pub const AUTHENTICATION: u8 = 51;
/// See [`HOP_BY_HOP`].
pub const DESTINATION: u8 = 60;
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

/// An IPv6 extension header (RFC 8200 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its number.
    pub kind: u8,
    /// All of it behind its first byte, which says what follows.
    pub rest: Vec<u8>,
}

impl Extension {
    /// One whose length is told in units of eight bytes: options that mean nothing.
    pub fn of_units(kind: u8, units: u8) -> Self {
        // PadN (section 4.2) over all that is left.
        let length = 8 * units - 2;
        Self { kind, rest: [&[units - 1, 1, length - 2][..], &vec![0; usize::from(length) - 2]].concat() }
    }

    /// An authentication header, whose length is told in words less two (RFC 4302 section 2.2).
    pub fn authentication(words: u8) -> Self {
        Self {
            kind: AUTHENTICATION,
            rest: [&[words - 2][..], &vec![0xa5; usize::from(words) * 4 - 2]].concat(),
        }
    }

    /// A fragment header with these flags and this offset (section 4.5).
    pub fn fragment(offset_and_more: u16, id: u32) -> Self {
        let [offset, more] = offset_and_more.to_be_bytes();
        Self { kind: FRAGMENT, rest: [&[0, offset, more][..], &id.to_be_bytes()].concat() }
    }

    /// A chain of them in front of what has this number: its first number, and its bytes.
    fn chain(extensions: &[Self], last: u8) -> (u8, Vec<u8>) {
        let following = extensions.iter().skip(1).map(|next| next.kind).chain([last]);
        let bytes = extensions
            .iter()
            .zip(following)
            .flat_map(|(extension, next)| [&[next], &extension.rest[..]].concat());
        (extensions.first().map_or(last, |first| first.kind), bytes.collect())
    }
}

/// The part of a datagram that a fragment carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Identification, of which IPv4 has 16 bits.
    pub id: u32,
    /// Which bytes of UDP header and payload. They begin at a multiple of eight.
    pub bytes: Range<usize>,
}

/// A UDP datagram in an Ethernet frame, or a fragment of one.
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
    /// IPv6 extension headers, in front of the fragment header if there is one.
    pub extensions: Vec<Extension>,
    /// IPv4 flags and fragment offset of what has no `part`.
    pub fragment: u16,
    /// The part that this frame carries; `None` is all of it, without a word of fragments.
    pub part: Option<Part>,
    /// IP protocol number.
    pub protocol: u8,
    /// By how much the IPv4 header checksum is wrong.
    pub ip_checksum_off: u16,
    /// The UDP checksum. It covers all of the datagram, whatever part the frame carries.
    pub checksum: Checksum,
    /// What all of it carries.
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
        let headers = if self.to.is_ipv4() { 20 + self.options.len() } else { 40 + self.chain().1.len() };
        self.ip_at() + headers
    }

    /// Offset of the payload.
    pub fn payload_at(&self) -> usize {
        self.udp_at() + 8
    }

    /// The fragments that it is cut into at these bytes of UDP header and payload, multiples of eight.
    pub fn cut(&self, id: u32, at: &[usize]) -> Vec<Self> {
        let ends = at.iter().copied().chain([8 + self.payload.len()]);
        let begins = [0].into_iter().chain(at.iter().copied());
        let part = |(begin, end)| Self { part: Some(Part { id, bytes: begin..end }), ..self.clone() };
        begins.zip(ends).map(part).collect()
    }

    /// The frame.
    ///
    /// # Panics
    /// When the addresses are of two families, or the payload is longer than a datagram can be.
    pub fn bytes(&self) -> Vec<u8> {
        let ethertype = if self.to.is_ipv4() { IPV4 } else { IPV6 };
        self.link.frame(ethertype, &[self.packet(), self.trailer.clone()].concat())
    }

    /// The IP packet.
    ///
    /// # Panics
    /// As [`Datagram::bytes`].
    pub fn packet(&self) -> Vec<u8> {
        let udp = self.udp();
        let carried = match &self.part {
            Some(part) => &udp[part.bytes.clone()],
            None => &udp,
        };
        let (protocol, chain) = if self.to.is_ipv4() { (self.protocol, Vec::new()) } else { self.chain() };
        let header = Header {
            ttl: self.ttl,
            protocol,
            service: if self.to.is_ipv4() { 0xb8 } else { 0 },
            id: self.part.as_ref().map_or(0x1234, |part| part.id as u16),
            fragment: self.part.as_ref().map_or(self.fragment, |part| flags(part, udp.len()).0),
            options: self.options.clone(),
            checksum_off: self.ip_checksum_off,
            ..Header::new(self.from.ip(), self.to.ip())
        };
        header.before(&[&chain, carried].concat())
    }

    /// The number of the first header behind that of IPv6, and the bytes of the extension headers.
    fn chain(&self) -> (u8, Vec<u8>) {
        let mut extensions = self.extensions.clone();
        if let Some(part) = &self.part {
            extensions.push(Extension::fragment(flags(part, 8 + self.payload.len()).1, part.id));
        }
        Extension::chain(&extensions, self.protocol)
    }

    /// UDP header and payload (RFC 768).
    fn udp(&self) -> Vec<u8> {
        let length = u16::try_from(8 + self.payload.len()).expect("a datagram's length fits 16 bits");
        let mut udp = [self.from.port(), self.to.port(), length, 0].map(u16::to_be_bytes).concat();
        udp.extend(&self.payload);
        let pseudo_header = pseudo_header(self.from.ip(), self.to.ip(), UDP, udp.len());
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

/// Flags and offset of a part of a datagram of `length` bytes, as IPv4 has them and as IPv6 has them.
fn flags(part: &Part, length: usize) -> (u16, u16) {
    let (offset, is_last) = (part.bytes.start as u16, part.bytes.end >= length);
    assert_eq!(offset % 8, 0, "offsets of fragments are told in units of eight bytes");
    let more = if is_last { 0 } else { MORE_FRAGMENTS };
    ((offset / 8) | more, offset | u16::from(!is_last))
}

/// The ones' complement sum of the 16-bit words; an odd byte at the end counts as if a zero followed (RFC 1071).
pub fn sum(bytes: &[u8]) -> u16 {
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
    /// Fragments put together are the packet that was cut, behind their headers.
    #[test]
    fn fragments_make_the_whole() {
        for to in [crate::example::vip(), crate::example::vip6()] {
            let from = if to.is_ipv4() { crate::example::client() } else { crate::example::client6() };
            let whole = Datagram { from, to, ..crate::example::from_client(&[7; 100]) };
            let parts = whole.cut(5, &[8, 64]);
            let joined: Vec<u8> =
                parts.iter().flat_map(|part| part.bytes().split_off(part.udp_at())).collect();
            assert_eq!(joined, whole.bytes().split_off(whole.udp_at()));
        }
    }
}
