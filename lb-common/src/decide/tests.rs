//! The rules, by example. What each stage does with odd syntax is tested at the stage.

use super::*;
use crate::{
    layout::{Address, Named, Port},
    limits::{OWN_ROUTES_LIMIT, SCAN_LIMIT},
    sip::Bytes,
};
use std::net::IpAddr;

fn rules(key: KeyKind, domains: &[&str]) -> Rules {
    Rules { key: key as u8, ..Rules::with_domains(7, domains) }
}

fn source() -> Source {
    Source { address: Address::from("198.51.100.7".parse::<IpAddr>().unwrap()), port: Port::new(5060) }
}

/// What the VIP of these tests is told about names: backends `b1` by any port and `b2` by port 5070, one that is served by
/// another, one whose group is down, and the VIP itself.
const NAMES: [(&str, u32, Named); 12] = [
    ("b1.example", NO_PORT, named(1, NamedKind::Itself)),
    ("b1.example", ANY_PORT, named(1, NamedKind::Itself)),
    ("b2.example", 5070, named(2, NamedKind::Itself)),
    ("10.0.0.11", NO_PORT, named(1, NamedKind::Itself)),
    ("10.0.0.11", 5060, named(1, NamedKind::Itself)),
    ("[2001:db8::11]", NO_PORT, named(1, NamedKind::Itself)),
    ("failed.example", NO_PORT, named(3, NamedKind::Stand)),
    ("down.example", NO_PORT, named(0, NamedKind::Down)),
    ("vip.example", NO_PORT, named(0, NamedKind::Vip)),
    ("vip.example", ANY_PORT, named(0, NamedKind::Vip)),
    ("192.0.2.10", 15_061, named(2, NamedKind::Itself)),
    ("192.0.2.10", NO_PORT, named(0, NamedKind::Vip)),
];

const fn named(backend: u32, kind: NamedKind) -> Named {
    Named { backend, kind: kind as u32 }
}

fn find(host: u64, port: u32) -> Named {
    let known =
        NAMES.iter().find(|(text, its_port, _)| *its_port == port && name_hash(text.as_bytes(), 7) == host);
    known.map_or(Named::NOBODY, |(_, _, named)| *named)
}

fn at_vip<'a>(text: &'a str, rules: &'a Rules) -> impl AtVip + 'a {
    OnHost::new(text.as_bytes(), rules, find)
}

