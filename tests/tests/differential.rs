//! The kernel decides as the host does: one scanner, compiled twice, told apart by nothing.
//!
//! Messages of the corpus and thousands of damaged ones go through the loaded program and through the same rules on the
//! host. Every run makes the same messages; `SIPLB_MUTATIONS` says how many. The object that this kernel would not choose is
//! given every tenth of them.

use std::{collections::HashMap, env, sync::OnceLock};

use lb_common::{
    decide::{ANY_PORT, NO_PORT, OnHost, Source, decide, is_request, name_hash, transaction_id},
    layout::{KeyKind, Named, NamedKind, Port, Rules, Trace},
    reason::{Reason, Verdict},
    sip::Bytes,
    slot::slot,
};
use lb_user::datapath::image::{self, Moving, Phase};
use siplb_tests::{
    corpus,
    example::{self, STANDBY, VIP, client, from_client, with_domains},
    mutation::{LONGEST, Random, damaged},
    program::{Program, with_program},
};

/// Damaged messages, unless `SIPLB_MUTATIONS` says otherwise.
const MUTATIONS: usize = 20_000;

/// Host parts of the corpus that are made ours.
const DOMAINS: [&str; 4] = ["biloxi.example.com", "example.com", "[2001:db8::10]", "example.net"];

/// What is compared of a decision.
#[derive(Debug, PartialEq)]
struct Said {
    reason: Option<Reason>,
    source: u8,
    hash: u64,
    key: (u16, u16),
    method: (u16, u16),
    slot: u32,
    passed: u32,
    backend: u32,
    transaction: u64,
}

/// The names of the example, as its VIP knows them while all backends are up.
fn find(host: u64, port: u32) -> Named {
    let port_of = |name: &image::Name| match name.port {
        image::NamePort::None => NO_PORT,
        image::NamePort::Exactly(port) => u32::from(port),
        image::NamePort::Any => ANY_PORT,
    };
    let names = NAMES.get_or_init(|| {
        let entry = |(name, named): (&image::Name, &image::Named)| {
            let named = match *named {
                image::Named::Vip => Named { backend: 0, kind: NamedKind::Vip as u32 },
                image::Named::Backend(backend) => Named { backend, kind: NamedKind::Itself as u32 },
            };
            ((name_hash(name.host.as_bytes(), example::SEED), port_of(name)), named)
        };
        example::names().iter().map(entry).collect()
    });
    names.get(&(host, port)).copied().unwrap_or(Named::NOBODY)
}

static NAMES: OnceLock<HashMap<(u64, u32), Named>> = OnceLock::new();

fn host(message: &[u8], rules: &Rules) -> Said {
    let source = Source { address: client().ip().into(), port: Port::new(client().port()) };
    let decision = decide(OnHost::new(message, rules, find), &source);
    let (key, start) = (decision.key, decision.start);
    let has_transaction = decision.named == 0 && key.hash != 0 && is_request(start);
    Said {
        reason: Some(decision.reason),
        source: key.source as u8,
        hash: key.hash,
        key: (key.at as u16, key.end as u16),
        method: (start.method() as u16, start.method_end() as u16),
        slot: if key.hash != 0 && decision.reason.verdict() == Verdict::Forward { slot(key.hash) } else { 0 },
        passed: decision.passed.0,
        backend: if decision.named != 0 { decision.named } else { 0 },
        transaction: if has_transaction {
            transaction_id(Bytes::new(message), start, key.hash, VIP)
        } else {
            0
        },
    }
}

fn kernel(program: &mut Program, message: &[u8]) -> Said {
    let Trace {
        reason,
        source,
        hash,
        key_at,
        key_end,
        method_at,
        method_end,
        slot,
        passed,
        backend,
        transaction,
        ..
    } = program.run(&from_client(message).bytes()).trace;
    let (key, method) = ((key_at, key_end), (method_at, method_end));
    // A backend that was found by a slot is the table's doing.
    let backend = if hash == 0 { backend } else { 0 };
    Said {
        reason: Reason::from_number(reason),
        source,
        hash,
        key,
        method,
        slot,
        passed,
        backend,
        transaction,
    }
}

