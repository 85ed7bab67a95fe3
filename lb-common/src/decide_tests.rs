//! The rules, by example. What each stage does with odd syntax is tested at the stage.

use super::*;
use crate::{
    layout::Address,
    limits::{DOMAINS_LIMIT, SCAN_LIMIT},
    sip::Bytes,
};
use std::net::IpAddr;

fn rules(key: KeyKind, domains: &[&str]) -> Rules {
    let mut rules = Rules {
        seed: 7,
        key: key as u8,
        number_tail: 0,
        domain_count: domains.len() as u8,
        pad: [0; 5],
        domains: [0; DOMAINS_LIMIT],
    };
    for (entry, domain) in rules.domains.iter_mut().zip(domains) {
        *entry = domain_hash(domain.as_bytes(), rules.seed);
    }
    rules
}

fn source() -> Source {
    Source { address: Address::from("198.51.100.7".parse::<IpAddr>().unwrap()), port: Port::new(5060) }
}

/// Reason, source and text of the key.
fn decided(message: &str, rules: &Rules) -> (Reason, KeySource, String) {
    let decision = decide(Bytes::new(message.as_bytes()), rules, &source());
    assert_eq!(decision.key.hash == 0, decision.key.source == KeySource::None, "{message}");
    let text = Bytes::new(message.as_bytes()).text(decision.key.at, decision.key.end);
    (decision.reason, decision.key.source, String::from_utf8_lossy(text).into_owned())
}

fn message(method: &str, uri: &str, to: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:caller@x>;tag=1\r\n\
         To: {to}\r\nCall-ID: 1@h\r\nCSeq: 1 {method}\r\n\r\n"
    )
}

const CALLEE: &str = "<sip:callee@x>";

#[test]
fn register_goes_by_to() {
    let by_to = |to: &str| decided(&message("REGISTER", "sip:example.com", to), &rules(KeyKind::Source, &[]));
    assert_eq!(by_to(CALLEE), (Reason::Forwarded, KeySource::To, "callee".into()));
    assert_eq!(by_to("sip:callee@x"), (Reason::Forwarded, KeySource::To, "callee".into()));
    assert_eq!(by_to("<sip:example.com>"), (Reason::Forwarded, KeySource::To, "example.com".into()));
    assert_eq!(by_to("<sip::pw@example.com>"), (Reason::Forwarded, KeySource::To, "example.com".into()));
    for to in ["", "x", "\"x", "<urn:x>", "<>", "<sip:>", "<tel:>"] {
        assert_eq!(by_to(to), (Reason::ToUnreadable, KeySource::None, "".into()), "{to}");
    }
}

#[test]
fn register_without_to() {
    let without = "REGISTER sip:example.com SIP/2.0\r\nFrom: <sip:a@b>\r\n\r\nTo: <sip:a@b>\r\n";
    assert_eq!(decided(without, &rules(KeyKind::User, &[])).0, Reason::ToMissing);
    assert_eq!(
        decided("REGISTER sip:example.com SIP/2.0\r\n", &rules(KeyKind::User, &[])).0,
        Reason::ToMissing
    );
}

#[test]
fn scan_limit() {
    // The To line begins so that the byte behind `To` is at `at`.
    let of = |at: u64| {
        let mut text = String::from("REGISTER sip:example.com SIP/2.0\r\nX: ");
        while (text.len() as u64) < at - 4 {
            text.push('x');
        }
        text.push_str("\r\nTo: <sip:callee@x>\r\n\r\n");
        decided(&text, &rules(KeyKind::User, &[])).0
    };
    assert_eq!(of(1_200), Reason::Forwarded);
    assert_eq!(of(SCAN_LIMIT - 1 - ": <sip:callee@x>".len() as u64), Reason::Forwarded);
    assert_eq!(of(SCAN_LIMIT - 1), Reason::ToUnreadable);
    assert_eq!(of(SCAN_LIMIT), Reason::HeaderLimit);
    assert_eq!(of(SCAN_LIMIT + 1), Reason::HeaderLimit);
}

#[test]
fn requests_go_by_the_request_uri() {
    for key in [KeyKind::User, KeyKind::Aor] {
        for method in ["INVITE", "OPTIONS", "CANCEL", "ACK", "BYE", "NEWMETHOD"] {
            let found = decided(&message(method, "sip:alice@example.com", CALLEE), &rules(key, &[]));
            assert_eq!(found, (Reason::Forwarded, KeySource::RequestUri, "alice".into()));
        }
    }
    let found = decided(&message("INVITE", "tel:+1-201;x=y", CALLEE), &rules(KeyKind::User, &[]));
    assert_eq!(found, (Reason::Forwarded, KeySource::RequestUri, "+1-201;x=y".into()));
}

