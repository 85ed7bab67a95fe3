//! The bytes of every map, declared once for kernel and user space.
//!
//! Everything that a packet reads lies in two *halves*: one is live, the other is rewritten and then made live by one
//! store to [`Meta::generation`]. A packet reads the generation once and takes all its look-ups from that half
//! ([`half`]), so that it sees one whole state. The maps hold both halves one behind the other ([`index`]); what is looked up
//! by a key stands in a probed array.
//!
//! Addresses and ports lie as they do in the packet, in network byte order. IPv4 addresses are IPv4-mapped IPv6 ones
//! (RFC 4291 section 2.5.5.2). Padding is named: it is part of a key. Index and id 0 mean "none" everywhere, since a
//! zeroed array entry would otherwise look configured.

mod change;
mod counters;
mod fragments;
mod probed;
mod trace;
mod vip;
mod way;

pub use crate::address::{Address, Port, Sums};
pub use change::{ChangeCounter, Transaction, Treatment};
pub use counters::{BackendCounter, Counter, Event, EventKind, Unnamed, UnnamedKey};
pub use fragments::{Fragment, FragmentKey};
pub use probed::{PROBES, ProbeKey, Probed, place, place_hash};
pub use trace::{KeySource, Trace};
pub use vip::{FIRST_DOMAIN_WORDS, KeepAlives, KeyKind, NameKey, Named, NamedKind, PROTOCOL_UDP, Rules, Vip};
pub use way::{
    Backend, Endpoint, EndpointKey, EndpointKind, Group, Host, Mode, NextHop, Ports, Socket, Table, Vlans,
};

use crate::limits::DOMAINS_LIMIT;
use core::mem::size_of;

/// Number of this layout. Any change to a type in this module raises it; pins of another number are not adopted.
pub const ABI: u32 = 4;

/// Bit of [`Meta::generation`] that tells the half: generations alternate between the two.
#[inline(always)]
pub const fn half(generation: u32) -> u32 {
    generation & 1
}

/// Index of entry `id` of a half in an array map whose halves hold `limit` entries each.
#[inline(always)]
pub const fn index(half: u32, limit: u32, id: u32) -> u32 {
    half * limit + id
}

/// The one value of the map `META`, which user space also has mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Meta {
    /// Number of the live state; [`half`] tells where it lies. 0: nothing was published yet.
    pub generation: u32,
    /// [`ABI`] of whoever made the maps.
    pub abi: u32,
    /// Entries in one half of `TABLES`.
    pub tables: u32,
    /// Entries in one half of `GROUPS`.
    pub groups: u32,
    /// Entries in one half of `BACKENDS`.
    pub backends: u32,
    /// Entries in one half of `NEXT_HOPS`.
    pub next_hops: u32,
    /// VIP numbers that have counters.
    pub vips: u32,
    /// How many names there may be, for any port or for one.
    pub names: u32,
    /// Entries of `FRAGMENTS`.
    pub fragments: u32,
    /// Entries of `TRANSACTIONS`.
    pub transactions: u32,
    /// Fingerprint of the hash key: a node with another key would send users elsewhere.
    pub fingerprint: u32,
    /// Padding.
    pub pad: u32,
    /// Always 0, which the verifier can't know: see [`crate::sip::Message::zero`].
    pub zero: u64,
    /// When the daemon said last that it lives: nanoseconds of the clock since boot (`CLOCK_BOOTTIME`). 0: never yet.
    pub heartbeat_ns: u64,
    /// Packets that were forwarded until then.
    pub heartbeat_packets: u64,
    /// For how many nanoseconds the datapath was alone, all times before that together.
    pub alone_ns: u64,
    /// Packets that were forwarded in those times.
    pub alone_packets: u64,
    /// Places in one half of `NAMES`, a power of two.
    pub name_places: u32,
    /// Places in one half of `ENDPOINTS`, a power of two.
    pub endpoint_places: u32,
}

const _: () = {
    assert!(size_of::<Address>() == 16);
    assert!(size_of::<EndpointKey>() == 24);
    assert!(size_of::<Probed<EndpointKey, Endpoint>>() == 32);
    assert!(size_of::<Probed<NameKey, Named>>() == 24);
    assert!(size_of::<Rules>() == 24 + 16 * FIRST_DOMAIN_WORDS + 8 * DOMAINS_LIMIT);
    assert!(size_of::<Vip>() == size_of::<Rules>() + 32);
    assert!(size_of::<NameKey>() == 16);
    assert!(size_of::<Named>() == 8);
    assert!(size_of::<FragmentKey>() == 40);
    assert!(size_of::<Fragment>() == 48);
    assert!(size_of::<UnnamedKey>() == 16);
    assert!(size_of::<Unnamed>() == 96);
    assert!(size_of::<Event>() == 8);
    assert!(size_of::<Table>() == 131_080);
    assert!(size_of::<Group>() == 8);
    assert!(size_of::<Backend>() == 56);
    assert!(size_of::<Vlans>() == 12);
    assert!(size_of::<NextHop>() == 32);
    assert!(size_of::<Socket>() == 48);
    assert!(size_of::<Ports>() == 16_384);
    assert!(size_of::<Meta>() == 96);
    assert!(size_of::<BackendCounter>() == 32);
    assert!(size_of::<Transaction>() == 8);
    assert!(size_of::<ChangeCounter>() == 40);
    assert!(size_of::<Trace>() == 56);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmap_tells_ports_apart() {
        let mut ports = Ports::EMPTY;
        Ports::set(&mut ports.vips, Port::new(5060));
        assert!(Ports::has(&ports.vips, Port::new(5060)));
        assert!((0..=u16::MAX).filter(|&p| Ports::has(&ports.vips, Port(p))).count() == 1);
        assert!(!Ports::has(&ports.backends, Port::new(5060)));
    }
}
