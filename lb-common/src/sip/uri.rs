//! Stage two: the parts of a URI (RFC 3261 section 19.1.1, RFC 3966).

use super::{Message, headers::folded_break, user::blanks};
use crate::swar::{below, equal, first, first_of_two, high, lower, not_digit};

/// How a URI is written, which tells where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// The Request-URI, or between angle brackets: ends at a blank, a line end or `>`.
    Enclosed = 0,
    /// Without angle brackets in a header: `;`, `,` and `?` end it too, they belong to the header (section 20.10).
    Bare = 1,
}

/// What kind of URI it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scheme {
    /// `sip:` or `sips:`; users of both are the same.
    Sip = 0,
    /// `tel:`
    Tel = 1,
    /// Any other: it names no user.
    Other = 2,
    /// None: it does not begin with a letter (RFC 3986 section 3.1), or is empty.
    Unreadable = 3,
}

/// Where the parts of a URI lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri(pub u64);

impl Uri {
    /// No URI at all.
    pub const UNREADABLE: Self = Self::new(Scheme::Unreadable, 0, 0, 0);

    const fn new(scheme: Scheme, user: u64, user_end: u64, host: u64) -> Self {
        Self(user | user_end << 16 | host << 32 | (scheme as u64) << 48)
    }

    /// The scheme.
    #[inline(always)]
    pub const fn scheme(self) -> Scheme {
        match self.0 >> 48 {
            0 => Scheme::Sip,
            1 => Scheme::Tel,
            2 => Scheme::Other,
            _ => Scheme::Unreadable,
        }
    }

    /// Offset of the user part.
    #[inline(always)]
    pub const fn user(self) -> u64 {
        self.0 & 0xffff
    }

    /// Offset behind the user part, with its password and parameters; equal to [`Uri::user`] when there is none.
    #[inline(always)]
    pub const fn user_end(self) -> u64 {
        self.0 >> 16 & 0xffff
    }

    /// Offset of the host; without meaning for a scheme other than [`Scheme::Sip`].
    #[inline(always)]
    pub const fn host(self) -> u64 {
        self.0 >> 32 & 0xffff
    }
}

const SIP: u64 = u32::from_le_bytes(*b"sip:") as u64;
const TEL: u64 = u32::from_le_bytes(*b"tel:") as u64;
const SIPS: u64 = u64::from_le_bytes(*b"sips:\0\0\0");

/// Reads the URI at `at`.
///
/// A Request-URI in angle brackets is wrong, and in the field: it is read as if it had none (RFC 4475 section 3.1.2.7).
/// The user part reaches to the first `@`, as the canonical user wants it: no legal user part holds a second one.
#[inline(always)]
pub fn scan<M: Message>(message: M, at: u64, form: Form) -> Uri {
    let word = message.word(at);
    let (at, word) = if word & 0xff == b'<' as u64 { (at + 1, message.word(at + 1)) } else { (at, word) };
    let word = lower(message.hide(word));
    let (scheme, length) = if word & 0xffff_ffff == SIP {
        (Scheme::Sip, 4)
    } else if word & 0xff_ffff_ffff == SIPS {
        (Scheme::Sip, 5)
    } else if word & 0xffff_ffff == TEL {
        (Scheme::Tel, 4)
    } else if (word & 0xff).wrapping_sub(b'a' as u64) < 26 {
        (Scheme::Other, 0)
    } else {
        (Scheme::Unreadable, 0)
    };
    if scheme as u8 >= Scheme::Other as u8 {
        return Uri::new(scheme, at, at, at);
    }
    let user = message.hide(at + length);
    let bare = message.hide(form as u64);
    let mut end = message.len();
    let mut stop = message.zero();
    message.windows(
        user,
        #[inline(always)]
        |at, [low, high]| {
            let marks = |word: u64| {
                let also =
                    if bare != 0 { equal(word, b';') | equal(word, b',') | equal(word, b'?') } else { 0 };
                equal(word, b'@') | below(word, 0x21) | equal(word, b'>') | also
            };
            let (low_marks, high_marks) = (marks(low), marks(high));
            if low_marks | high_marks == 0 {
                return 16;
            }
            let found = first_of_two(low_marks, high_marks);
            end = at + found;
            let word = if found < 8 { low } else { high };
            stop = (word >> (8 * (found & 7))) & 0xff;
            0
        },
    );
    let end = message.hide(within(message, end));
    if scheme as u8 == Scheme::Tel as u8 {
        return Uri::new(Scheme::Tel, user, end, user);
    }
    if stop == b'@' as u64 {
        return Uri::new(Scheme::Sip, user, end, end + 1);
    }
    Uri::new(Scheme::Sip, user, user, user)
}

