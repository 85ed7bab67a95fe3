//! The settings that are one word out of a few.
//!
//! Each is an enum whose words stand beside its variants, once: reading, display, JSON and the list of words in an
//! error message all come from there. The first variant of each is its default.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A setting that takes one word out of a closed set.
pub trait Choice: Copy + 'static {
    /// Every word with its meaning, in the order in which messages list them.
    const ALL: &'static [(&'static str, Self)];
}

macro_rules! choices {
    ($(
        $(#[$about:meta])*
        $name:ident { $( $(#[$means:meta])* $word:literal => $variant:ident, )+ }
    )+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $( $(#[$means])* #[serde(rename = $word)] $variant, )+ }

        impl Choice for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0].1
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word,)+ })
            }
        }
    )+};
}

choices! {
    /// Where in the kernel the program runs. What is asked for is attached or refused, never something else.
    XdpMode {
        /// In the driver, before the kernel allocates a packet buffer.
        "native" => Native,
        /// In the stack, on any interface, and slower.
        "generic" => Generic,
    }

    /// What carries SIP to a VIP.
    Transport {
        /// One message a datagram.
        "udp" => Udp,
    }

    /// How a packet gets from the VIP to its backend.
    Forward {
        /// Destination address and port are rewritten; what comes back leaves as the VIP.
        "nat" => Nat,
        /// Only the MAC addresses are rewritten; the backend answers as the VIP by itself.
        "dsr" => Dsr,
        /// The packet is wrapped in another one addressed to the backend.
        "ipip" => Ipip,
    }

    /// What becomes of a packet on a VIP's port that is no message.
    KeepAlive {
        /// It is dropped and counted.
        "drop" => Drop,
        /// It goes to a backend chosen by the source's address and port, which may answer it.
        "forward" => Forward,
    }

    /// Which part of a message is the key, for messages whose key isn't settled by a rule of their own.
    KeyRule {
        /// The user of the Request-URI.
        "user" => User,
        /// User and host of the Request-URI.
        "aor" => Aor,
        /// The user of the From URI.
        "from" => From,
        /// The Call-ID.
        "call-id" => CallId,
        /// The address and port that the packet came from.
        "source" => Source,
    }

    /// What happens to the users of a group when all of its members are down.
    OnGroupDown {
        /// Each goes to its next choice among the other groups until its own is back.
        "remap" => Remap,
        /// Their messages are dropped: their data is nowhere else.
        "drop" => Drop,
    }

    /// What makes a group of the targets of SRV records.
    GroupBy {
        /// Each target of the lowest priority number is a group, with its weight.
        "target" => Target,
        /// Each name is a group: its targets are primary and standbys, by priority.
        "name" => Name,
    }

    /// When users go home to a group that has recovered.
    Failback {
        /// By itself, after the pool's hold-down.
        "auto" => Auto,
        /// When the operator says so.
        "manual" => Manual,
    }
}
