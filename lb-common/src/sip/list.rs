//! Stage seven: the next element of a header that is a list of addresses (RFC 3261 section 7.3.1).

use super::{Message, headers::folded_break, uri::Form, user::blanks};
use crate::swar::{equal, first_of_two};

/// From within the URI of an element to the beginning of the next one on the same header, folded lines included; 0 when
/// this is the last one.
///
/// A comma inside angle brackets belongs to the URI, and one between quotes to a parameter's value.
#[inline(always)]
pub fn next_element<M: Message>(message: M, at: u64, form: Form) -> u64 {
    // All ones while the scan is between angle brackets, between quotes, and behind the comma.
    let mut enclosed = if form as u8 == Form::Enclosed as u8 { !message.zero() } else { message.zero() };
    let mut quoted = message.zero();
    let mut behind = message.zero();
    let mut found = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |at, [low, high]| {
            (enclosed, quoted, behind) = (message.hide(enclosed), message.hide(quoted), message.hide(behind));
            let line_end = folded_break(low);
            if behind != 0 {
                let skipped = blanks(low) | line_end;
                if skipped == 0 && low & 0xff > b' ' as u64 {
                    found = at;
                }
                return skipped;
            }
            let marks = |word: u64| {
                let outside = (equal(word, b',') | equal(word, b'"')) & !enclosed & !quoted;
                let inside = (equal(word, b'"') | equal(word, b'\\')) & quoted;
                equal(word, b'\n') | equal(word, b'>') & enclosed | outside | inside
            };
            let place = first_of_two(marks(low), marks(high));
            if place != 0 {
                // The next window begins with what was found.
                return place;
            }
            let byte = low & 0xff;
            if byte == b'\n' as u64 {
                return line_end;
            }
            if byte == b'\\' as u64 {
                return 2;
            }
            if byte == b'>' as u64 {
                enclosed = message.zero();
            } else if byte == b'"' as u64 {
                quoted = !quoted;
            } else {
                behind = !message.zero();
            }
            1
        },
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Bytes;

    /// The element behind the first one, up to a blank or the end.
    fn next(value: &str) -> Option<String> {
        let message = Bytes::new(value.as_bytes());
        let form = if value.starts_with('<') { Form::Enclosed } else { Form::Bare };
        match message.next_element(1, form) {
            0 => None,
            at => Some(String::from_utf8_lossy(message.text(at, message.token_end(at))).into_owned()),
        }
    }

    #[test]
    fn finds_the_next() {
        for value in [
            "<sip:a>,<b>\r\n",
            "<sip:a>;x=1 , <b>\r\n",
            "<sip:a,b;c=\",\">,<b>",
            "<sip:a>;x=\"1,2\\\",3\",<b>",
            "<sip:a>\r\n ,\r\n\t<b>\r\n",
            "<sip:a>\n , <b>",
            "sip:a;lr,<b>",
            "<sip:a;a=long-parameter;another=one-that-is-longer-than-a-window>,<b>",
        ] {
            assert_eq!(next(value).as_deref(), Some("<b>"), "{value:?}");
        }
    }

    #[test]
    fn the_last_has_none() {
        for value in [
            "<sip:a>\r\n",
            "<sip:a>\r\nRoute: <b>",
            "<sip:a,<b>\r\n",
            "<sip:a>;x=\",<b>\r\n",
            "<sip:a>,\r\n",
            "<sip:a>,",
            "sip:a",
        ] {
            assert_eq!(next(value), None, "{value:?}");
        }
    }

    #[test]
    fn any_alignment() {
        for length in 0..50 {
            let filler = "x".repeat(length);
            assert_eq!(
                next(&format!("<sip:{filler}>;p={filler},{}<b>", " ".repeat(length))).as_deref(),
                Some("<b>")
            );
        }
    }
}
