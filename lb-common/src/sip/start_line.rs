//! Stage one: what kind of message this is, and where its Request-URI begins (RFC 3261 section 7.1).

use super::Message;
use crate::{
    limits::{LEADING_LIMIT, MESSAGE_MIN, METHOD_LIMIT},
    swar::{below, differs, first, first_of_two, high},
};

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A request, not REGISTER.
    Request = 0,
    /// A REGISTER request.
    Register = 1,
    /// A response.
    Response = 2,
    /// Nothing at all.
    Empty = 3,
    /// One line end (RFC 5626 section 3.5.1, the answer to a ping).
    Crlf = 4,
    /// A STUN message that is no binding request.
    Stun = 5,
    /// Shorter than [`MESSAGE_MIN`].
    Runt = 6,
    /// No start line.
    NotSip = 7,
    /// A method of more than [`METHOD_LIMIT`] bytes.
    MethodTooLong = 8,
    /// Two line ends (RFC 5626 section 3.5.1, a ping).
    DoubleCrlf = 9,
    /// NULs, or line ends and NULs in any other number.
    Nul = 10,
    /// A STUN binding request (RFC 5389 section 6, RFC 5626 section 3.5.2).
    StunBinding = 11,
}

/// The start line: kind, where the method begins and ends, where the Request-URI begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLine(pub u64);

impl StartLine {
    const fn new(kind: Kind, method: u64, method_end: u64, uri: u64) -> Self {
        Self(kind as u64 | method << 8 | method_end << 16 | uri << 32)
    }

    const fn no(kind: Kind) -> Self {
        Self::new(kind, 0, 0, 0)
    }

    /// What the payload is.
    #[inline(always)]
    pub const fn kind(self) -> Kind {
        match self.0 as u8 {
            0 => Kind::Request,
            1 => Kind::Register,
            2 => Kind::Response,
            3 => Kind::Empty,
            4 => Kind::Crlf,
            5 => Kind::Stun,
            6 => Kind::Runt,
            8 => Kind::MethodTooLong,
            9 => Kind::DoubleCrlf,
            10 => Kind::Nul,
            11 => Kind::StunBinding,
            _ => Kind::NotSip,
        }
    }

    /// Offset of the method.
    #[inline(always)]
    pub const fn method(self) -> u64 {
        self.0 >> 8 & 0xff
    }

    /// Offset behind the method.
    #[inline(always)]
    pub const fn method_end(self) -> u64 {
        self.0 >> 16 & 0xffff
    }

    /// Offset of the Request-URI; in a response, of the status code.
    #[inline(always)]
    pub const fn uri(self) -> u64 {
        self.0 >> 32 & 0xffff
    }
}

const REGISTER: u64 = u64::from_le_bytes(*b"REGISTER");
const VERSION: u64 = u64::from_le_bytes(*b"sip/2.0 ");
/// Makes the letters of the version small and leaves the rest.
const VERSION_LETTERS: u64 = 0x20_2020;
/// Bytes 4 to 7 of every STUN message (RFC 5389 section 6), as they stand in the upper half of its first word.
const STUN_COOKIE: u64 = 0x2112_A442_u32.swap_bytes() as u64;
/// The type of a binding request, in network byte order.
const STUN_BINDING: u64 = 0x0001_u16.swap_bytes() as u64;
const LINE_FEED: u64 = b'\n' as u64;
const CR_LF: u64 = u16::from_le_bytes(*b"\r\n") as u64;

/// Reads the start line.
#[inline(always)]
pub fn scan<M: Message>(message: M) -> StartLine {
    let [low, high] = message.words(0);
    if message.len() < MESSAGE_MIN {
        return StartLine::no(short(message, low, high));
    }
    if low & 0xff > b' ' as u64 {
        return line(message, 0, low, high);
    }
    if low & 0xc0 == 0 && low >> 32 == STUN_COOKIE {
        return StartLine::no(if low & 0xffff == STUN_BINDING { Kind::StunBinding } else { Kind::Stun });
    }
    let start = message.hide(leading(low));
    if start > LEADING_LIMIT {
        return StartLine::no(Kind::Nul);
    }
    let [low, high] = message.words(start);
    line(message, start, low, high)
}

