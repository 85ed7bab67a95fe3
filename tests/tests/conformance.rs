//! What decides is what an independent parser reads: the user of To in a REGISTER, of the Request-URI otherwise.
//!
//! The other parser is Kamailio's; `corpus/README.md` says how its reading was had. It leaves percent-escapes and user
//! parameters in the user, so its text first goes through [`canonical`], written here once more from RFC 3261 and
//! RFC 3966 and not taken from the code under test.

use lb_common::{
    decide::{Decision, OnHost, Source, decide},
    layout::{KeySource, Named, Port, Rules, Trace},
    reason::Reason,
    sip::{Bytes, user},
};
use siplb_tests::{
    corpus::{self, Message},
    example::{client, from_client, rules},
    mutation::LONGEST,
    program::with_program,
};

/// Messages that Kamailio drops or can't read, and that have an owner all the same: id, section, who decides.
const WITHOUT_KAMAILIO: [(&str, &str, KeySource, &str); 9] = [
    ("wsinv", "RFC 4475 section 3.1.1.1", KeySource::RequestUri, "vivekg"),
    ("quotbal", "RFC 4475 section 3.1.2.6", KeySource::RequestUri, "user"),
    ("ltgtruri", "RFC 4475 section 3.1.2.7", KeySource::RequestUri, "user"),
    ("lwsruri", "RFC 4475 section 3.1.2.8", KeySource::RequestUri, "user"),
    ("lwsstart", "RFC 4475 section 3.1.2.9", KeySource::RequestUri, "user"),
    ("badvers", "RFC 4475 section 3.1.2.16", KeySource::RequestUri, "t.watson"),
    ("unkscm", "RFC 4475 section 3.3.2", KeySource::To, "user"),
    ("novelsc", "RFC 4475 section 3.3.3", KeySource::To, "user"),
    ("4.2_ipv6-bad", "RFC 5118 section 4.2", KeySource::To, "user"),
];

/// Messages that are not forwarded, by a rule or a limit of ours: id, reason, why.
const NOT_FORWARDED: [(&str, Reason, &str); 1] =
    [("unksm2", Reason::ToUnreadable, "RFC 4475 section 3.3.4: a REGISTER of an ISBN is no guess of ours")];

/// Who decides about a message, and by which bytes.
#[derive(Debug, PartialEq)]
struct Decider {
    source: KeySource,
    user: Vec<u8>,
}

/// The canonical user, from the text between `sip:` and `@`: cut, decoded once, and a number without its separators.
fn canonical(text: &str) -> Vec<u8> {
    let latin: Vec<u8> = text.chars().map(|character| character as u8).collect();
    let cut = latin.split(|&byte| byte == b':' || byte == b';').next().unwrap_or_default();
    let mut user = Vec::new();
    let mut rest = cut;
    while let [byte, behind @ ..] = rest {
        let escaped =
            behind.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        (user, rest) = match escaped {
            Some(escaped) if *byte == b'%' => ([user, vec![escaped]].concat(), &behind[2..]),
            _ => ([user, vec![*byte]].concat(), behind),
        };
    }
    let number = user.strip_prefix(b"+").unwrap_or(&user);
    let is_number = number.iter().any(u8::is_ascii_digit)
        && number.iter().all(|byte| byte.is_ascii_digit() || b"-.()".contains(byte));
    if is_number {
        user.retain(|byte| !b"-.()".contains(byte));
    }
    user
}

/// What follows from Kamailio's reading; nothing where it names no user.
fn by_kamailio(message: &Message) -> Option<Decider> {
    let reading = &message.kamailio;
    let (uri, to) = (reading.request_user.as_deref(), reading.to_user.as_deref());
    let is_register = reading.method.as_deref() == Some("REGISTER");
    let (source, user) = match uri.map(canonical) {
        Some(user) if !is_register && !user.is_empty() => (KeySource::RequestUri, user),
        _ => (KeySource::To, to.map(canonical)?),
    };
    Some(Decider { source, user })
}

/// The canonical user in the text that our decision points at.
fn decider(message: &[u8], source: KeySource, at: u64, end: u64) -> Decider {
    let key = user::canonical(Bytes::new(message), at, end, 0);
    Decider { source, user: key.bytes()[..key.length as usize].to_vec() }
}

/// The requests whose owner is known, with who decides.
fn requests() -> Vec<(Message, Decider)> {
    let mut requests = Vec::new();
    for message in corpus::messages() {
        if NOT_FORWARDED.iter().any(|(id, ..)| *id == message.id) {
            continue;
        }
        let decider = match WITHOUT_KAMAILIO.iter().find(|(id, ..)| *id == message.id) {
            Some((_, _, source, user)) => Some(Decider { source: *source, user: user.as_bytes().to_vec() }),
            None if message.kamailio.seen.as_deref() != Some("req") || message.kamailio.uri == 0 => None,
            None => by_kamailio(&message),
        };
        requests.extend(decider.map(|decider| (message, decider)));
    }
    assert!(requests.len() > 60, "{} requests", requests.len());
    requests
}

/// What the rules say where no backend has a name.
fn decided(message: &[u8], rules: &Rules) -> Decision {
    decide(OnHost::new(message, rules, |_, _| Named::NOBODY), &source())
}

fn source() -> Source {
    Source { address: client().ip().into(), port: Port::new(client().port()) }
}

#[test]
fn the_host_reads_the_user_that_kamailio_reads() {
    for (message, expected) in requests() {
        let decision = decided(&message.bytes, &rules());
        let found = decider(&message.bytes, decision.key.source, decision.key.at, decision.key.end);
        assert_eq!(found, expected, "{}, {}", message.id, decision.reason.name());
        assert!(
            [Reason::Forwarded, Reason::FallbackTo, Reason::DialogUnnamed].contains(&decision.reason),
            "{}",
            message.id
        );
    }
}

#[test]
fn the_kernel_reads_the_user_that_kamailio_reads() {
    with_program(|program| {
        for (message, expected) in requests() {
            let payload = &message.bytes[..message.bytes.len().min(LONGEST)];
            let Trace { source, key_at, key_end, .. } = program.run(&from_client(payload).bytes()).trace;
            let found = decider(payload, KeySource::ALL[usize::from(source)], key_at.into(), key_end.into());
            assert_eq!(found, expected, "{}", message.id);
        }
    });
}

#[test]
fn what_is_not_forwarded_is_listed() {
    let messages = corpus::messages();
    for (id, reason, why) in NOT_FORWARDED {
        let message = messages.iter().find(|message| message.id == id).expect("it is in the corpus");
        assert_eq!(decided(&message.bytes, &rules()).reason, reason, "{id}: {why}");
    }
    for (id, section, ..) in WITHOUT_KAMAILIO {
        let reading =
            &messages.iter().find(|message| message.id == id).expect("it is in the corpus").kamailio;
        assert!(reading.seen.is_none() || reading.uri == 0, "{id}, {section}: Kamailio reads it");
    }
}

#[test]
fn canonical_users_of_the_rfcs() {
    for (text, user) in [
        ("%61lice", &b"alice"[..]),
        ("alice:pw;x", b"alice"),
        ("alice;x:pw", b"alice"),
        ("a%3Ab", b"a:b"),
        ("100%", b"100%"),
        ("+1-(201).5", b"+12015"),
        ("j.user", b"j.user"),
    ] {
        assert_eq!(canonical(text), user, "{text}");
    }
}
