//! Stage four: where the headers that can decide begin (RFC 3261 section 7.3).
//!
//! One pass over the lines. Each line starts a window, so that a name is compared where it stands, as a word, and lines
//! shorter than a window are no special case. Names come in any case and in compact form; blanks and tabs before the colon
//! are legal, continued lines (folding) begin with one and so match no name; lines may end in a bare LF.

use super::{Message, user::blanks};
use crate::swar::{below, equal, first_of_two};

/// A set of headers, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted(pub u64);

impl Wanted {
    /// To.
    pub const TO: Self = Self(1);
    /// From.
    pub const FROM: Self = Self(2);
    /// Call-ID.
    pub const CALL_ID: Self = Self(4);
    /// Route.
    pub const ROUTE: Self = Self(8);
    /// Via.
    pub const VIA: Self = Self(16);
    /// CSeq. No pass looks for both this and Via, which have one place in [`Headers`].
    pub const CSEQ: Self = Self(32);
    /// Those that tell a transaction from others.
    pub const TRANSACTION: Self = Self::CALL_ID.and(Self::CSEQ);
    /// Those that keys are taken from.
    pub const KEYS: Self = Self::TO.and(Self::FROM).and(Self::CALL_ID);
    /// Those that decide about a request.
    pub const DECIDING: Self = Self::KEYS.and(Self::ROUTE);

    /// Both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where headers were found: the offset behind the name of the first of each kind, in twelve bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers(pub u64);

const OFFSET_BITS: u64 = 12;
const WHOLE: u64 = 1 << 63;
const _: () = assert!(crate::limits::SCAN_LIMIT < 1 << OFFSET_BITS);

impl Headers {
    #[inline(always)]
    const fn at(self, place: u64) -> u64 {
        self.0 >> (place * OFFSET_BITS) & ((1 << OFFSET_BITS) - 1)
    }

    /// Behind the name of the first To; 0 is none.
    #[inline(always)]
    pub const fn to(self) -> u64 {
        self.at(0)
    }

    /// Behind the name of the first From; 0 is none.
    #[inline(always)]
    pub const fn from(self) -> u64 {
        self.at(1)
    }

    /// Behind the name of the first Call-ID; 0 is none.
    #[inline(always)]
    pub const fn call_id(self) -> u64 {
        self.at(2)
    }

    /// Behind the name of the first Route; 0 is none.
    #[inline(always)]
    pub const fn route(self) -> u64 {
        self.at(3)
    }

    /// Behind the name of the first Via; 0 is none.
    #[inline(always)]
    pub const fn via(self) -> u64 {
        self.at(4)
    }

    /// Behind the name of the first CSeq, where that was looked for and not Via; 0 is none.
    #[inline(always)]
    pub const fn cseq(self) -> u64 {
        self.at(4)
    }

    /// Was the empty line seen that ends the headers?
    #[inline(always)]
    pub const fn is_whole(self) -> bool {
        self.0 & WHOLE != 0
    }
}

const LINE_FEED: u64 = b'\n' as u64;
const CR_LF: u64 = u16::from_le_bytes(*b"\r\n") as u64;

/// Finds the headers that are wanted, from an offset within a line; ends when all of `until` are found, or at the empty
/// line.
#[inline(always)]
pub fn scan<M: Message>(message: M, from: u64, wanted: Wanted, until: Wanted) -> Headers {
    let mut found = message.zero();
    let mut missing = message.hide(wanted.0);
    let until = message.hide(until.0);
    let mut begins_line = message.zero();
    message.windows(
        from,
        #[inline(always)]
        |at, [low, second, third, fourth]| {
            (found, missing, begins_line) =
                (message.hide(found), message.hide(missing), message.hide(begins_line));
            if begins_line != 0 {
                if low & 0xff == LINE_FEED || low & 0xffff == CR_LF {
                    found |= WHOLE;
                    return 0;
                }
                let name = Name(message.hide(name(low).0));
                if name.which() & missing != 0 {
                    missing = message.hide(missing & !name.which());
                    found = message.hide(found | (at + name.length()) << name.shift());
                    if missing & until == 0 {
                        return 0;
                    }
                }
            }
            let (marks, more) = (equal(low, b'\n'), equal(second, b'\n'));
            begins_line = marks | more;
            if begins_line != 0 {
                return first_of_two(marks, more) + 1;
            }
            let (marks, more) = (equal(third, b'\n'), equal(fourth, b'\n'));
            begins_line = marks | more;
            16 + if begins_line == 0 { 16 } else { first_of_two(marks, more) + 1 }
        },
    );
    Headers(found)
}

/// A header name that was recognised, packed: its bit in [`Wanted`], its place in [`Headers`], its length.
#[derive(Clone, Copy)]
struct Name(u64);

impl Name {
    const NONE: Self = Self(0);

    const fn new(which: Wanted, place: u64, length: u64) -> Self {
        Self(which.0 | (place * OFFSET_BITS) << 8 | length << 16)
    }

