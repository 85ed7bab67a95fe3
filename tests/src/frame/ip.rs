//! IP headers (RFC 791, RFC 8200).

use std::net::IpAddr;

use super::{plus, sum};

/// What is not the same in all headers.
pub(super) struct Header {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    /// Type of service, or traffic class.
    pub(super) service: u8,
    /// IPv4: identification.
    pub(super) id: u16,
    /// IPv4: flags and fragment offset.
    pub(super) fragment: u16,
    /// IPv4: options.
    pub(super) options: Vec<u8>,
    /// IPv4: by how much the checksum is wrong.
    pub(super) checksum_off: u16,
    /// IPv6: flow label.
    pub(super) label: u32,
}

impl Header {
    /// One of a packet with 64 hops to live, of protocol 0, and with nothing else in it.
    pub(super) fn new(from: IpAddr, to: IpAddr) -> Self {
        Self {
            from,
            to,
            ttl: 64,
            protocol: 0,
            service: 0,
            id: 0,
            fragment: 0,
            options: Vec::new(),
            checksum_off: 0,
            label: 0,
        }
    }

    /// The packet: the header in front of what it carries.
    ///
    /// # Panics
    /// When the addresses are of two families, or the packet is too long.
    pub(super) fn before(&self, carried: &[u8]) -> Vec<u8> {
        let header = match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                self.ipv4(&[from.octets(), to.octets()].concat(), carried.len())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                self.ipv6(&[from.octets(), to.octets()].concat(), carried.len())
            }
            _ => panic!("addresses of two families: {} and {}", self.from, self.to),
        };
        [&header, carried].concat()
    }

    fn ipv4(&self, addresses: &[u8], carried: usize) -> Vec<u8> {
        let header_bytes = 20 + self.options.len();
        let total = u16::try_from(header_bytes + carried).expect("a packet's length fits 16 bits");
        let mut header = vec![0x40 | (header_bytes / 4) as u8, self.service];
        header.extend([total, self.id, self.fragment].map(u16::to_be_bytes).concat());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(addresses);
        header.extend(&self.options);
        let checksum = plus(!sum(&header), self.checksum_off);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn ipv6(&self, addresses: &[u8], carried: usize) -> Vec<u8> {
        let length = u16::try_from(carried).expect("a packet's length fits 16 bits");
        let first = 6 << 28 | u32::from(self.service) << 20 | self.label;
        let mut header = first.to_be_bytes().to_vec();
        header.extend(length.to_be_bytes());
        header.extend([self.protocol, self.ttl]);
        header.extend(addresses);
        header
    }
}

/// What a checksum covers besides the message: addresses, length and protocol (RFC 768, RFC 8200 section 8.1).
pub(super) fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    [&octets(from)[..], &octets(to), &(length as u32).to_be_bytes(), &[0, 0, 0, protocol]].concat()
}
