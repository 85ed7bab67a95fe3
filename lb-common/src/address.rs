//! Addresses and ports as they lie in packets and maps, and their part of the checksums.

use crate::checksum::Sum;
use core::net::IpAddr;

/// An IP address in network byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct Address {
    /// Four 32-bit words, each with its bytes as they lie in the packet.
    pub words: [u32; 4],
}

impl Address {
    /// The IPv4-mapped form of an IPv4 address whose four bytes were read from a packet as one word.
    #[inline(always)]
    pub const fn v4(word: u32) -> Self {
        Self { words: [0, 0, 0xffff_u32.to_be(), word] }
    }

    /// The IPv4 word, if this is an IPv4-mapped address.
    #[inline(always)]
    pub const fn as_v4(&self) -> Option<u32> {
        if self.words[0] == 0 && self.words[1] == 0 && self.words[2] == 0xffff_u32.to_be() {
            Some(self.words[3])
        } else {
            None
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(u32::from_ne_bytes(v4.octets())),
            IpAddr::V6(v6) => {
                let o = v6.octets();
                let word = |i: usize| u32::from_ne_bytes([o[i], o[i + 1], o[i + 2], o[i + 3]]);
                Self { words: [word(0), word(4), word(8), word(12)] }
            }
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        let mut octets = [0; 16];
        for (chunk, word) in octets.chunks_exact_mut(4).zip(address.words) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        IpAddr::from(octets).to_canonical()
    }
}

/// A port in network byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Port(pub u16);

impl Port {
    /// From the number that people write.
    pub const fn new(number: u16) -> Self {
        Self(number.to_be())
    }

    /// The number that people write.
    pub const fn number(self) -> u16 {
        u16::from_be(self.0)
    }
}

/// The ones' complement sum of an IPv4 address and of a port, as they enter the IPv4 and UDP checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Sums {
    /// Of the address alone: what the IPv4 header checksum covers.
    pub address: Sum,
    /// Of address and port: what the UDP checksum covers.
    pub socket: Sum,
}

impl Sums {
    /// Of a socket address.
    pub const fn new(address: &Address, port: Port) -> Self {
        let mut sum = 0;
        let mut i = if address.as_v4().is_some() { 3 } else { 0 };
        while i < 4 {
            sum += (address.words[i] & 0xffff) + (address.words[i] >> 16);
            i += 1;
        }
        Self { address: sum, socket: sum + port.0 as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_there_and_back() {
        for text in ["192.0.2.10", "2001:db8::1", "::1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpAddr::from(Address::from(ip)), ip);
        }
        assert!(Address::from("192.0.2.10".parse::<IpAddr>().unwrap()).as_v4().is_some());
        assert!(Address::from("2001:db8::1".parse::<IpAddr>().unwrap()).as_v4().is_none());
    }
}