/// The start line at `start`, of which sixteen bytes are there.
#[inline(always)]
fn line<M: Message>(message: M, start: u64, low: u64, high: u64) -> StartLine {
    if low | VERSION_LETTERS == VERSION {
        return StartLine::new(Kind::Response, start, start, start + 8);
    }
    method(message, start, low, high)
}

/// How many line ends and NULs the word begins with.
#[inline(always)]
fn leading(word: u64) -> u64 {
    first(differs(word, b'\r') & differs(word, b'\n') & differs(word, 0))
}

/// A payload that is too short for SIP: nothing, a keep-alive or junk.
#[inline(always)]
fn short<M: Message>(message: M, low: u64, high: u64) -> Kind {
    const TWICE_CR_LF: u64 = CR_LF | CR_LF << 16;
    const TWICE_LINE_FEED: u64 = LINE_FEED | LINE_FEED << 8;
    let blank = leading(low) + if leading(low) == 8 { leading(high) } else { 0 };
    if message.is_empty() {
        return Kind::Empty;
    }
    if blank < message.len() {
        return Kind::Runt;
    }
    match (message.len(), low) {
        (2, CR_LF) | (1, LINE_FEED) => Kind::Crlf,
        (4, TWICE_CR_LF) | (2, TWICE_LINE_FEED) => Kind::DoubleCrlf,
        _ => Kind::Nul,
    }
}

/// A method is a token and ends at one blank (RFC 3261 section 25.1); it is compared with its case.
#[inline(always)]
fn method<M: Message>(message: M, start: u64, low: u64, high: u64) -> StartLine {
    let (low_stops, high_stops) = (stops(low), stops(high));
    let (mut length, mut stop);
    if low_stops != 0 {
        length = first(low_stops);
        stop = byte(low, length);
    } else {
        length = 8 + first(high_stops);
        stop = byte(high, length);
        if length == 16 {
            (length, stop) = long_method(message, start);
        }
    }
    let (length, stop) = (message.hide(length), message.hide(stop));
    if length > METHOD_LIMIT {
        return StartLine::no(Kind::MethodTooLong);
    }
    if length == 0 || stop != b' ' as u64 {
        return StartLine::no(Kind::NotSip);
    }
    let end = start + length;
    let kind = if low == REGISTER && length == 8 { Kind::Register } else { Kind::Request };
    // One blank is legal; a few more are in the field.
    let next = byte(if length < 7 { low } else { high }, length + 1);
    if length < 15 && next > b' ' as u64 {
        return StartLine::new(kind, start, end, end + 1);
    }
    let blanks = first(differs(message.word(end), b' '));
    if blanks == 8 {
        return StartLine::no(Kind::NotSip);
    }
    StartLine::new(kind, start, end, end + blanks)
}

/// The length of a method of more than sixteen bytes, and what follows it; 0 where nothing does.
#[inline(always)]
fn long_method<M: Message>(message: M, start: u64) -> (u64, u64) {
    let mut end = message.hide(message.len());
    let mut stop = message.zero();
    message.windows(
        start + 16,
        #[inline(always)]
        |at, [low, high]| {
            let found = first_of_two(stops(low), stops(high));
            end = message.hide(at + found);
            stop = message.hide(byte(if found < 8 { low } else { high }, found));
            // One step further than the limit is far enough to see that it is passed.
            if found < 16 || end > start + METHOD_LIMIT { 0 } else { 16 }
        },
    );
    (end - start, stop)
}

/// Marks what no token holds: blanks, controls, and bytes that are not ASCII.
#[inline(always)]
const fn stops(word: u64) -> u64 {
    below(word, 0x21) | high(word)
}