/// Every kind of key, with and without domains and number tails.
fn all_rules() -> Vec<Rules> {
    let mut all = Vec::new();
    for key in [KeyKind::User, KeyKind::Aor, KeyKind::From, KeyKind::CallId, KeyKind::Source] {
        for number_tail in [0, 10] {
            for domains in [&[], &DOMAINS[..]] {
                all.push(with_domains(key, number_tail, domains));
            }
        }
    }
    all
}

/// A state with these rules, in which a change is in progress that moves every key, so that each request has its transaction
/// read.
fn publish(program: &mut Program, rules: Rules) {
    let mut image = example::image();
    let vip = image.vips.get_mut(&VIP).expect("there is a VIP");
    vip.rules = rules;
    vip.change = Some(Moving { number: 1, other_table: vip.table, phase: Phase::Recording });
    for group in image.groups.values_mut() {
        group.other = Some(STANDBY);
    }
    program.publish(&image);
}

/// Both say the same of a message, or it is shown, cut down to what matters.
fn compare(program: &mut Program, rules: &Rules, message: &[u8], name: &str) {
    if host(message, rules) == kernel(program, message) {
        return;
    }
    let least = reduced(message, |message| host(message, rules) != kernel(program, message));
    panic!(
        "{name}, key {}, tail {}, {} domains:\n  {}\n  host   {:?}\n  kernel {:?}",
        rules.key,
        rules.number_tail,
        rules.domain_count,
        least.escape_ascii(),
        host(&least, rules),
        kernel(program, &least)
    );
}

