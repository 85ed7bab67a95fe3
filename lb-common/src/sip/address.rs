//! Stage five: the URI in a To or From header (name-addr and addr-spec, RFC 3261 sections 20.10 and 25.1).
//!
//! A display name is tokens, or a quoted string in which a backslash escapes the next byte and angle brackets mean
//! nothing. What tells the two forms apart is what comes first outside quotes: `<` opens the URI, a colon shows that the
//! URI stands there bare.

use super::{Message, headers::folded_break, uri::Form};
use crate::swar::{equal, first_of_two};

/// Where the URI of a header begins, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub u64);

impl Address {
    /// There is none that can be read.
    pub const NONE: Self = Self(0);

    const fn new(at: u64, form: Form) -> Self {
        Self(at | (form as u64) << 16)
    }

    /// Offset of the URI; 0 is none.
    #[inline(always)]
    pub const fn at(self) -> u64 {
        self.0 & 0xffff
    }

    /// How it is written.
    #[inline(always)]
    pub const fn form(self) -> Form {
        if self.0 >> 16 == 0 { Form::Enclosed } else { Form::Bare }
    }
}

/// Finds the URI in the header value that begins at `at`.
#[inline(always)]
pub fn scan<M: Message>(message: M, at: u64) -> Address {
    let start = at;
    let mut found = message.zero();
    // All ones while the scan is between quotes, and after the first pair of them.
    let mut quoted = message.zero();
    let mut named = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |at, [low, high]| {
            let marks = |word: u64| {
                let inside = equal(word, b'\\') & quoted;
                let outside = (equal(word, b'<') | equal(word, b':')) & !quoted;
                equal(word, b'"') | equal(word, b'\n') | inside | outside
            };
            let (low_marks, high_marks) = (marks(low), marks(high));
            if low_marks | high_marks == 0 {
                return 16;
            }
            let place = first_of_two(low_marks, high_marks);
            if place != 0 {
                // The next window begins with what was found.
                return place;
            }
            let byte = low & 0xff;
            if byte == b'"' as u64 {
                quoted = !quoted;
                named = !message.zero();
                return 1;
            }
            if byte == b'\\' as u64 {
                return 2;
            }
            if byte == b'\n' as u64 {
                return folded_break(low);
            }
            found = if byte == b'<' as u64 {
                Address::new(at + 1, Form::Enclosed).0
            } else if named == 0 {
                Address::new(start, Form::Bare).0
            } else {
                0
            };
            0
        },
    );
    Address(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Bytes;

    /// The URI up to its end, as the next stage sees it.
    fn uri(value: &str) -> Option<String> {
        let message = Bytes::new(value.as_bytes());
        let found = message.address(0);
        if found == Address::NONE {
            return None;
        }
        let uri = message.uri(found.at(), found.form());
        let end = message.host_end(uri.host());
        Some(String::from_utf8_lossy(message.text(found.at(), end)).into_owned())
    }

    #[test]
    fn forms() {
        for value in [
            "<sip:a@h>\r\n",
            "<sip:a@h;x=\"y\">;tag=1\r\n",
            "sip:a@h;tag=1\r\n",
            "sip:a@h\n",
            "sip:a@h",
            "Alice <sip:a@h>\r\n",
            "Alice B. C<sip:a@h>\r\n",
            "\"Alice\" <sip:a@h>\r\n",
            "\"\"<sip:a@h>\r\n",
            "\"<sip:evil@h>\" <sip:a@h>\r\n",
            "\"a \\\" <sip:evil@h> \\\\\" <sip:a@h>\r\n",
            "\"a long display name: with a colon, and more\" <sip:a@h>\r\n",
            "\"folded\r\n name\"\r\n\t<sip:a@h>\r\n",
            "Folded\n name\n <sip:a@h>\r\n",
            "\u{65e5}\u{672c}\u{8a9e} <sip:a@h>\r\n",
        ] {
            assert_eq!(uri(value).as_deref(), Some("sip:a@h"), "{value:?}");
        }
    }

    #[test]
    fn unreadable() {
        for value in [
            "",
            "\r\n",
            "\"unclosed <sip:a@h>\r\nX: y\r\n",
            "\"unclosed <sip:a@h>",
            "Alice\r\nContact: <sip:a@h>\r\n",
            "\"Alice\" sip:a@h\r\n",
        ] {
            assert_eq!(uri(value), None, "{value:?}");
        }
    }

    #[test]
    fn any_alignment() {
        for length in 0..70 {
            let name = "n".repeat(length);
            assert_eq!(uri(&format!("\"{name}\" <sip:a@h>")).as_deref(), Some("sip:a@h"));
            assert_eq!(uri(&format!("\"{name}\\\"\" <sip:a@h>")).as_deref(), Some("sip:a@h"));
            assert_eq!(uri(&format!("{name}\r\n <sip:a@h>")).as_deref(), Some("sip:a@h"));
        }
    }
}
