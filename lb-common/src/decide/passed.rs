//! Which rules did not decide about a message, and why: for `explain`, as bits, since the kernel says it too.

/// A set of reasons why rules were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassedOver(pub u32);

macro_rules! passed_over {
    ($($bit:literal $name:ident $text:literal,)*) => {
        impl PassedOver {
            /// None: the first rule decided.
            pub const NOTHING: Self = Self(0);
            $(#[doc = $text] pub const $name: Self = Self(1 << $bit);)*

            /// Every reason with its text, in the order of the rules.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text),)*];
        }
    };
}

passed_over! {
    0 NOT_OURS "The Request-URI's host is none of the VIP's domains.",
    1 GR "The Request-URI is of one of the VIP's domains, but has gr: it names a device.",
    2 OURS_WITHOUT_USER "The Request-URI is of one of the VIP's domains, but has no user.",
    3 CUT "The headers go on behind what is read: a Route may lie there.",
    4 NO_ROUTE "There is no Route.",
    5 ROUTE_OURS "Every Route names the VIP itself.",
    6 ROUTE_UNKNOWN "The topmost Route names no backend.",
    7 URI_UNKNOWN "The Request-URI's host names no backend.",
    8 NO_VIA "There is no Via.",
    9 VIA_UNKNOWN "The topmost Via names no backend.",
    10 DOWN "The backend that is named is down, and so is all of its group.",
    11 NO_USER "The deciding URI has no user.",
    12 NO_TO_USER "To has no user.",
    13 NO_CALL_ID "There is no Call-ID.",
}

impl PassedOver {
    /// Adds the reasons of another set.
    #[inline(always)]
    pub const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The texts of this set, in the order of the rules.
    pub fn texts(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(which, _)| self.0 & which.0 != 0).map(|(_, text)| *text)
    }
}