/// The offset behind the host that begins at `at`: before a port, parameters, headers or the end of the URI; behind the
/// bracket of an IPv6 reference.
#[inline(always)]
pub fn host_end<M: Message>(message: M, at: u64) -> u64 {
    let is_reference = message.word(at) & 0xff == b'[' as u64;
    let in_name = if is_reference { message.zero() } else { !message.zero() };
    let mut end = message.len();
    message.windows(
        at,
        #[inline(always)]
        |at, [low, high]| {
            let marks = |word: u64| {
                let also = equal(word, b':') | equal(word, b';') | equal(word, b'?') | equal(word, b',');
                below(word, 0x21) | equal(word, b'>') | equal(word, b']') | (also & in_name)
            };
            let (low_marks, high_marks) = (marks(low), marks(high));
            if low_marks | high_marks == 0 {
                return 16;
            }
            end = at + first_of_two(low_marks, high_marks);
            0
        },
    );
    within(message, if is_reference { end + 1 } else { end })
}

/// What [`port`] answers where a colon is followed by no port: a number that no port has.
pub const NOT_A_PORT: u64 = 0xffff_ffff;

/// The port behind a host that ends at `at`; 0 where none is written, [`NOT_A_PORT`] where it can't be read. In a Via,
/// blanks may surround the colon, folded lines too (COLON, RFC 3261 section 25.1).
#[inline(always)]
pub fn port<M: Message>(message: M, at: u64, in_via: bool) -> u64 {
    let word = message.word(at);
    let digits = if !in_via {
        if word & 0xff != b':' as u64 {
            return 0;
        }
        message.word(at + 1)
    } else {
        let at = message.hide(behind_colon(message, at));
        if at == 0 {
            return 0;
        }
        message.word(at)
    };
    let count = first(not_digit(digits));
    if count == 0 || count > 5 {
        return NOT_A_PORT;
    }
    // The digits at the upper end of the word, with zeroes before them; then pairs, fours and all are added up.
    let digits = (digits & 0x0f0f_0f0f_0f0f_0f0f) << (4 * (8 - count)) << (4 * (8 - count));
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let number = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    if number > u16::MAX as u64 { NOT_A_PORT } else { number }
}

/// From behind the host of a Via, over white space, the colon and more white space, to the port; 0 where there is none.
#[inline(always)]
fn behind_colon<M: Message>(message: M, at: u64) -> u64 {
    let mut colon = message.zero();
    let mut found = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |at, [low]| {
            colon = message.hide(colon);
            let skipped = blanks(low);
            if skipped != 0 {
                return skipped;
            }
            let line_end = folded_break(low);
            if line_end != 0 {
                return line_end;
            }
            if colon == 0 && low & 0xff == b':' as u64 {
                colon = 1;
                return 1;
            }
            found = if colon == 0 { 0 } else { at };
            0
        },
    );
    found
}

/// The NULs behind the end of a message look like an end of text: `at`, but not behind the message.
#[inline(always)]
fn within<M: Message>(message: M, at: u64) -> u64 {
    if at > message.len() { message.len() } else { at }
}

