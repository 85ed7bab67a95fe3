//! Transactions: which requests belong together (RFC 3261 section 17), so that they reach one server while a planned change
//! moves their key.
//!
//! A retransmission, a CANCEL and the ACK to a final response other than 2xx have the key, the Call-ID and the CSeq number
//! of the request that they belong to. The branch of the topmost Via would be finer, and clients of RFC 2543 have none. Two
//! transactions that are taken for one cost nothing but that the second goes where the first went; one that is taken for
//! two costs a call. The key belongs to it, since a server that finds out whose a number is, or where a user has his calls
//! sent, sends the request through the VIP once more, with Call-ID and CSeq as they were: that is a transaction of its own.

use crate::{
    hash::short_key_hash,
    sip::{
        Message,
        headers::Wanted,
        start_line::{Kind, StartLine},
    },
    swar::{first_of_two, not_digit},
};

use super::key::is_cut_at;

/// The id of a request's transaction at a VIP; `key` is the hash of its key. 0 when Call-ID or CSeq can't be read.
#[inline(always)]
pub fn transaction_id<M: Message>(message: M, start: StartLine, key: u64, vip: u32) -> u64 {
    let headers = message.headers(start.uri(), Wanted::TRANSACTION, Wanted::TRANSACTION);
    if headers.call_id() == 0 || headers.cseq() == 0 {
        return 0;
    }
    let at = message.header_value(headers.cseq());
    let [low, high] = if at == 0 { [0; 2] } else { message.words(at) };
    let length = first_of_two(not_digit(low), not_digit(high));
    // A number has ten digits at most (RFC 3261 section 8.1.1.5); some write zeros in front.
    if length == 0 || length == 16 || is_cut_at(message, at + length) {
        return 0;
    }
    let [low, high] = digits(low, high, length);
    let at = message.header_value(headers.call_id());
    if at == 0 {
        return 0;
    }
    let end = message.token_end(at);
    if is_cut_at(message, end) {
        return 0;
    }
    // One hash seeds the other: no text has to be joined.
    message.text_hash(at, end, short_key_hash([low, high, vip as u64], 3, key))
}

/// Is it a request of the kinds that transactions have?
#[inline(always)]
pub fn is_request(start: StartLine) -> bool {
    start.kind() as u8 <= Kind::Register as u8
}

/// Does the request belong to an INVITE that came before it: is it a CANCEL or an ACK?
#[inline(always)]
pub fn follows_invite<M: Message>(message: M, start: StartLine) -> bool {
    let method = message.word(start.method());
    method & 0xffff_ffff == ACK || method & 0xff_ffff_ffff_ffff == CANCEL
}

const ACK: u64 = u32::from_le_bytes(*b"ACK ") as u64;
const CANCEL: u64 = u64::from_le_bytes(*b"CANCEL \0");