/// The byte at `index`, modulo 8.
#[inline(always)]
const fn byte(word: u64, index: u64) -> u64 {
    (word >> (8 * (index & 7))) & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Bytes;

    fn line(text: &str) -> StartLine {
        Bytes::new(text.as_bytes()).start_line()
    }

    #[test]
    fn kinds() {
        let cases = [
            ("INVITE sip:a@b SIP/2.0\r\n", Kind::Request),
            ("REGISTER sip:b SIP/2.0\r\n", Kind::Register),
            ("REGISTERS sip:b SIP/2.0\r\n", Kind::Request),
            ("register sip:b SIP/2.0\r\n", Kind::Request),
            ("SIP/2.0 200 OK\r\n\r\n", Kind::Response),
            ("sip/2.0 200 OK\r\n\r\n", Kind::Response),
            ("\r\n\r\nINVITE sip:a@b SIP/2.0\r\n", Kind::Request),
            ("\r\n\r\n\r\n\nINVITE sip:a@b SIP/2.0\r\n", Kind::Request),
            ("", Kind::Empty),
            ("\r\n", Kind::Crlf),
            ("\n", Kind::Crlf),
            ("\r\n\r\n", Kind::DoubleCrlf),
            ("\n\n", Kind::DoubleCrlf),
            ("\r\n\r\n\r\n", Kind::Nul),
            ("\r\n\0", Kind::Nul),
            ("\0", Kind::Nul),
            ("\0\0\0\0", Kind::Nul),
            ("\0\0\0\0\0\0\0\0\0\0\0\0", Kind::Nul),
            ("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", Kind::Nul),
            ("hello", Kind::Runt),
            ("\0\x01\0\0\x21\x12\u{0}\u{0}hello, world", Kind::NotSip),
            ("INVITEsip:a@b.example.com", Kind::NotSip),
            ("INVITE\tsip:a@b.example.com", Kind::NotSip),
            (" INVITE sip:a@b.example.com", Kind::NotSip),
            ("\r\nCall-ID:o:urn:/-", Kind::NotSip),
            ("ONEWORDOFSIXTEEN", Kind::NotSip),
            ("\u{e9}\u{e9}\u{e9} sip:a@b.example.com", Kind::NotSip),
        ];
        for (text, kind) in cases {
            assert_eq!(line(text).kind(), kind, "{text:?}");
        }
    }

    #[test]
    fn stun() {
        let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        message.extend([7; 12]);
        assert_eq!(Bytes::new(&message).start_line().kind(), Kind::StunBinding);
        message[0] = 1;
        assert_eq!(Bytes::new(&message).start_line().kind(), Kind::Stun);
        message[4] = 0x22;
        assert_eq!(Bytes::new(&message).start_line().kind(), Kind::NotSip);
    }

    #[test]
    fn offsets() {
        let found = line("\r\nINVITE  sip:a@b SIP/2.0\r\n");
        assert_eq!((found.method(), found.method_end(), found.uri()), (2, 8, 10));
    }

    #[test]
    fn method_limit() {
        let of = |length: u64| {
            let text = format!("{} sip:a@b SIP/2.0\r\n", "M".repeat(length as usize));
            line(&text).kind()
        };
        assert_eq!(of(METHOD_LIMIT - 1), Kind::Request);
        assert_eq!(of(METHOD_LIMIT), Kind::Request);
        assert_eq!(of(METHOD_LIMIT + 1), Kind::MethodTooLong);
        assert_eq!(of(METHOD_LIMIT + 100), Kind::MethodTooLong);
    }

    #[test]
    fn leading_limit() {
        let of = |count: u64| line(&format!("{}INVITE sip:a@b", "\n".repeat(count as usize))).kind();
        assert_eq!(of(LEADING_LIMIT - 1), Kind::Request);
        assert_eq!(of(LEADING_LIMIT), Kind::Request);
        assert_eq!(of(LEADING_LIMIT + 1), Kind::Nul);
    }

    #[test]
    fn message_min() {
        let of = |length: u64| line(&"M sip:a@b.example.com"[..length as usize]).kind();
        assert_eq!(of(MESSAGE_MIN - 1), Kind::Runt);
        assert_eq!(of(MESSAGE_MIN), Kind::Request);
        assert_eq!(of(MESSAGE_MIN + 1), Kind::Request);
    }
}