/// Has the URI, whose host ends at `at`, a parameter `gr`? Such a URI names one device (RFC 5627), not a user.
#[inline(always)]
pub fn has_gr<M: Message>(message: M, at: u64) -> bool {
    let mut found = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |_, [low, high_word]| {
            let word = lower(low);
            if first(below(low, 0x21) | high(low)) == 0 || word & 0xff == b'>' as u64 {
                return 0;
            }
            let behind = (word >> 24) & 0xff;
            let ends =
                behind <= 0x20 || behind == b'=' as u64 || behind == b';' as u64 || behind == b'>' as u64;
            if word & 0xff_ffff == u64::from_le_bytes(*b";gr\0\0\0\0\0") && ends {
                found = 1;
                return 0;
            }
            // On to the next `;`, or past these bytes; the one at the front is behind us.
            let marks = |word: u64| equal(word, b';') | below(word, 0x21) | equal(word, b'>');
            let step = first_of_two(marks(low & !0xff | 0x7f), marks(high_word));
            message.hide(step)
        },
    );
    found != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Bytes;

    /// Scheme, user and host of a URI that a blank follows.
    fn parts(text: &str, form: Form) -> (Scheme, String, String) {
        let text = format!("{text} ");
        let message = Bytes::new(text.as_bytes());
        let uri = message.uri(0, form);
        let text = |at, end| String::from_utf8_lossy(message.text(at, end)).into_owned();
        (uri.scheme(), text(uri.user(), uri.user_end()), text(uri.host(), message.host_end(uri.host())))
    }

    #[test]
    fn enclosed() {
        let cases = [
            ("sip:alice@example.com", Scheme::Sip, "alice", "example.com"),
            ("SIPS:alice@example.com:5061;transport=tls", Scheme::Sip, "alice", "example.com"),
            ("sip:example.com", Scheme::Sip, "", "example.com"),
            ("sip:@example.com", Scheme::Sip, "", "example.com"),
            ("sip:a;x=1,?&=+$/@example.com?Subject=b@c", Scheme::Sip, "a;x=1,?&=+$/", "example.com"),
            ("sip:alice:secret@[2001:db8::1]:5060>", Scheme::Sip, "alice:secret", "[2001:db8::1]"),
            ("sip:[2001:db8::1]", Scheme::Sip, "", "[2001:db8::1]"),
            (
                "tel:+1-201-555-0123;phone-context=a",
                Scheme::Tel,
                "+1-201-555-0123;phone-context=a",
                "+1-201-555-0123",
            ),
            ("<sip:alice@example.com>", Scheme::Sip, "alice", "example.com"),
            ("urn:service:sos", Scheme::Other, "", "urn"),
            ("", Scheme::Unreadable, "", ""),
            ("/index.html", Scheme::Unreadable, "", "/index.html"),
        ];
        for (text, scheme, user, host) in cases {
            assert_eq!(parts(text, Form::Enclosed), (scheme, user.into(), host.into()), "{text}");
        }
    }

    #[test]
    fn bare_ends_at_the_header_s_own_parameters() {
        assert_eq!(parts("sip:a@h;tag=x@y", Form::Bare), (Scheme::Sip, "a".into(), "h".into()));
        assert_eq!(parts("sip:h;tag=x@y", Form::Bare), (Scheme::Sip, "".into(), "h".into()));
        assert_eq!(parts("sip:h,sip:a@b", Form::Bare), (Scheme::Sip, "".into(), "h".into()));
    }

    /// A message may end anywhere in a URI; whether words or windows end there too makes no difference.
    #[test]
    fn ends_with_the_message() {
        for length in 0..40 {
            let host = "h".repeat(length);
            let text = format!("sip:{host}");
            let uri = Bytes::new(text.as_bytes()).uri(0, Form::Enclosed);
            assert_eq!((uri.scheme(), uri.user(), uri.user_end(), uri.host()), (Scheme::Sip, 4, 4, 4));
            assert_eq!(Bytes::new(text.as_bytes()).host_end(4), 4 + length as u64);
            let text = format!("tel:{host}");
            let uri = Bytes::new(text.as_bytes()).uri(0, Form::Enclosed);
            assert_eq!((uri.scheme(), uri.user_end()), (Scheme::Tel, 4 + length as u64));
        }
    }

    #[test]
    fn long_user() {
        let user = "u".repeat(300);
        assert_eq!(parts(&format!("sip:{user}@h"), Form::Enclosed), (Scheme::Sip, user, "h".into()));
    }

    #[test]
    fn ports() {
        let port = |text: &str, in_via| {
            let message = Bytes::new(text.as_bytes());
            message.port(message.host_end(0), in_via)
        };
        for (text, expected) in [
            ("h", 0),
            ("h ", 0),
            ("h;x", 0),
            ("h:5060", 5060),
            ("h:5060;x", 5060),
            ("[2001:db8::1]:1>", 1),
            ("h:65535 ", 65_535),
            ("h:00080", 80),
            ("h:0", 0),
            ("h:65536", NOT_A_PORT),
            ("h:123456", NOT_A_PORT),
            ("h:", NOT_A_PORT),
            ("h:x", NOT_A_PORT),
        ] {
            assert_eq!(port(text, false), expected, "{text}");
            assert_eq!(port(text, true), if text == "h:" { 0 } else { expected }, "{text} in a Via");
        }
        for text in ["h : 5060", "h\t:\t5060;x", "h\r\n :\r\n 5060", "h :5060"] {
            assert_eq!(port(text, true), 5060, "{text:?}");
            assert_eq!(port(text, false), 0, "{text:?}");
        }
        assert_eq!(port("h ;rport:5", true), 0);
    }

    #[test]
    fn gr() {
        let cases = [
            ("sip:a@h;gr=urn:uuid:1 ", true),
            ("sip:a@h;gr ", true),
            ("sip:a@h;GR>", true),
            ("sip:a@h:5060;transport=udp;ob;gr=x ", true),
            ("sip:a@h;user=phone;averylongparameter=averylongvalue;gr ", true),
            ("sip:a@h;group=1 ", false),
            ("sip:a@h;x=gr ", false),
            ("sip:a@h ;gr", false),
            ("sip:a@h>;gr", false),
            ("sip:a@h", false),
        ];
        for (text, expected) in cases {
            let message = Bytes::new(text.as_bytes());
            let at = message.host_end(message.uri(0, Form::Enclosed).host());
            assert_eq!(message.has_gr(at), expected, "{text}");
        }
    }
}