/// The first `length` of sixteen bytes (1 to 15), which are digits, as their values at the end of sixteen, with zeros in
/// front: however the number is written.
#[inline(always)]
fn digits(low: u64, high: u64, length: u64) -> [u64; 2] {
    const VALUES: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    let bytes = 16 - length;
    let (low, high) = if bytes >= 8 { (0, low) } else { (low, high) };
    let bits = 8 * (bytes & 7);
    // Two shifts, since one by 64 is not defined.
    [low << bits & VALUES, (high << bits | low >> (63 - bits) >> 1) & VALUES]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::SCAN_LIMIT, sip::Bytes};

    fn id_at(text: &str, key: u64, vip: u32) -> u64 {
        let message = Bytes::new(text.as_bytes());
        transaction_id(message, message.start_line(), key, vip)
    }

    fn id(text: &str) -> u64 {
        id_at(text, 1, 1)
    }

    fn request(method: &str, call_id: &str, cseq: &str) -> String {
        format!(
            "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\r\n"
        )
    }

    #[test]
    fn what_belongs_together_has_one_id() {
        let invite = id(&request("INVITE", "1@h", "7"));
        assert_ne!(invite, 0);
        for same in [
            request("CANCEL", "1@h", "7"),
            request("ACK", "1@h", "7"),
            request("INVITE", "1@H", "0007"),
            request("ACK", "1@h", "000000000000007"),
            "INVITE sip:a@b SIP/2.0\nCSEQ :\n 7\n INVITE\nSubject: x\ni:1@h\n\n".into(),
        ] {
            assert_eq!(id(&same), invite, "{same}");
        }
        for other in [
            request("INVITE", "1@h", "8"),
            request("INVITE", "1@h", "70"),
            request("INVITE", "1@h", "77"),
            request("INVITE", "2@h", "7"),
            request("INVITE", "1@hh", "7"),
        ] {
            assert_ne!(id(&other), invite, "{other}");
            assert_ne!(id(&other), 0, "{other}");
        }
    }

    #[test]
    fn a_request_that_comes_again_for_another_user_is_another() {
        let text = request("INVITE", "1@h", "7");
        assert_ne!(id_at(&text, 1, 1), id_at(&text, 2, 1));
        assert_ne!(id_at(&text, 1, 1), id_at(&text, 1, 2));
    }

    #[test]
    fn numbers_of_any_length() {
        let ids: Vec<u64> = (1..=15).map(|length| id(&request("INVITE", "1", &"9".repeat(length)))).collect();
        assert!(ids.iter().all(|&id| id != 0));
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        for length in 1..=15 {
            let text = format!("{:0length$}", 1);
            assert_eq!(id(&request("INVITE", "1", &text)), id(&request("INVITE", "1", "1")), "{text}");
        }
        assert_eq!(id(&request("INVITE", "1", &"0".repeat(16))), 0);
    }

    #[test]
    fn digits_are_values_at_the_end() {
        for length in 1..=15_usize {
            let text: Vec<u8> = (0..length as u8).map(|digit| b'1' + digit % 9).collect();
            let mut bytes = [b' '; 16];
            bytes[..length].copy_from_slice(&text);
            let word = |part: &[u8]| u64::from_le_bytes(part.try_into().unwrap());
            let found = digits(word(&bytes[..8]), word(&bytes[8..]), length as u64);
            let mut expected = [0; 16];
            for (place, digit) in expected[16 - length..].iter_mut().zip(&text) {
                *place = digit - b'0';
            }
            assert_eq!(found, [word(&expected[..8]), word(&expected[8..])], "{length}");
        }
    }

    #[test]
    fn what_can_not_be_read_has_none() {
        for text in [
            "INVITE sip:a@b SIP/2.0\r\nCSeq: 7 INVITE\r\n\r\nCall-ID: 1\r\n",
            "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\nCSeq: 7 INVITE\r\n",
            "INVITE sip:a@b SIP/2.0\r\nCall-ID:\r\nCSeq: 7 INVITE\r\n\r\n",
            "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: INVITE\r\n\r\n",
            "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: -7 INVITE\r\n\r\n",
            "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq:\r\n\r\n",
        ] {
            assert_eq!(id(text), 0, "{text}");
        }
    }

    /// The beginning of a Call-ID or of a number is another one's.
    #[test]
    fn what_is_cut_has_none() {
        let up_to_the_limit = |before: &str, last: &str| {
            let start = format!("INVITE sip:a@b SIP/2.0\r\n{before}\r\nX: ");
            let filler = SCAN_LIMIT as usize - start.len() - "\r\n".len() - last.len();
            format!("{start}{}\r\n{last}", "x".repeat(filler))
        };
        for (before, last, rest) in
            [("CSeq: 7 INVITE", "i: 12", "3\r\n\r\n"), ("i: 1", "CSeq: 12", "3 INVITE\r\n\r\n")]
        {
            let text = up_to_the_limit(before, last);
            assert_eq!(text.len() as u64, SCAN_LIMIT);
            assert_ne!(id(&text), 0, "it ends there: {last}");
            assert_eq!(id(&(text + rest)), 0, "it goes on: {last}");
        }
    }

    #[test]
    fn cancel_and_ack_follow_an_invite() {
        let follows = |method: &str| {
            let text = format!("\r\n{method} sip:a@b SIP/2.0\r\n\r\n");
            let message = Bytes::new(text.as_bytes());
            follows_invite(message, message.start_line())
        };
        assert!(follows("ACK") && follows("CANCEL"));
        for method in ["INVITE", "ACKS", "CANCELLED", "BYE", "ack", "REGISTER", "A"] {
            assert!(!follows(method), "{method}");
        }
    }

    #[test]
    fn requests_alone_have_transactions() {
        let is = |text: &str| is_request(Bytes::new(text.as_bytes()).start_line());
        assert!(is("INVITE sip:a@b SIP/2.0\r\n") && is("REGISTER sip:b SIP/2.0\r\n"));
        for text in ["SIP/2.0 200 OK\r\n\r\n", "\r\n\r\n", "", "hello"] {
            assert!(!is(text), "{text:?}");
        }
    }
}
