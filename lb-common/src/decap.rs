//! What `siplb decap` and its program agree on: the maps, and what becomes of a packet.
//!
//! The program runs on a backend, apart from the load balancer, so that its maps have nothing to do with
//! [`crate::layout`] and its number.

use crate::address::Address;
use core::mem::size_of;

/// Number of this layout, in the path of the pins. Any change to a type in this module raises it.
pub const ABI: u32 = 1;

/// IP protocol number of IPv4 in IP (RFC 2003).
pub const PROTOCOL_IPV4: u8 = 4;

/// IP protocol number of IPv6 in IP (RFC 2473, RFC 4213).
pub const PROTOCOL_IPV6: u8 = 41;

/// Addresses that the map `ADDRESSES` has room for.
pub const ADDRESSES_LIMIT: u32 = 1_024;

/// Key of the map `ADDRESSES`: an address that a header may have as its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct AddressKey {
    /// IP address.
    pub address: Address,
    /// Which header: a [`Header`], as a number.
    pub header: u32,
}

impl AddressKey {
    /// Of a header's destination.
    #[inline(always)]
    pub const fn new(header: Header, address: Address) -> Self {
        Self { address, header: header as u32 }
    }
}

/// One of the two IP headers of an encapsulated packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Header {
    /// The one that is taken off; its destination is an address of the machine.
    Outer = 1,
    /// The one that comes out; its destination is a VIP.
    Inner = 2,
}

/// What becomes of a packet. All but the first go on to the network stack as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Outcome {
    /// The outer header was taken off.
    Decapsulated = 0,
    /// Not encapsulated, a fragment, or for another machine.
    Passed = 1,
    /// Encapsulated and for this machine, but the inner destination is none that was allowed.
    Refused = 2,
    /// It ends too early, or its headers contradict each other.
    Malformed = 3,
}

impl Outcome {
    /// Every outcome, by number.
    pub const ALL: [Self; 4] = [Self::Decapsulated, Self::Passed, Self::Refused, Self::Malformed];

    /// The name shown to people and machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decapsulated => "decapsulated",
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
        }
    }
}

const _: () = assert!(size_of::<AddressKey>() == 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_stand_at_their_numbers() {
        for (number, outcome) in (0..).zip(Outcome::ALL) {
            assert_eq!(outcome as u32, number);
        }
    }
}