/// The message without all that can be left out of it.
fn reduced(message: &[u8], mut is_wrong: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut message = message.to_vec();
    let mut size = message.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < message.len() {
            let end = message.len().min(at + size);
            let without = [&message[..at], &message[end..]].concat();
            if is_wrong(&without) {
                message = without;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    message
}

/// The corpus, and what it lacks: telephone numbers, folding, devices' URIs.
fn messages() -> Vec<Vec<u8>> {
    let written: [&[u8]; 9] = [
        b"BYE sip:x7@198.51.100.9:5062 SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.7\r\nRoute: \"a, \\\" <b>\" <sip:sip.example.net;lr>;x=\"1,2\" ,\r\n \
          <sip:token@192.0.2.10:15062;lr>\r\nTo: <sip:alice@example.com>;tag=2\r\nCall-ID: q\r\n\r\n",
        b"ACK sip:x7@b3.example.net SIP/2.0\nroute : sip:sip.example.net:5070\nROUTE:<sip:nobody.example.org>\nt: <sip:b@c>\n\n",
        b"SIP/2.0 200 OK\r\nt: sip:bob@example.com;tag=1\r\nVia: SIP / 2.0\r\n / UDP  B2.example.net. : 5060 ;branch=z9hG4bK1, SIP/2.0/UDP b1.example.net\r\n\r\n",
        b"SIP/2.0 404 Not Found\r\nVIA: SIP/2.0/UDP 10.0.0.13:5073;rport\r\nVia: SIP/2.0/UDP x\r\nTo: <sip:a@b>\r\nCall-ID: w\r\n\r\n",
        b"INVITE tel:+1-201-555-0123;phone-context=x SIP/2.0\r\nFrom: \"A\" <sip:0012015550123@example.com>;tag=1\r\n\
          To: <sip:+1(201)555.0123@example.com;user=phone>\r\ni: 1@h\r\n\r\n",
        b"OPTIONS sip:alice@example.com;transport=udp;gr=urn:uuid:f81d4fae SIP/2.0\nt:\n sip:%62ob@example.net;tag=1\n\
          f: \"a \\\" <b>\"\n\t<sips:carol:pw@example.com>\nCall-ID : x\n\n",
        b"REGISTER sip:example.com SIP/2.0\r\nTo: <sip:00442079460123@example.com>\r\nCall-ID: y\r\n\r\n",
        b"SIP/2.0 180 Ringing\r\nFrom: <sip:a@b>\r\nTo: \"x\" <tel:112>\r\nCall-ID: z\r\n\r\n",
        b"\r\n\r\nBYE sip:example.com SIP/2.0\r\nCall-ID:\r\n abcdefghijklmnopqrstuvwxyz0123456789@a.long.host.example.com.and.longer\r\n\r\n",
    ];
    corpus::messages().into_iter().map(|message| message.bytes).chain(written.map(<[u8]>::to_vec)).collect()
}

/// Without this, messages that have no transaction would be all that is compared.
#[test]
fn the_corpus_has_transactions_and_messages_without() {
    let rules = with_domains(KeyKind::User, 0, &DOMAINS);
    let ids: Vec<u64> = messages().iter().map(|message| host(message, &rules).transaction).collect();
    assert!(ids.iter().filter(|&&id| id != 0).count() > 30 && ids.contains(&0), "{ids:?}");
}

#[test]
fn every_message_by_every_rule() {
    with_program(|program| {
        for rules in all_rules() {
            publish(program, rules);
            for (number, message) in messages().iter().enumerate() {
                compare(
                    program,
                    &rules,
                    &message[..message.len().min(LONGEST)],
                    &format!("message {number}"),
                );
            }
        }
    });
}

/// A message that ends anywhere, so that every word and window is cut at every byte.
#[test]
fn every_beginning_of_some_messages() {
    with_program(|program| {
        for rules in [with_domains(KeyKind::From, 10, &DOMAINS), with_domains(KeyKind::Aor, 0, &[])] {
            publish(program, rules);
            for message in messages().iter().filter(|message| message.len() < 400) {
                for length in 0..message.len() {
                    compare(program, &rules, &message[..length], &format!("{length} bytes"));
                }
            }
        }
    });
}

#[test]
fn damaged_messages() {
    let count = match env::var("SIPLB_MUTATIONS") {
        Ok(text) => text.parse().expect("SIPLB_MUTATIONS is a number"),
        Err(_) => MUTATIONS,
    };
    let (messages, all_rules) = (messages(), all_rules());
    with_program(|program| {
        let each = count / all_rules.len();
        for (chapter, rules) in all_rules.iter().enumerate() {
            publish(program, *rules);
            let step = if program.is_chosen() { 1 } else { 10 };
            for number in (chapter * each..(chapter + 1) * each).step_by(step) {
                let message = damaged(&mut Random::new(number as u64), &messages);
                compare(program, rules, &message, &format!("damaged message {number}"));
            }
        }
    });
}

/// Damage reaches everything: without this, a generator gone dull would go unseen.
#[test]
fn damage_provokes_every_reason_of_a_decision() {
    let messages = messages();
    let rules = with_domains(KeyKind::User, 0, &DOMAINS);
    let mut unseen: Vec<Reason> = Reason::ALL
        .iter()
        .copied()
        .filter(|reason| (Reason::Forwarded as u8..=Reason::ResponseUnnamed as u8).contains(&(*reason as u8)))
        .chain([
            Reason::Named,
            Reason::DialogUnnamed,
            Reason::Empty,
            Reason::Nul,
            Reason::Runt,
            Reason::NotSip,
            Reason::Stun,
            Reason::MethodTooLong,
            Reason::RequestUriUnreadable,
            Reason::ToMissing,
            Reason::ToUnreadable,
            Reason::HeaderLimit,
        ])
        .collect();
    for number in 0..MUTATIONS {
        let message = damaged(&mut Random::new(number as u64), &messages);
        assert!(message.len() <= LONGEST);
        unseen.retain(|reason| host(&message, &rules).reason != Some(*reason));
        if unseen.is_empty() {
            return;
        }
    }
    panic!("never provoked: {unseen:?}");
}
