//! Why a packet was forwarded, dropped or passed: one enum for all three, from one table.
//!
//! Every way out of the datapath has a reason, and every reason is counted. The numbers are part of the pinned maps'
//! layout: they only ever grow, and a reason that is no longer given keeps its number (42 and 43 were fragments and IPv6,
//! before they were handled).

/// What is done with a packet. The numbers of reasons fall into one range for each: pass, forward, drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Rewritten and sent on.
    Forward,
    /// Discarded.
    Drop,
    /// Left to the kernel's network stack, untouched.
    Pass,
}

impl Verdict {
    /// The verdict that goes with a reason's number.
    #[inline(always)]
    pub const fn of(number: u8) -> Self {
        let number = number & (RANGES - 1);
        if number < FIRST_FORWARD {
            Self::Pass
        } else if number < FIRST_DROP {
            Self::Forward
        } else {
            Self::Drop
        }
    }

    /// The name shown to people and machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Drop => "drop",
            Self::Pass => "pass",
        }
    }
}

/// Lowest number of a reason to forward; below are those to pass.
const FIRST_FORWARD: u8 = 16;
/// Lowest number of a reason to drop.
const FIRST_DROP: u8 = 32;
/// Behind these the ranges begin again.
const RANGES: u8 = 64;

macro_rules! reasons {
    ($($number:literal $variant:ident $verdict:ident $name:literal $text:literal,)*) => {
        /// The reason for a verdict.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $text] $variant = $number,)*
        }

        impl Reason {
            /// Every reason, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name shown to people and machines, and the metric's label.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence for people.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What happens to a packet with this reason.
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$variant => Verdict::$verdict,)* }
            }

            /// The reason with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    0 Foreign Pass "foreign" "Neither to a VIP nor from a backend's SIP socket.",
    1 NotUdp Pass "not-udp" "IP, but not UDP: TCP and TLS to a VIP are among these.",
    2 NotIp Pass "not-ip" "Not IP, or behind more than two VLAN tags: ARP is among these.",
    3 Malformed Pass "malformed" "Cut short or contradictory before the UDP ports; the stack discards it.",
    4 LaterFragment Pass "later-fragment" "A later fragment of what was not for a VIP, nor from a backend's SIP socket.",
    5 FromBackendToNode Pass "backend-to-node" "From a backend to the node itself: an answer to a health check.",
    6 FromBackendToPeer Pass "backend-to-peer" "From a backend to a peer node: an answer to the peer's health check.",
    7 FromBackendToBackend Pass "backend-to-backend" "From one backend to another.",
    8 Extensions Pass "extensions" "IPv6 with more extension headers than are read.",

    16 Forwarded Forward "forwarded" "By the key that the message's rule names.",
    17 FallbackTo Forward "fallback-to" "No user in the deciding URI: by the user of To.",
    18 FallbackCallId Forward "fallback-call-id" "No user in the deciding URI nor in To: by Call-ID.",
    19 FallbackSource Forward "fallback-source" "Neither user nor Call-ID: by source address and port.",
    20 ResponseUnnamed Forward "response-unnamed" "A response to the VIP, by the user of To.",
    21 Replied Forward "replied" "From a backend's SIP socket: left as its VIP.",
    22 Named Forward "named" "To the backend that Route, Via, Request-URI or port names.",
    23 NamedFailedOver Forward "named-failed-over" "The backend that is named is down: to the one that serves its group.",
    24 NamedByKey Forward "named-by-key" "A request that names a backend whose whole group is down: by key.",
    25 DialogUnnamed Forward "dialog-unnamed" "A request within a dialog that names no backend: by key.",
    26 FragmentFollowed Forward "fragment-followed" "A later fragment to a VIP: the way of its first.",
    27 FragmentReplied Forward "fragment-replied" "A later fragment from a backend: left as the VIP, like its first.",
    28 IcmpForwarded Forward "icmp-forwarded" "An ICMP error about what a backend sent as the VIP: to that backend.",
    29 CrlfForwarded Forward "crlf-forwarded" "One line end or two, by source.",
    30 NulForwarded Forward "nul-forwarded" "NULs, by source.",
    31 StunForwarded Forward "stun-forwarded" "A STUN binding request, by source.",

    32 Empty Drop "empty" "A datagram without payload.",
    33 KeepAlive Drop "keep-alive" "One line end or two (RFC 5626 section 3.5.1).",
    34 Stun Drop "stun" "A STUN message (RFC 5389) on the SIP port.",
    35 Runt Drop "runt" "Too short to be SIP.",
    36 NotSip Drop "not-sip" "No SIP start line.",
    37 MethodTooLong Drop "method-too-long" "The method is longer than the limit.",
    38 RequestUriUnreadable Drop "request-uri-unreadable" "The Request-URI is empty, or has no scheme.",
    39 ToMissing Drop "to-missing" "A REGISTER without a To header.",
    40 ToUnreadable Drop "to-unreadable" "A REGISTER whose To header can't be read.",
    41 HeaderLimit Drop "header-limit" "A REGISTER whose To header does not begin within the bytes that are read.",
    44 Truncated Drop "truncated" "To a VIP or from a backend's socket, and shorter than its headers say.",
    45 TtlExpired Drop "ttl-expired" "The time to live is used up.",
    46 GroupDown Drop "group-down" "The owner's group has no backend that is up.",
    47 NoTable Drop "no-table" "The VIP's pool has no lookup table: no backend was ever configured.",
    48 NoHeadroom Drop "no-headroom" "The driver left no room for the VLAN tags of the way out.",
    49 NoRoute Drop "no-route" "The routing table forbids the way: blackhole, unreachable or prohibit.",
    50 Nul Drop "nul" "NULs, or NULs and line ends.",
    51 NamedGroupDown Drop "named-group-down" "A response that names a backend whose whole group is down.",
    52 FragmentOrphan Drop "fragment-orphan" "A later fragment to a VIP whose first one was not seen, or not sent on.",
    53 FragmentTiny Drop "fragment-tiny" "A first fragment to a VIP that ends before its UDP header does.",
    54 TooBig Drop "too-big" "Too long for the tunnel: the sender was told by ICMP.",
    55 TooBigUntold Drop "too-big-untold" "Too long for the tunnel, and the sender not told: too many were just now, or it may not be.",
    56 IcmpUnknown Drop "icmp-unknown" "An ICMP error about what left as the VIP, which does not say which backend sent it.",
    57 BackendUnreachable Drop "backend-unreachable" "A backend's host says that nobody listens on its SIP port.",
    58 NoNextHop Drop "no-next-hop" "The MAC address of a backend is not known, and the packet can't go without it.",

    80 JunkForwarded Forward "junk-forwarded" "What is no SIP, by source.",
}

