//! Any bytes at all through the scanner and the rules: nothing panics, no sum overflows, and what is promised of keys holds.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use lb_common::{
    decide::{ANY_PORT, NO_PORT, OnHost, Source, decide, name_hash},
    layout::{Address, KeepAlives, KeyKind, KeySource, Named, NamedKind, Port, Rules},
    limits::KEY_LIMIT,
    reason::Verdict,
    sip::{Bytes, Message as _, user},
};
use libfuzzer_sys::fuzz_target;

const SEED: u64 = 7;
/// Numbers count whole, or by as many last digits as national plans have.
const NUMBER_TAILS: [u8; 2] = [0, 7];

fuzz_target!(|payload: &[u8]| {
    for number_tail in NUMBER_TAILS {
        for key in [KeyKind::User, KeyKind::Aor, KeyKind::From, KeyKind::CallId, KeyKind::Source] {
            a_key_lies_in_the_message(payload, &rules(key, number_tail));
        }
        all_ways_to_a_user_agree(payload, number_tail);
        a_users_letters_have_no_case(payload, number_tail);
    }
});

fn rules(key: KeyKind, number_tail: u8) -> Rules {
    Rules {
        key: key as u8,
        number_tail,
        keep_alives: KeepAlives::STUN | KeepAlives::DOUBLE_CRLF,
        ..Rules::with_domains(SEED, &["example.com"])
    }
}

/// Two backends, one of them with its group down, and the VIP itself.
fn find(host: u64, port: u32) -> Named {
    let named = |backend, kind: NamedKind| Named { backend, kind: kind as u32 };
    let known = [
        ("b1", NO_PORT, named(1, NamedKind::Itself)),
        ("b1", ANY_PORT, named(1, NamedKind::Itself)),
        ("b2", 5070, named(0, NamedKind::Down)),
        ("vip", NO_PORT, named(0, NamedKind::Vip)),
    ];
    let is_meant = |(name, its_port, _): &&(&str, u32, Named)| {
        *its_port == port && name_hash(name.as_bytes(), SEED) == host
    };
    known.iter().find(is_meant).map_or(Named::NOBODY, |(_, _, named)| *named)
}

/// What is forwarded has a key or names a backend, and nothing else does; the text is within what is read.
fn a_key_lies_in_the_message(payload: &[u8], rules: &Rules) {
    let client = IpAddr::from(Ipv4Addr::new(198, 51, 100, 7));
    let source = Source { address: Address::from(client), port: Port::new(5060) };
    let message = Bytes::new(payload);
    let decision = decide(OnHost::new(payload, rules, find), &source);
    let key = decision.key;
    let has_owner = key.hash != 0 || decision.named != 0;
    assert_eq!(decision.reason.verdict() == Verdict::Forward, has_owner, "{decision:?}");
    assert_eq!(has_owner, key.source != KeySource::None, "{decision:?}");
    assert!(key.at <= key.end && key.end <= message.len(), "{decision:?}");
}

/// The shorter ways to a user's hash give what the longest one gives, or leave it to the next.
fn all_ways_to_a_user_agree(payload: &[u8], number_tail: u8) {
    let message = Bytes::new(payload);
    let agree = |limit: u64, way: fn(Bytes<'_>, u64, u64, u8, u64) -> u64| {
        let end = message.len().min(limit);
        let hash = way(message, 0, end, number_tail, SEED);
        if hash != user::NOT_SO {
            assert_eq!(hash, user::hash_decoded(message, 0, end, number_tail, SEED));
        }
    };
    agree(user::SHORT, |message, at, end, tail, seed| user::hash(message, at, end, tail, seed));
    let end = message.len().min(KEY_LIMIT);
    let length = user::plain_length(message, 0, end, number_tail);
    if length != user::NOT_SO {
        let hash = user::hash_text(message, 0, length, SEED);
        assert_eq!(hash, user::hash_decoded(message, 0, end, number_tail, SEED));
    }
}

/// A user's key is the same in capitals: servers differ on whether case counts, and splitting a user costs calls.
fn a_users_letters_have_no_case(payload: &[u8], number_tail: u8) {
    let capitals = payload.to_ascii_uppercase();
    let key = |payload| {
        let (message, end) = user_part(payload);
        user::key(message, 0, end, number_tail, SEED)
    };
    assert_eq!(key(payload), key(&capitals));
}

/// The whole payload as the user part of a URI, as far as it counts.
fn user_part(payload: &[u8]) -> (Bytes<'_>, u64) {
    let message = Bytes::new(payload);
    (message, message.len().min(KEY_LIMIT))
}