    #[inline(always)]
    const fn which(self) -> u64 {
        self.0 & 0xff
    }

    #[inline(always)]
    const fn shift(self) -> u64 {
        self.0 >> 8 & 63
    }

    #[inline(always)]
    const fn length(self) -> u64 {
        self.0 >> 16
    }
}

/// The names, small: whole and compact (RFC 3261 section 7.3.3).
const TO: u64 = u16::from_le_bytes(*b"to") as u64;
const FROM: u64 = u32::from_le_bytes(*b"from") as u64;
const CALL_ID: u64 = u64::from_le_bytes(*b"call-id\0");
/// Makes the letters of `call-id` small and leaves its hyphen.
const CALL_ID_LETTERS: u64 = 0x20_2000_2020_2020;
const CSEQ: u64 = u32::from_le_bytes(*b"cseq") as u64;
const ROUTE: u64 = u64::from_le_bytes(*b"route\0\0\0");
const VIA: u64 = u32::from_le_bytes(*b"via\0") as u64;

/// Which of the headers the line begins with. A name counts when a colon or a blank follows.
#[inline(always)]
fn name(word: u64) -> Name {
    let small = word | 0x20_2020_2020;
    let initial = small & 0xff;
    let of = |which, place, length: u64| {
        let byte = (word >> (8 * length)) & 0xff;
        let ends = byte == b':' as u64 || byte == b' ' as u64 || byte == b'\t' as u64;
        if ends { Name::new(which, place, length) } else { Name::NONE }
    };
    if initial == b't' as u64 {
        of(Wanted::TO, 0, if small & 0xffff == TO { 2 } else { 1 })
    } else if initial == b'f' as u64 {
        of(Wanted::FROM, 1, if small & 0xffff_ffff == FROM { 4 } else { 1 })
    } else if initial == b'c' as u64 {
        if (word | CALL_ID_LETTERS) << 8 == CALL_ID << 8 {
            of(Wanted::CALL_ID, 2, 7)
        } else if small & 0xffff_ffff == CSEQ {
            of(Wanted::CSEQ, 4, 4)
        } else {
            Name::NONE
        }
    } else if initial == b'i' as u64 {
        of(Wanted::CALL_ID, 2, 1)
    } else if small & 0xff_ffff_ffff == ROUTE {
        of(Wanted::ROUTE, 3, 5)
    } else if initial == b'v' as u64 {
        of(Wanted::VIA, 4, if small & 0xff_ffff == VIA { 3 } else { 1 })
    } else {
        Name::NONE
    }
}

/// From behind a header's name to its value, over blanks, the colon and white space, folded too (HCOLON, RFC 3261
/// section 25.1). 0 when there is no colon or no value.
#[inline(always)]
pub fn value<M: Message>(message: M, at: u64) -> u64 {
    let mut colon = message.zero();
    let mut found = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |at, [low]| {
            let skipped = blanks(low);
            if skipped != 0 {
                return skipped;
            }
            let byte = low & 0xff;
            if colon == 0 {
                colon = (byte == b':' as u64) as u64;
                return colon;
            }
            let break_length = folded_break(low);
            if break_length != 0 {
                return break_length;
            }
            if byte > 0x20 {
                found = at;
            }
            0
        },
    );
    found
}

/// The length of a line end that a blank follows, which continues the line; 0 where there is none.
#[inline(always)]
pub(super) fn folded_break(word: u64) -> u64 {
    let length = if word & 0xffff == CR_LF {
        2
    } else if word & 0xff == LINE_FEED {
        1
    } else {
        return 0;
    };
    let next = (word >> (8 * length)) & 0xff;
    if next == b' ' as u64 || next == b'\t' as u64 { length } else { 0 }
}

