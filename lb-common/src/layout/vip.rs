//! What a packet to a VIP is judged by: rules and names.

use super::{ProbeKey, Sums};
use crate::limits::DOMAINS_LIMIT;

/// IP protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// Which bytes of a request that is for nobody of ours decide (`key` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// User of the Request-URI.
    User = 0,
    /// User and host of the Request-URI, the address-of-record.
    Aor = 1,
    /// User of From.
    From = 2,
    /// Call-ID.
    CallId = 3,
    /// Source address and port.
    Source = 4,
}

/// Which messages that are no SIP are sent on, by their source: bits of [`Rules::keep_alives`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlives;

impl KeepAlives {
    /// One line end.
    pub const CRLF: u8 = 1;
    /// Two line ends.
    pub const DOUBLE_CRLF: u8 = 2;
    /// NULs.
    pub const NUL: u8 = 4;
    /// STUN binding requests.
    pub const STUN: u8 = 8;
    /// Everything else.
    pub const JUNK: u8 = 16;
}

/// Words of the domain that is compared where it stands; a longer one is compared by its hash like all others.
pub const FIRST_DOMAIN_WORDS: usize = 3;

/// What a VIP's messages are judged by: the part of a VIP that kernel and host share as [`crate::decide`]'s input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rules {
    /// Seed of the key hash.
    pub seed: u64,
    /// The backend whose own this VIP's port is.
    pub own: Named,
    /// A [`KeyKind`], as a number.
    pub key: u8,
    /// Numbers of so many digits or more count by so many last ones; 0 is off.
    pub number_tail: u8,
    /// How many of `domains` are used.
    pub domain_count: u8,
    /// Bits of [`KeepAlives`].
    pub keep_alives: u8,
    /// Padding.
    pub pad: [u8; 4],
    /// Text of the first domain, see [`crate::decide::first_domain`].
    pub first: [u64; FIRST_DOMAIN_WORDS],
    /// Which bits of it count.
    pub first_mask: [u64; FIRST_DOMAIN_WORDS],
    /// Key hashes of the host parts that are ours.
    pub domains: [u64; DOMAINS_LIMIT],
}

/// Value of the map `VIPS`. User space has resolved the VIP's pool into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Vip {
    /// How messages are judged.
    pub rules: Rules,
    /// Number of the VIP, for its counters and names; never 0.
    pub id: u32,
    /// Entry of `TABLES` within the half; 0 is none.
    pub table: u32,
    /// The VIP's part of the checksums.
    pub sums: Sums,
    /// Id of the backend whose own port this is, whoever serves in its place; 0 is none.
    pub own: u32,
    /// Number of the change of its pool that is in progress; 0 is none.
    pub change: u32,
    /// Entry of `TABLES` that is live in the other state of that change, before or after it; 0 is none.
    pub other_table: u32,
    /// 1 when the change has switched: `table` is that of after it, and `other_table` that of before it. 0 while transactions
    /// are recorded, and it is the other way round.
    pub is_switched: u32,
}

/// Key of the probed array `NAMES`: a host and a port as messages write them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct NameKey {
    /// [`crate::decide::name_hash`] of the host.
    pub host: u64,
    /// The port; [`crate::decide::NO_PORT`] where none is written, [`crate::decide::ANY_PORT`] for whatever is.
    pub port: u32,
    /// Number of the VIP that knows the name.
    pub vip: u32,
}

impl ProbeKey for NameKey {
    #[inline(always)]
    fn words(&self) -> [u64; 3] {
        [self.host, self.port as u64 | (self.vip as u64) << 32, 0]
    }
}

/// Who is named: value in `NAMES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Named {
    /// Id of the backend that serves; 0 is none.
    pub backend: u32,
    /// A [`NamedKind`], as a number.
    pub kind: u32,
}

impl Named {
    /// Nobody.
    pub const NOBODY: Self = Self { backend: 0, kind: NamedKind::Nobody as u32 };
}

/// What a name stands for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum NamedKind {
    /// Nothing that is known.
    Nobody = 0,
    /// The backend itself.
    Itself = 1,
    /// The one that serves its group in its place.
    Stand = 2,
    /// A backend whose whole group is down.
    Down = 3,
    /// The VIP.
    Vip = 4,
}

impl NamedKind {
    /// The kind of a number.
    #[inline(always)]
    pub const fn of(number: u64) -> Self {
        match number {
            1 => Self::Itself,
            2 => Self::Stand,
            3 => Self::Down,
            4 => Self::Vip,
            _ => Self::Nobody,
        }
    }
}
