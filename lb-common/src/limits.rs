//! Every limit of the datapath, by name. The kernel and the host obey the same ones; docs/sip-behaviour.md says what
//! happens beyond each, and `tests` has a case at limit - 1, limit and limit + 1.

/// Shortest payload, in bytes, that is read as SIP: no start line and empty line fit in less.
pub const MESSAGE_MIN: u64 = 16;

/// Bytes of a payload that are read. What lies behind is not seen; a header that would have decided and was not found
/// in time is [`Reason::HeaderLimit`](crate::reason::Reason::HeaderLimit), not a guess.
pub const SCAN_LIMIT: u64 = 3_072;

/// Longest method, in bytes.
pub const METHOD_LIMIT: u64 = 63;

/// Line ends and NULs before the start line that are skipped, in bytes (RFC 3261 section 7.5 asks for it).
pub const LEADING_LIMIT: u64 = 7;

/// Bytes of a canonical user, host or Call-ID that count. Longer ones count by their first bytes.
pub const KEY_LIMIT: u64 = 64;

/// Host parts that one VIP can call its own. They are compared inside the VIP's map value.
pub const DOMAINS_LIMIT: usize = 16;

/// VLAN tags in front of the IP header: one, or two as in QinQ (IEEE 802.1ad).
pub const VLAN_LIMIT: usize = 2;

/// Routes that name the VIP itself and are skipped before the one that decides.
pub const OWN_ROUTES_LIMIT: u64 = 4;

/// IPv6 extension headers that are read before the UDP header.
pub const EXTENSIONS_LIMIT: u64 = 6;

/// How long a first fragment is remembered, in nanoseconds: as long as Linux waits for the rest of an IPv4 datagram
/// (net.ipv4.ipfrag_time). Identifications are used again.
pub const FRAGMENT_AGE_NS: u64 = 30_000_000_000;