/// The offset behind the text that begins at `at` and reaches to the next blank or line end.
#[inline(always)]
pub fn token_end<M: Message>(message: M, at: u64) -> u64 {
    let mut end = message.len();
    message.windows(
        at,
        #[inline(always)]
        |at, [low, high]| {
            let (low_marks, high_marks) = (below(low, 0x21), below(high, 0x21));
            if low_marks | high_marks == 0 {
                return 16;
            }
            end = at + first_of_two(low_marks, high_marks);
            0
        },
    );
    if end > message.len() { message.len() } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Bytes;

    const ALL: Wanted = Wanted::DECIDING.and(Wanted::VIA);

    /// The values of To, From and Call-ID, up to the next blank.
    fn values(headers: &str) -> [String; 3] {
        let text = format!("INVITE sip:a@b SIP/2.0\r\n{headers}");
        let message = Bytes::new(text.as_bytes());
        let found = message.headers(7, Wanted::KEYS, Wanted::KEYS);
        [found.to(), found.from(), found.call_id()].map(|at| {
            let value = if at == 0 { 0 } else { message.header_value(at) };
            let end = if value == 0 { 0 } else { message.token_end(value) };
            String::from_utf8_lossy(message.text(value, end)).into_owned()
        })
    }

    #[test]
    fn every_way_to_write_them() {
        for headers in [
            "To: t\r\nFrom: f\r\nCall-ID: c\r\n\r\n",
            "TO:t\r\nFROM:f\r\nCALL-ID:c\r\n\r\n",
            "t:t\r\nf:f\r\ni:c\r\n\r\n",
            "T :t\r\nF\t:f\r\nI \t : c\r\n\r\n",
            "To: t\nFrom: f\nCall-ID: c\n\n",
            "i: c\nX: y\nt: t\nf: f\n\n",
            "Subject: To: x\r\n From: y\r\nTo:\r\n  t\r\nFrom:\n\tf\nCall-ID: \r\n \r\n c\r\n\r\n",
            "Topic: x\r\nFrom-Here: x\r\nTimestamp: 1\r\nCall-IDs: x\r\nTo             : t\r\nFrom: f\r\ni: c\r\n\r\n",
            "To: t\r\nTo: second\r\nFrom: f\r\nf: second\r\nCall-ID: c\r\ni: second\r\n\r\n",
            "To: t\r\nFrom: f\r\nCall-ID: c",
        ] {
            assert_eq!(values(headers), ["t", "f", "c"], "{headers:?}");
        }
    }

    #[test]
    fn stops_at_the_empty_line() {
        for headers in ["X: y\r\n\r\nTo: t\r\nFrom: f\r\nCall-ID: c\r\n\r\n", "X: y\n\nTo: t\n"] {
            assert_eq!(values(headers), ["", "", ""], "{headers:?}");
        }
    }

    #[test]
    fn no_value() {
        assert_eq!(values("To:\r\nFrom \r\nCall-ID:   \r\n\r\n"), ["", "", ""]);
        assert_eq!(values("To\r\nt\r\nTo x: y\r\n\r\n")[0], "");
    }

    #[test]
    fn stops_when_all_is_found() {
        let text = "REGISTER sip:b SIP/2.0\r\nTo: t\r\nCall-ID: c\r\n\r\n";
        let found = Bytes::new(text.as_bytes()).headers(9, Wanted::KEYS, Wanted::TO);
        assert!(found.to() != 0 && found.call_id() == 0 && !found.is_whole());
        let found = Bytes::new(text.as_bytes()).headers(9, ALL, ALL);
        assert!(found.call_id() != 0 && found.is_whole());
        let found = Bytes::new(text.as_bytes()).headers(9, Wanted::DECIDING, Wanted::ROUTE);
        assert!(found.to() != 0 && found.call_id() != 0 && found.route() == 0 && found.is_whole());
    }

    #[test]
    fn route_and_via() {
        let find = |headers: &str| {
            let text = format!("INVITE sip:a@b SIP/2.0\r\n{headers}\r\n\r\n");
            let found = Bytes::new(text.as_bytes()).headers(7, ALL, ALL);
            (found.route() != 0, found.via() != 0)
        };
        for headers in ["Route: x", "ROUTE : x", "route\t: x", "X: y\nroute:x"] {
            assert_eq!(find(headers), (true, false), "{headers}");
        }
        for headers in ["Via: x", "v: x", "VIA : x", "V\t: x"] {
            assert_eq!(find(headers), (false, true), "{headers}");
        }
        for headers in
            ["Record-Route: x", "Routes: x", "r: x", "Vias: x", "Vi: x", " Route: x", "Service-Route: x"]
        {
            assert_eq!(find(headers), (false, false), "{headers}");
        }
    }

    #[test]
    fn cseq() {
        let find = |headers: &str| {
            let text = format!("INVITE sip:a@b SIP/2.0\r\nVia: x\r\n{headers}\r\ni: c\r\n\r\n");
            let message = Bytes::new(text.as_bytes());
            let found = message.headers(7, Wanted::TRANSACTION, Wanted::TRANSACTION);
            assert!(found.call_id() != 0, "{headers}");
            let at = if found.cseq() == 0 { 0 } else { message.header_value(found.cseq()) };
            String::from_utf8_lossy(message.text(at, message.token_end(at))).into_owned()
        };
        for headers in ["CSeq: 7 INVITE", "CSEQ : 7", "cseq\t:\r\n 7\r\n INVITE", "X: y\ncSeq:7 \nCSeq: 8"] {
            assert_eq!(find(headers), "7", "{headers}");
        }
        for headers in
            ["CSeqs: 7", "CSe: 7", "RSeq: 7", " CSeq: 7", "Subject: CSeq: 7", "Content-Length: 7", "c: 7"]
        {
            assert_eq!(find(headers), "INVITE", "{headers}");
        }
    }

    /// Lines of any length put the next name anywhere in a window.
    #[test]
    fn any_alignment() {
        for length in 0..100 {
            let filler = "y".repeat(length);
            assert_eq!(
                values(&format!("X: {filler}\r\nTo: t\r\nf: f\r\ni: c\r\n\r\n")),
                ["t", "f", "c"],
                "{length}"
            );
        }
    }
}
