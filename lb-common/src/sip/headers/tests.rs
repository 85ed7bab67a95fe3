//! Names in every way to write them, and where the pass ends.

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