#[test]
fn our_own_users_go_by_the_request_uri_whatever_the_key() {
    for key in [KeyKind::From, KeyKind::CallId, KeyKind::Source] {
        let rules = rules(key, &["other.example", "example.com"]);
        let source = |uri: &str| decided(&message("INVITE", uri, CALLEE), &rules).1;
        for uri in
            ["sip:alice@example.com", "sips:alice@EXAMPLE.com.:5061;x=y", "sip:alice@example.com;lr;group=1"]
        {
            assert_eq!(source(uri), KeySource::RequestUri, "{uri}");
        }
        for uri in
            ["sip:alice@example.org", "sip:alice@example.com;gr=urn:uuid:1", "sip:alice@sub.example.com"]
        {
            assert_ne!(source(uri), KeySource::RequestUri, "{uri}");
        }
    }
}

#[test]
fn other_keys() {
    let of = |key| decided(&message("INVITE", "sip:alice@elsewhere", CALLEE), &rules(key, &["example.com"]));
    assert_eq!(of(KeyKind::From), (Reason::Forwarded, KeySource::From, "caller".into()));
    assert_eq!(of(KeyKind::CallId), (Reason::Forwarded, KeySource::CallId, "1@h".into()));
    assert_eq!(of(KeyKind::Source), (Reason::Forwarded, KeySource::Source, "".into()));
}

#[test]
fn fallbacks() {
    let rules = rules(KeyKind::User, &[]);
    for uri in ["sip:example.com", "urn:service:sos", "sip:;x@example.com", "tel:;x"] {
        let found = decided(&message("INVITE", uri, CALLEE), &rules);
        assert_eq!(found, (Reason::FallbackTo, KeySource::To, "callee".into()), "{uri}");
        let found = decided(&message("INVITE", uri, "<sip:x>"), &rules);
        assert_eq!(found, (Reason::FallbackCallId, KeySource::CallId, "1@h".into()), "{uri}");
    }
    let bare = "INVITE sip:example.com SIP/2.0\r\n\r\n";
    assert_eq!(decided(bare, &rules), (Reason::FallbackSource, KeySource::Source, "".into()));
    assert_eq!(decided("INVITE  ", &rules).0, Reason::Runt);
    assert_eq!(decided("INVITE \r\nTo: <sip:a@b>\r\n", &rules).0, Reason::RequestUriUnreadable);
}

#[test]
fn responses_go_by_to() {
    let text = message("INVITE", "x", CALLEE).replace("INVITE x SIP/2.0", "SIP/2.0 200 OK");
    let found = decided(&text, &rules(KeyKind::Source, &[]));
    assert_eq!(found, (Reason::ResponseUnnamed, KeySource::To, "callee".into()));
}

#[test]
fn aor_tells_hosts_apart() {
    let hash = |uri: &str, key| {
        let text = message("INVITE", uri, CALLEE);
        decide(Bytes::new(text.as_bytes()), &rules(key, &[]), &source()).key.hash
    };
    let aor = |uri| hash(uri, KeyKind::Aor);
    assert_ne!(aor("sip:a@one.example"), aor("sip:a@two.example"));
    assert_eq!(aor("sip:a@one.example"), aor("sips:A@One.Example.:5061;x=y"));
    assert_eq!(hash("sip:a@one.example", KeyKind::User), hash("sip:a@two.example", KeyKind::User));
}

#[test]
fn one_user_has_one_owner() {
    let rules = rules(KeyKind::User, &[]);
    let hash = |text: &str| decide(Bytes::new(text.as_bytes()), &rules, &source()).key.hash;
    let registered = hash(&message("REGISTER", "sip:x", "\"Bob\" <sip:%62ob@x>"));
    let called = hash(&message("INVITE", "sips:Bob:pw@y;transport=tls", CALLEE));
    let answered =
        hash(&message("INVITE", "x", "sip:bob@z;tag=1").replace("INVITE x SIP/2.0", "SIP/2.0 200 OK"));
    assert!(registered == called && called == answered);
    assert_eq!(
        hash(&message("INVITE", "tel:+1-201-555", "x")),
        hash(&message("REGISTER", "sip:x", "<sip:+1201555@x>"))
    );
}
