//! What is found here is what the stages find, and what is written as nearly everybody writes it is found here.

use super::*;
use crate::sip::{
    Bytes, start_line,
    uri::{Form, Scheme},
};
use proptest::prelude::*;

/// What the stages say of the URI at `at`.
fn staged(message: Bytes, at: u64, form: Form, tail: u8) -> Option<User> {
    let uri = message.uri(at, form);
    if uri.scheme() != Scheme::Sip || uri.user() == uri.user_end() {
        return None;
    }
    Some(User { uri, hash: message.user_hash_decoded(uri.user(), uri.user_end(), tail, 7) })
}

fn staged_address(message: Bytes, at: u64, tail: u8) -> Option<User> {
    let value = message.header_value(at);
    let place = if value == 0 { return None } else { message.address(value) };
    if place.at() == 0 { None } else { staged(message, place.at(), place.form(), tail) }
}

fn staged_host(message: Bytes, at: u64) -> Host {
    let end = message.host_end(at);
    let text_end = if end > at && message.text(end - 1, end) == b"." { end - 1 } else { end };
    Host { end, hash: message.text_hash(at, text_end, 7) }
}

/// Holds all that is found in a text to what the stages find there.
fn same(text: &[u8], tail: u8) {
    let message = Bytes::new(text);
    if let Some(found) = start_line::ordinary(message) {
        assert_eq!(found, message.start_line());
    }
    for at in 0..=text.len() as u64 {
        if let Some(found) = request_user(message, at, tail, 7) {
            assert_eq!(Some(found), staged(message, at, Form::Enclosed, tail), "user at {at}");
        }
        if let Some(found) = address_user(message, at, tail, 7) {
            assert_eq!(Some(found), staged_address(message, at, tail), "address at {at}");
        }
        if let Some(behind) = address(message, at) {
            let place = message.address(message.header_value(at));
            assert_eq!((place.at(), place.form()), (behind - 4, Form::Enclosed), "address at {at}");
            let uri = message.uri(place.at(), place.form());
            assert_eq!(uri.scheme(), Scheme::Sip);
            assert!(!is_userless(message, behind) || uri.user_end() == behind && uri.host() == behind);
        }
        if let Some(found) = host(message, at, 7) {
            assert_eq!(found, staged_host(message, at), "host at {at}");
        }
        if let Some(found) = via_port(message, at) {
            assert_eq!(found, message.port(at, true), "port at {at}");
        }
        if let Some(found) = sent_by(message, at) {
            let value = message.header_value(at);
            assert!(value != 0 && message.sent_by(value) == found, "sent-by at {at}");
        }
    }
}

/// Pieces of which messages are made, ordinary ones and odd ones.
const PIECES: [&str; 58] = [
    "INVITE ",
    "REGISTER ",
    "SUBSCRIBE ",
    "SIP/2.0 ",
    "sip:",
    "SIP:",
    "sips:",
    "tel:",
    "<sip:",
    "<",
    ">",
    ": ",
    ":",
    " :",
    "\r\n",
    "\n",
    "\r\n ",
    " ",
    "\t",
    "\"",
    "\" ",
    "\\",
    "Alice",
    "\"Alice\" ",
    "Alice <",
    "\"A. Liddell\" <sip:",
    "bob",
    "@",
    "%41",
    "+1201",
    "-",
    ".",
    "(",
    ";",
    ",",
    "?",
    ";lr",
    "example.com",
    "192.0.2.10",
    "[2001:db8::1]",
    "b1.sip.example.com",
    "example.com.",
    ":5060",
    ":506",
    ":65536",
    ": SIP/2.0/UDP ",
    ": SIP / 2.0/UDP ",
    ": sip/2.0/udp h",
    "SIP/2.0/TCP ",
    "\0",
    "\u{e9}",
    "Z",
    "Y",
    "_",
    "[",
    "]",
    "aaaaaaaa",
    "12345678",
];

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(PIECES.as_slice()), 0..24)
        .prop_map(|pieces| pieces.concat().into_bytes())
}

/// What is ordinary, with some bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change =
        (any::<prop::sample::Index>(), prop::sample::select(b"@:;<>\"\\%+-. \t\r\n,?[]Ab\0\xff/".as_slice()));
    (prop::collection::vec(change, 0..4), "[a-z0-9]{1,25}", "[a-z.]{1,25}").prop_map(|(changes, user, host)| {
        let text = format!(
            "INVITE sip:{user}@{host} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=1\r\nTo: \"{host}\" <sip:{user}@{host}>\r\n\
             f: <sip:{user}@{host}:5062>\r\nRoute: {user} <sip:{user}@{host}>"
        );
        let mut text = text.into_bytes();
        for (index, byte) in changes {
            let at = index.index(text.len());
            text[at] = byte;
        }
        text
    })
}

proptest! {
    #[test]
    fn equals_the_stages(text in prop_oneof![texts(), damaged()], tail in prop_oneof![Just(0u8), 1u8..12]) {
        same(&text, tail);
    }
}

const BEHIND: &str = "@example.com SIP/2.0\r\nVia: and so on";

#[test]
fn finds_what_is_ordinary() {
    let padded = |text: &str| format!("{text}{BEHIND}");
    let user = |text: &str, at: u64| {
        let text = padded(text);
        let message = Bytes::new(text.as_bytes());
        request_user(message, at, 0, 7).map(|found| {
            String::from_utf8_lossy(message.text(found.uri.user(), found.uri.user_end())).into_owned()
        })
    };
    for (text, expected) in [
        ("sip:alice", "alice"),
        ("SIP:+12015550123", "+12015550123"),
        ("sip:twenty-three.characters", "twenty-three.characters"),
    ] {
        assert_eq!(user(text, 0).as_deref(), Some(expected));
    }
    let named = |text: &str| {
        let text = padded(text);
        let message = Bytes::new(text.as_bytes());
        address_user(message, 2, 0, 7).map(|found| {
            String::from_utf8_lossy(message.text(found.uri.user(), found.uri.user_end())).into_owned()
        })
    };
    for text in [
        "To: <sip:alice",
        "To:<sip:alice",
        "To: Alice <sip:alice",
        "To: \"A. Liddell\" <sip:alice",
        "To:\"Alice\"<sip:alice",
        "To: \"\" <sip:alice",
    ] {
        assert_eq!(named(text).as_deref(), Some("alice"), "{text}");
    }
    for text in ["To : <sip:alice", "To:\t<sip:alice", "To: sip:alice", "To: \"a\\\"b\" <sip:alice"] {
        assert_eq!(named(text), None, "{text}");
    }
    for text in ["example.com ", "192.0.2.10:5060", "b1.sip.example.com;lr>", "a>"] {
        assert!(host(Bytes::new(padded(text).as_bytes()), 0, 7).is_some(), "{text}");
    }
    let via = padded("Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bK1\r\n");
    let via = Bytes::new(via.as_bytes());
    assert_eq!((sent_by(via, 3), via_port(via, 27)), (Some(17), Some(5062)));
    for text in ["INVITE sip:a", "REGISTER sip:a", "SUBSCRIBE sip:a", "SIP/2.0 200 OK"] {
        assert!(start_line::ordinary(Bytes::new(padded(text).as_bytes())).is_some(), "{text}");
    }
}
