//! Stage four: where the headers that can decide begin (RFC 3261 section 7.3).
//!
//! One pass over the lines. Each line starts a window, so that a name is compared where it stands, as a word, and lines
//! shorter than a window are no special case. Names come in any case and in compact form; blanks and tabs before the colon
//! are legal, continued lines (folding) begin with one and so match no name; lines may end in a bare LF.

use super::{Message, user::blanks};
use crate::swar::{below, equal, first_of_some, first_of_two};

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

    /// What a line can begin with that matters to a pass which looks for these: the initials of their names, modulo 64, and
    /// what ends a line.
    #[inline(always)]
    const fn initials(self) -> u64 {
        const fn of(letters: &[u8]) -> u64 {
            let mut bits = 0;
            let mut i = 0;
            while i < letters.len() {
                bits |= 1 << (letters[i] & 63);
                i += 1;
            }
            bits
        }
        // All ones where the set has the header.
        const fn if_in(set: Wanted, header: Wanted, bits: u64) -> u64 {
            ((set.0 / header.0) & 1).wrapping_neg() & bits
        }
        of(b"\r\n")
            | if_in(self, Self::TO, of(b"tT"))
            | if_in(self, Self::FROM, of(b"fF"))
            | if_in(self, Self::CALL_ID, of(b"cCiI"))
            | if_in(self, Self::ROUTE, of(b"rR"))
            | if_in(self, Self::VIA, of(b"vV"))
            | if_in(self, Self::CSEQ, of(b"cC"))
    }

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
    let mut pass = Pass {
        message,
        found: message.zero(),
        missing: message.hide(wanted.0),
        until: message.hide(until.0),
        initials: message.hide(wanted.initials()),
        begins_line: message.zero(),
    };
    message.wide_windows(
        from,
        #[inline(always)]
        |at, words, reach| pass.turn(at, words, reach),
    );
    Headers(pass.found)
}

/// What the turns of a pass share. One value with one method: each variable that a closure borrows for itself costs stack.
struct Pass<M> {
    message: M,
    /// What [`Headers`] holds.
    found: u64,
    /// The headers that are wanted and were not found.
    missing: u64,
    until: u64,
    initials: u64,
    /// Not 0 if the window begins a line.
    begins_line: u64,
}

impl<M: Message> Pass<M> {
    #[inline(always)]
    fn turn(&mut self, at: u64, [low, second, third, fourth]: [u64; 4], reach: u64) -> u64 {
        // Most lines begin with another letter, and are not looked at any further.
        if self.begins_line != 0 && (self.initials >> (low & 63)) & 1 != 0 && self.is_last(at, low) {
            return 0;
        }
        let (marks, more) = (equal(low, b'\n'), equal(second, b'\n'));
        self.begins_line = self.message.hide(marks | more);
        if marks != 0 {
            return first_of_some(marks) + 1;
        }
        if more != 0 {
            return first_of_some(more) + 9;
        }
        let (marks, more) = (equal(third, b'\n'), equal(fourth, b'\n'));
        self.begins_line = self.message.hide(marks | more);
        if marks != 0 {
            return first_of_some(marks) + 17;
        }
        if more != 0 { first_of_some(more) + 25 } else { reach }
    }

    /// Takes the header down that the line at `at` begins with, and tells whether the pass ends with it.
    #[inline(always)]
    fn is_last(&mut self, at: u64, low: u64) -> bool {
        if low & 0xff == LINE_FEED || low & 0xffff == CR_LF {
            self.found |= WHOLE;
            return true;
        }
        let name = Name(self.message.hide(name(low).0));
        if name.which() & self.missing == 0 {
            return false;
        }
        self.missing = self.message.hide(self.missing & !name.which());
        self.found = self.message.hide(self.found | (at + name.length()) << name.shift());
        self.missing & self.until == 0
    }
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
mod tests;
