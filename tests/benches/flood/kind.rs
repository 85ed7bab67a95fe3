//! What comes beside the calls.

use siplb_load::Kind;

/// A kind of flood, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flood {
    /// Nothing: the baseline.
    None,
    /// As fast as the generator can.
    Highest(Kind),
    /// So much a second.
    Rate(Kind, f64),
}

/// A rate for what is dropped: more than links to SIP servers carry, and less than siplb can take.
const DROPPED: f64 = 200_000.0;
/// Rates for what is forwarded: what the servers take with ease, and what is too much for them.
const FORWARDED: [f64; 2] = [1_000.0, 10_000.0];
/// Users that REGISTERs are for: as many as the servers' memory holds. For the others there are as many as fit in a name.
const REGISTERED: u32 = 20_000;
const USERS: u32 = 10_000_000;

impl Flood {
    /// All of them; what leaves something behind in the servers comes last.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::None];
        for kind in [Kind::Junk, Kind::Fragment] {
            all.extend([Self::Rate(kind, DROPPED), Self::Highest(kind)]);
        }
        for kind in [Kind::Scan, Kind::Register] {
            all.extend(FORWARDED.map(|rate| Self::Rate(kind, rate)));
            all.push(Self::Highest(kind));
        }
        all
    }

    /// What messages there are.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Self::None => None,
            Self::Highest(kind) | Self::Rate(kind, _) => Some(kind),
        }
    }

    /// How many users they are for.
    pub(crate) fn users(self) -> u32 {
        if self.kind() == Some(Kind::Register) { REGISTERED } else { USERS }
    }

    /// The reason that siplb counts them under, and whether that is a drop.
    pub(crate) fn reason(self) -> Option<(&'static str, bool)> {
        match self.kind()? {
            Kind::Junk => Some(("not-sip", true)),
            Kind::Fragment => Some(("fragment-orphan", true)),
            _ => Some(("forwarded", false)),
        }
    }

    /// The name shown to people.
    pub(crate) fn name(self) -> String {
        let what = |kind| match kind {
            Kind::Junk => "random bytes",
            Kind::Fragment => "orphan fragments",
            Kind::Scan => "scanners' OPTIONS",
            _ => "REGISTERs of random users",
        };
        match self {
            Self::None => "nothing".to_owned(),
            Self::Highest(kind) => format!("{}, as fast as can be", what(kind)),
            Self::Rate(kind, rate) => format!("{}, {:.0},000/s", what(kind), rate / 1e3),
        }
    }
}