/// One more than the highest number: the length of arrays that are indexed by a reason.
pub const REASON_NUMBERS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_fit() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            let number = *reason as u8;
            assert!((number as usize) < REASON_NUMBERS);
            assert_eq!(Reason::from_number(number), Some(*reason));
            assert_eq!(Verdict::of(number), reason.verdict());
            assert!(
                Reason::ALL[..i].iter().all(|other| other.name() != reason.name() && (*other as u8) < number)
            );
            assert!(reason.text().ends_with('.'), "{}", reason.name());
        }
    }

    /// A kernel program and a pinned map outlive the binary that wrote them: numbers must not change.
    #[test]
    fn numbers_never_change() {
        assert_eq!(Reason::Foreign as u8, 0);
        assert_eq!(Reason::Forwarded as u8, 16);
        assert_eq!(Reason::Replied as u8, 21);
        assert_eq!(Reason::Empty as u8, 32);
        assert_eq!(Reason::NoRoute as u8, 49);
        assert_eq!(Reason::NoNextHop as u8, 58);
        assert_eq!(Reason::JunkForwarded as u8, 80);
    }

    /// The documentation has a row for each reason, with these very words.
    #[test]
    fn every_reason_is_documented() {
        let page = include_str!("../../docs/sip-behaviour.md");
        for reason in Reason::ALL {
            let row = format!("| `{}` | {} | {} |", reason.name(), reason.verdict().name(), reason.text());
            assert!(page.lines().any(|line| line == row), "docs/sip-behaviour.md lacks this row:\n{row}");
        }
    }
}