/// Reason, source and text of the key.
fn decided(message: &str, rules: &Rules) -> (Reason, KeySource, String) {
    let decision = decide(at_vip(message, rules), &source());
    let has_key = decision.key.source != KeySource::None;
    assert_eq!(decision.key.hash != 0 || decision.named != 0, has_key, "{message}");
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
        for method in ["INVITE", "OPTIONS", "CANCEL", "ACK", "NEWMETHOD"] {
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
fn unnamed_responses_go_by_to() {
    let text = message("INVITE", "x", CALLEE).replace("INVITE x SIP/2.0", "SIP/2.0 200 OK");
    let found = decided(&text, &rules(KeyKind::Source, &[]));
    assert_eq!(found, (Reason::ResponseUnnamed, KeySource::To, "callee".into()));
}

#[test]
fn aor_tells_hosts_apart() {
    let hash = |uri: &str, key| {
        let text = message("INVITE", uri, CALLEE);
        decide(at_vip(&text, &rules(key, &[])), &source()).key.hash
    };
    let aor = |uri| hash(uri, KeyKind::Aor);
    assert_ne!(aor("sip:a@one.example"), aor("sip:a@two.example"));
    assert_eq!(aor("sip:a@one.example"), aor("sips:A@One.Example.:5061;x=y"));
    assert_eq!(hash("sip:a@one.example", KeyKind::User), hash("sip:a@two.example", KeyKind::User));
}

#[test]
fn one_user_has_one_owner() {
    let rules = rules(KeyKind::User, &[]);
    let hash = |text: &str| decide(at_vip(text, &rules), &source()).key.hash;
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

/// Reason, source, text that names, and the backend.
fn named_by(message: &str, rules: &Rules) -> (Reason, KeySource, String, u32) {
    let decision = decide(at_vip(message, rules), &source());
    let (reason, source, text) = decided(message, rules);
    (reason, source, text, decision.named)
}

fn with_headers(method: &str, uri: &str, headers: &str) -> String {
    message(method, uri, CALLEE).replace("Call-ID", &format!("{headers}\r\nCall-ID"))
}

#[test]
fn a_route_names_the_backend() {
    let rules = rules(KeyKind::User, &["example.com"]);
    let by_route = |route: &str, host: &str, backend| {
        let text = with_headers("BYE", "sip:x7z@198.51.100.9:1024", route);
        let expected = (Reason::Named, KeySource::Route, host.into(), backend);
        assert_eq!(named_by(&text, &rules), expected, "{route}");
    };
    for route in [
        "Route: <sip:b1.example;lr>",
        "route:<sip:b1.example:5060;lr=on;ftag=1>",
        "ROUTE : <sip:b1.example.:9999;lr>",
        "Route:\r\n <sip:b1.example>",
        "Route: \"a, <b>\" <sips:flow-token@b1.example;lr>",
        "Route: sip:b1.example;lr",
        "Route: <sip:b1.example;lr>, <sip:b2.example:5070;lr>",
        "Route: <sip:b1.example;lr>\r\nRoute: <sip:b2.example:5070;lr>",
        "Route: <sip:vip.example;lr>,<sip:b1.example;lr>",
        "Route: <sip:192.0.2.10;lr>\r\nX: y\r\nRoute: <sip:b1.example;lr>",
        "Route: sip:vip.example:5070,sip:b1.example",
    ] {
        let host = if route.contains("b1.example.:") { "b1.example." } else { "b1.example" };
        by_route(route, host, 1);
    }
    by_route("Route: <sip:B2.Example:5070;lr>", "B2.Example", 2);
    by_route("Route: <sip:192.0.2.10:15061;lr>", "192.0.2.10", 2);
    by_route("Route: <sip:[2001:DB8::11];lr>", "[2001:DB8::11]", 1);
    let many =
        |count: u64| "Route: <sip:vip.example;lr>\r\n".repeat(count as usize) + "Route: <sip:b1.example>";
    by_route(&many(OWN_ROUTES_LIMIT - 1), "b1.example", 1);
    by_route(&many(OWN_ROUTES_LIMIT), "b1.example", 1);
    let text = with_headers("BYE", "sip:x7z@198.51.100.9", &many(OWN_ROUTES_LIMIT + 1));
    assert_eq!(named_by(&text, &rules).0, Reason::DialogUnnamed);
}

#[test]
fn a_name_that_is_down_has_others_in_its_place() {
    let rules = rules(KeyKind::User, &[]);
    let of = |host| named_by(&with_headers("BYE", "sip:x@y", &format!("Route: <sip:{host};lr>")), &rules);
    assert_eq!(of("failed.example"), (Reason::NamedFailedOver, KeySource::Route, "failed.example".into(), 3));
    assert_eq!(of("down.example"), (Reason::NamedByKey, KeySource::RequestUri, "x".into(), 0));
}

#[test]
fn the_request_uri_s_host_names_the_backend() {
    let rules = rules(KeyKind::User, &["example.com"]);
    let named = (Reason::Named, KeySource::RequestUriHost, "b1.example".into(), 1);
    assert_eq!(named_by(&message("BYE", "sip:x@b1.example:5080;ob", CALLEE), &rules), named);
    assert_eq!(named_by(&message("INVITE", "sip:b1.example", CALLEE), &rules), named);
    // The Route comes first.
    let text = with_headers("BYE", "sip:x@b1.example", "Route: <sip:b2.example:5070>");
    assert_eq!(named_by(&text, &rules).3, 2);
    // One that names nobody, or the VIP alone, does not count.
    for route in
        ["Route: <sip:elsewhere.example;lr>", "Route: <sip:vip.example;lr>", "Route: <tel:1>", "Route:"]
    {
        assert_eq!(named_by(&with_headers("BYE", "sip:x@b1.example", route), &rules), named, "{route}");
    }
    // A name with a port is not the one without.
    assert_eq!(named_by(&message("INVITE", "sip:x@b2.example", CALLEE), &rules).0, Reason::Forwarded);
    assert_eq!(named_by(&message("INVITE", "tel:b1.example", CALLEE), &rules).0, Reason::Forwarded);
}

#[test]
fn our_own_users_go_by_the_request_uri_whatever_the_route() {
    let rules = rules(KeyKind::User, &["example.com"]);
    let text = |uri| with_headers("INVITE", uri, "Route: <sip:b1.example;lr>");
    assert_eq!(named_by(&text("sip:alice@example.com"), &rules).1, KeySource::RequestUri);
    assert_eq!(named_by(&text("sip:alice@example.com;gr=1"), &rules).1, KeySource::Route);
    assert_eq!(named_by(&text("sip:example.com"), &rules).1, KeySource::Route);
}

#[test]
fn registers_go_by_to_whatever_the_route() {
    let rules = rules(KeyKind::User, &[]);
    let text = with_headers("REGISTER", "sip:b1.example", "Route: <sip:b1.example;lr>");
    assert_eq!(named_by(&text, &rules), (Reason::Forwarded, KeySource::To, "callee".into(), 0));
}

#[test]
fn a_response_goes_by_its_topmost_via() {
    let rules = rules(KeyKind::User, &["example.com"]);
    let of = |via: &str| {
        let text = format!("SIP/2.0 200 OK\r\nFrom: <sip:a@b>\r\n{via}\r\nTo: {CALLEE}\r\n\r\n");
        named_by(&text, &rules)
    };
    for via in [
        "Via: SIP/2.0/UDP b1.example;branch=z9hG4bK1",
        "v: SIP/2.0/UDP b1.example:5060;branch=1",
        "VIA : SIP / 2.0 / UDP b1.example : 5060 ;branch=1",
        "Via: SIP/2.0\r\n /UDP\r\n b1.example",
        "Via: SIP/2.0/UDP b1.example, SIP/2.0/UDP b2.example:5070",
        "Via: SIP/2.0/UDP b1.example\r\nVia: SIP/2.0/UDP b2.example:5070",
    ] {
        assert_eq!(of(via), (Reason::Named, KeySource::Via, "b1.example".into(), 1), "{via}");
    }
    assert_eq!(of("Via: SIP/2.0/UDP b2.example:5070").3, 2);
    assert_eq!(of("Via: SIP/2.0/UDP failed.example").0, Reason::NamedFailedOver);
    assert_eq!(of("Via: SIP/2.0/UDP down.example"), (Reason::NamedGroupDown, KeySource::None, "".into(), 0));
    for via in ["Via: SIP/2.0/UDP other.example", "Via: SIP/2.0/UDP vip.example", "Via: x", "X: y", "Via:"] {
        assert_eq!(of(via), (Reason::ResponseUnnamed, KeySource::To, "callee".into(), 0), "{via}");
    }
}

#[test]
fn a_port_of_its_own_names_the_backend_last() {
    let rules = Rules { own: named(9, NamedKind::Itself), ..rules(KeyKind::User, &["example.com"]) };
    let own = (Reason::Named, KeySource::VipPort, "".into(), 9);
    assert_eq!(named_by(&message("BYE", "sip:x@y", CALLEE), &rules), own);
    assert_eq!(named_by("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP other\r\n\r\n", &rules), own);
    assert_eq!(
        named_by(&message("INVITE", "sip:alice@example.com", CALLEE), &rules).1,
        KeySource::RequestUri
    );
    assert_eq!(named_by(&message("BYE", "sip:x@b1.example", CALLEE), &rules).3, 1);
    assert_eq!(named_by(&message("REGISTER", "sip:x", CALLEE), &rules).1, KeySource::To);
    let down = Rules { own: named(0, NamedKind::Down), ..rules };
    assert_eq!(named_by(&message("BYE", "sip:x@y", CALLEE), &down).0, Reason::NamedByKey);
}

#[test]
fn requests_within_a_dialog_that_name_nobody_are_told_apart() {
    for method in ["BYE", "PRACK", "UPDATE", "INFO"] {
        let of = |rules: &Rules| named_by(&message(method, "sip:x@198.51.100.9", CALLEE), rules);
        let by_user = (Reason::DialogUnnamed, KeySource::RequestUri, "x".into(), 0);
        assert_eq!(of(&rules(KeyKind::User, &["example.com"])), by_user);
        assert_eq!(of(&rules(KeyKind::CallId, &[])).0, Reason::Forwarded);
    }
    for method in ["INVITE", "ACK", "CANCEL", "BYEBYE", "INFORM"] {
        let found = named_by(&message(method, "sip:x@198.51.100.9", CALLEE), &rules(KeyKind::User, &[]));
        assert_eq!(found.0, Reason::Forwarded, "{method}");
    }
}

#[test]
fn what_should_have_named_somebody_is_told() {
    let rules = rules(KeyKind::User, &["example.com"]);
    let of = |text: &str| {
        let unnamed = decide(at_vip(text, &rules), &source()).unnamed;
        let (at, end) = unnamed.text();
        (unnamed.source(), text[at as usize..end as usize].to_owned())
    };
    let bye = |headers: &str| of(&with_headers("BYE", "sip:x@198.51.100.9", headers));
    assert_eq!(bye("Route: <sip:old.example:5070;lr>"), (KeySource::Route, "old.example".into()));
    assert_eq!(bye("X: y"), (KeySource::Route, "".into()));
    assert_eq!(
        of("SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 10.0.0.99\r\n\r\n"),
        (KeySource::Via, "10.0.0.99".into())
    );
}

#[test]
fn what_is_no_sip_has_a_rule_for_each_kind() {
    let stun = |kind: u8| [&[0, kind, 0, 0, 0x21, 0x12, 0xa4, 0x42], &[7u8; 12][..]].concat();
    let cases: [(&[u8], u8, Reason, Reason); 8] = [
        (b"\r\n", KeepAlives::CRLF, Reason::CrlfForwarded, Reason::KeepAlive),
        (b"\r\n\r\n", KeepAlives::DOUBLE_CRLF, Reason::CrlfForwarded, Reason::KeepAlive),
        (b"\0\0\0\0", KeepAlives::NUL, Reason::NulForwarded, Reason::Nul),
        (&stun(1), KeepAlives::STUN, Reason::StunForwarded, Reason::Stun),
        (&stun(2), KeepAlives::JUNK, Reason::JunkForwarded, Reason::Stun),
        (b"junk", KeepAlives::JUNK, Reason::JunkForwarded, Reason::Runt),
        (b"<junk>of-more-than-sixteen-bytes", KeepAlives::JUNK, Reason::JunkForwarded, Reason::NotSip),
        (b"", 0xff, Reason::Empty, Reason::Empty),
    ];
    for (payload, bit, forwarded, dropped) in cases {
        let of = |keep_alives| {
            let rules = Rules { keep_alives, ..rules(KeyKind::User, &[]) };
            decide(OnHost::new(payload, &rules, find), &source())
        };
        assert_eq!(of(!bit).reason, dropped, "{payload:?}");
        let decision = of(bit);
        assert_eq!(decision.reason, forwarded, "{payload:?}");
        assert_eq!(decision.key.hash != 0, forwarded != Reason::Empty, "{payload:?}");
    }
}

#[test]
fn the_first_domain_is_compared_where_it_stands() {
    let ours = |host: &str, domains: &[&str]| {
        let text = format!("INVITE sip:alice@{host} SIP/2.0\r\nRoute: <sip:b1.example>\r\n\r\n");
        named_by(&text, &rules(KeyKind::User, domains)).1 == KeySource::RequestUri
    };
    for length in 1..30 {
        let domain = "d".repeat(length);
        assert!(ours(&domain, &[&domain]) && ours(&domain.to_uppercase(), &[&domain]), "{length}");
        assert!(ours(&format!("{domain}."), &[&domain]) && ours(&domain, &["other", &domain]), "{length}");
        assert!(
            !ours(&format!("{domain}d"), &[&domain]) && !ours(&format!("e{domain}"), &[&domain]),
            "{length}"
        );
    }
    assert!(!ours("a\ndomain", &["a-domain"]) && !ours("a\rdomain", &["a-domain"]));
    assert!(ours("a-1.example", &["a-1.example"]) && !ours("a-\x11.example", &["a-1.example"]));
}

/// Every reason to pass over a rule is given by some message.
#[test]
fn rules_that_are_passed_over_are_told() {
    let ours = rules(KeyKind::User, &["example.com"]);
    let mut seen = PassedOver::NOTHING;
    let long = with_headers("BYE", "sip:x@y", &format!("X: {}", "x".repeat(SCAN_LIMIT as usize)));
    for text in [
        message("INVITE", "sip:a@example.com;gr", CALLEE),
        message("INVITE", "sip:example.com", "<sip:x>").replace("Call-ID", "X"),
        with_headers("BYE", "sip:x@y", "Route: <sip:vip.example>"),
        with_headers("BYE", "sip:x@y", "Route: <sip:unknown.example>"),
        with_headers("BYE", "sip:x@y", "Route: <sip:down.example>"),
        "SIP/2.0 200 OK\r\nTo: x\r\n\r\n".into(),
        "SIP/2.0 200 OK\r\nVia: x\r\n\r\n".into(),
        long,
    ] {
        seen.add(decide(at_vip(&text, &ours), &source()).passed);
    }
    for (bit, text) in PassedOver::ALL {
        assert!(seen.0 & bit.0 != 0, "{text}");
    }
    assert_eq!(
        decide(at_vip(&message("INVITE", "sip:a@example.com", CALLEE), &ours), &source()).passed,
        PassedOver::NOTHING
    );
}
