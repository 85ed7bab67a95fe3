//! What is remembered of a datagram's first fragment, for those that follow (RFC 791, RFC 8200 section 4.5).

use super::Address;
use crate::checksum::Sum;

/// Key of the map `FRAGMENTS`: what all fragments of a datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FragmentKey {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Identification, in network byte order: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// IP protocol number.
    pub protocol: u32,
}

/// Value of the map `FRAGMENTS`: where the first one went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Fragment {
    /// When the first one came, in nanoseconds since the machine started.
    pub seen_ns: u64,
    /// The address that is written.
    pub address: Address,
    /// Sum of the address that is replaced.
    pub removed: Sum,
    /// Sum of the one that replaces it.
    pub added: Sum,
    /// Id of the backend that it went to, or came from.
    pub backend: u32,
    /// Number of the VIP.
    pub vip: u32,
    /// 1 for the way back, where the source is what is replaced.
    pub is_reply: u32,
    /// Padding.
    pub pad: u32,
}
