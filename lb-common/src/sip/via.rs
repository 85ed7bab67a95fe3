//! Stage six: who sent a request on, by the topmost Via (RFC 3261 sections 18.2.2 and 25.1).
//!
//! `sent-protocol LWS sent-by`, where the protocol is three tokens with slashes between them, and white space, folded
//! lines too, is legal around each. The topmost Via is the first of the first header: what follows a comma is not read.

use super::{Message, headers::folded_break, user::blanks};
use crate::swar::{below, equal, first_of_two, lower};

/// What nearly every Via begins with.
const PROTOCOL: u64 = u64::from_le_bytes(*b"sip/2.0/");
const UDP: u64 = u32::from_le_bytes(*b"udp ") as u64;

/// The offset of the sent-by in the Via value that begins at `at`; 0 where it can't be found.
#[inline(always)]
pub fn sent_by<M: Message>(message: M, at: u64) -> u64 {
    let [low, high] = message.words(at);
    if lower(low) == PROTOCOL && lower(high) & 0xffff_ffff == UDP && (high >> 32) & 0xff > b' ' as u64 {
        return at + 12;
    }
    let mut phase = message.zero();
    let mut found = message.zero();
    message.windows(
        at,
        #[inline(always)]
        |at, [low, high]| {
            phase = message.hide(phase);
            let byte = low & 0xff;
            if phase == TRANSPORT && byte <= b' ' as u64 {
                phase = HOST;
            }
            if phase != TRANSPORT {
                // White space between the tokens, and before the host.
                let skipped = blanks(low) | folded_break(low);
                if skipped != 0 {
                    return skipped;
                }
                if byte <= b' ' as u64 {
                    return 0;
                }
            }
            if phase >= HOST {
                found = at;
                return 0;
            }
            if byte == b'/' as u64 {
                phase += 1;
                return 1;
            }
            let marks = |word: u64| equal(word, b'/') | below(word, 0x21);
            let (low_marks, high_marks) = (marks(low), marks(high));
            let length = first_of_two(low_marks, high_marks);
            // A token of the transport may go on in the next window: then this is not its end.
            if phase >= BEFORE_TRANSPORT && length < 16 {
                phase = HOST;
            } else if phase == BEFORE_TRANSPORT {
                phase = TRANSPORT;
            }
            length
        },
    );
    found
}

/// Two slashes were seen.
const BEFORE_TRANSPORT: u64 = 2;
/// Within a transport of more than sixteen bytes.
const TRANSPORT: u64 = 3;
/// Behind the transport.
const HOST: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Bytes;

    fn host(value: &str) -> Option<String> {
        let message = Bytes::new(value.as_bytes());
        match message.sent_by(0) {
            0 => None,
            at => Some(String::from_utf8_lossy(message.text(at, message.host_end(at))).into_owned()),
        }
    }

    #[test]
    fn every_way_to_write_it() {
        for value in [
            "SIP/2.0/UDP h;branch=x\r\n",
            "sip/2.0/udp h",
            "SIP / 2.0 / UDP h:5060;branch=x",
            "SIP  /   2.0\r\n /UDP\r\n    h;branch=390skdjuw",
            "SIP/2.0/UDP\th",
            "SIP/2.0/UDP  h",
            "SIP/2.0/TCP h",
            "SIP/2.0/TLS-SCTP h",
            "SIP/2.0/ATRANSPORTOFMORETHANSIXTEENBYTES h",
            "SIP/2.0/ATRANSPORTOFMORETHANSIXTEENBYTES\r\n\th",
            "SIP/2.0/UDP h , SIP/2.0/UDP other",
            "SIP/2.0/UDP\n h",
        ] {
            assert_eq!(host(value).as_deref(), Some("h"), "{value:?}");
        }
        assert_eq!(host("SIP/2.0/UDP [2001:db8::1]:5060").as_deref(), Some("[2001:db8::1]"));
    }

    #[test]
    fn unreadable() {
        for value in
            ["", "h", "SIP/2.0", "SIP/2.0/UDP", "SIP/2.0/UDP\r\nTo: h", "SIP/2.0\r\nh", "SIP/2.0/UDP \0h"]
        {
            assert_eq!(host(value), None, "{value:?}");
        }
    }

    #[test]
    fn any_alignment() {
        for length in 0..40 {
            let blanks = " ".repeat(length);
            assert_eq!(
                host(&format!("SIP{blanks}/2.0/{blanks}UDP {blanks}h;x")).as_deref(),
                Some("h"),
                "{length}"
            );
            let token = "T".repeat(length + 1);
            assert_eq!(host(&format!("SIP/2.0/{token} h;x")).as_deref(), Some("h"), "{length}");
        }
    }
}
