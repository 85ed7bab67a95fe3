//! The rules at a VIP: from a message to the backend that it names, or to the key that decides where it goes.
//!
//! Kernel and host run this very code; docs/sip-behaviour.md states the rules with their sources. In order:
//!
//! 1. REGISTER, third-party too: user of To, always; of a To without user its host. One that can't be read is dropped.
//! 2. A request whose Request-URI host is one of the VIP's domains, without `gr`: user of the Request-URI.
//! 3. Another request that names a backend: by its topmost Route, behind those that name the VIP itself; else by the
//!    host of its Request-URI; else by the port of the VIP that it came to, if that is one backend's own.
//! 4. A request without these: what the VIP's `key` names.
//! 5. A response: the backend that its topmost Via names; else user of To.
//! 6. What is no SIP: by its kind, dropped or sent on by its source.
//!
//! Where 4 or 5 find no user: the user of To, then Call-ID, then source address and port.

mod key;
pub mod names;
mod passed;
#[cfg(test)]
mod tests;
mod transaction;

pub use key::{Key, Source, domain_hash, first_domain};
pub use names::{ANY_PORT, AtVip, Found, Lookup, NO_PORT, OnHost, name_hash};
pub use passed::PassedOver;
pub use transaction::{follows_invite, is_request, transaction_id};

use crate::{
    layout::{KeepAlives, KeyKind, KeySource, NamedKind, Rules},
    reason::Reason,
    sip::{
        Message,
        headers::{Headers, Wanted},
        start_line::{Kind, StartLine},
        uri::{self, Form, Scheme, Uri},
    },
};
use key::{address_of, call_id, host_key, is_ours, user_of};

/// What the rules make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why; its verdict says whether there is a backend or a key.
    pub reason: Reason,
    /// Id of the backend that was named; 0 is none, then the key decides.
    pub named: u32,
    /// The key; where a backend was named, without a hash: the text that names it.
    pub key: Key,
    /// Kind of the message, and where its method lies.
    pub start: StartLine,
    /// Which rules were passed over before the one that decided, and why.
    pub passed: PassedOver,
    /// The text that should have named a backend, where a response or a request within a dialog named none: the host of its
    /// Via or Route. Empty where it has none.
    pub unnamed: Found,
}

/// What a rule says: the reason, and a backend or a key.
type Ruling = (Reason, u32, Key);

/// What is known of a message that is not decided yet. Each stage below reads on where the one before ended.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Known {
    start: StartLine,
    uri: Uri,
    headers: Headers,
    found: Found,
    unnamed: Found,
    passed: PassedOver,
    pad: u32,
}

impl Known {
    /// Nothing.
    pub const NOTHING: Self = Self {
        start: StartLine(0),
        uri: Uri(0),
        headers: Headers(0),
        found: Found::NOBODY,
        unnamed: Found::NOBODY,
        passed: PassedOver::NOTHING,
        pad: 0,
    };

    #[inline(always)]
    fn decide(&self, (reason, named, key): Ruling) -> Decision {
        Decision { reason, named, key, start: self.start, passed: self.passed, unnamed: self.unnamed }
    }
}

/// Decides about a message.
#[inline(always)]
pub fn decide<A: AtVip>(at_vip: A, source: &Source) -> Decision {
    let mut known = Known::NOTHING;
    by_first_line(at_vip, &mut known, source)
        .or_else(|| by_name(at_vip, &mut known))
        .unwrap_or_else(|| by_key(at_vip, &mut known, source))
}

/// Stage one, rules 1, 2 and 6: what its first line decides, or To in a REGISTER.
#[inline(always)]
pub fn by_first_line<A: AtVip>(at_vip: A, known: &mut Known, source: &Source) -> Option<Decision> {
    let message = at_vip.message();
    let rules = at_vip.rules();
    let start = message.start_line();
    *known = Known { start, ..Known::NOTHING };
    let no_sip = |kind, forwarded, dropped| keep_alive(rules, source, kind, forwarded, dropped);
    let ruling = match start.kind() {
        Kind::Register => register(message, rules, start),
        Kind::Request => return by_request_line(message, rules, known),
        Kind::Response => return None,
        Kind::Empty => (Reason::Empty, 0, Key::NONE),
        Kind::Crlf => no_sip(KeepAlives::CRLF, Reason::CrlfForwarded, Reason::KeepAlive),
        Kind::DoubleCrlf => no_sip(KeepAlives::DOUBLE_CRLF, Reason::CrlfForwarded, Reason::KeepAlive),
        Kind::Nul => no_sip(KeepAlives::NUL, Reason::NulForwarded, Reason::Nul),
        Kind::StunBinding => no_sip(KeepAlives::STUN, Reason::StunForwarded, Reason::Stun),
        Kind::Stun => no_sip(KeepAlives::JUNK, Reason::JunkForwarded, Reason::Stun),
        Kind::Runt => no_sip(KeepAlives::JUNK, Reason::JunkForwarded, Reason::Runt),
        Kind::NotSip => no_sip(KeepAlives::JUNK, Reason::JunkForwarded, Reason::NotSip),
        Kind::MethodTooLong => no_sip(KeepAlives::JUNK, Reason::JunkForwarded, Reason::MethodTooLong),
    };
    Some(known.decide(ruling))
}

/// Rule 1.
#[inline(always)]
fn register<M: Message>(message: M, rules: &Rules, start: StartLine) -> Ruling {
    let headers = message.headers(start.uri(), Wanted::TO, Wanted::TO);
    if headers.to() == 0 {
        let all_read = headers.is_whole() || !message.is_cut();
        return (if all_read { Reason::ToMissing } else { Reason::HeaderLimit }, 0, Key::NONE);
    }
    let uri = address_of(message, headers.to());
    let key = user_of(message, rules, uri, KeySource::To);
    if key.hash != 0 {
        return (Reason::Forwarded, 0, key);
    }
    let key = host_key(message, rules, uri);
    (if key.hash != 0 { Reason::Forwarded } else { Reason::ToUnreadable }, 0, key)
}

/// Rule 2.
#[inline(always)]
fn by_request_line<M: Message>(message: M, rules: &Rules, known: &mut Known) -> Option<Decision> {
    // In place, since nearly every message comes by here: a call would cost what the scan does.
    let uri = uri::scan(message, known.start.uri(), Form::Enclosed);
    if uri.scheme() as u8 == Scheme::Unreadable as u8 {
        return Some(known.decide((Reason::RequestUriUnreadable, 0, Key::NONE)));
    }
    known.uri = uri;
    if !is_ours(message, rules, uri, &mut known.passed) {
        return None;
    }
    let key = user_of(message, rules, uri, KeySource::RequestUri);
    if key.hash == 0 {
        known.passed.add(PassedOver::OURS_WITHOUT_USER);
        return None;
    }
    Some(known.decide((Reason::Forwarded, 0, key)))
}

/// Stage two, rules 3 and 5: whom a request or a response names.
#[inline(always)]
pub fn by_name<A: AtVip>(at_vip: A, known: &mut Known) -> Option<Decision> {
    let is_response = known.start.kind() as u8 == Kind::Response as u8;
    let found = if is_response { named_by_via(at_vip, known) } else { named_by_request(at_vip, known) };
    known.found = found;
    if found.is_serving() {
        return Some(known.decide((found.reason(), found.backend(), found.key())));
    }
    if found.is_down() && is_response {
        return Some(known.decide((Reason::NamedGroupDown, 0, Key::NONE)));
    }
    None
}

#[inline(always)]
fn named_by_request<A: AtVip>(at_vip: A, known: &mut Known) -> Found {
    let message = at_vip.message();
    let (headers, uri) = (message.headers(known.start.uri(), Wanted::DECIDING, Wanted::ROUTE), known.uri);
    known.headers = headers;
    let mut found = Found::NOBODY;
    if headers.route() == 0 {
        let is_cut = !headers.is_whole() && message.is_cut();
        known.passed.add(if is_cut { PassedOver::CUT } else { PassedOver::NO_ROUTE });
    } else {
        found = at_vip.by_route(headers.route()).from(KeySource::Route);
        known.passed.add(match found.kind() {
            NamedKind::Vip => PassedOver::ROUTE_OURS,
            NamedKind::Nobody => PassedOver::ROUTE_UNKNOWN,
            NamedKind::Down => PassedOver::DOWN,
            _ => PassedOver::NOTHING,
        });
    }
    if found.is_a_backend() {
        return found;
    }
    // Without a Route there is no text to keep: the Request-URI has the other side's host, and not a server's.
    known.unnamed = found.from(KeySource::Route);
    if uri.scheme() as u8 == Scheme::Sip as u8 {
        found = at_vip.by_host(uri.host()).from(KeySource::RequestUriHost);
        if found.is_a_backend() {
            known.passed.add(if found.is_down() { PassedOver::DOWN } else { PassedOver::NOTHING });
            return found;
        }
    }
    known.passed.add(PassedOver::URI_UNKNOWN);
    Found::own(at_vip.rules().own)
}

#[inline(always)]
fn named_by_via<A: AtVip>(at_vip: A, known: &mut Known) -> Found {
    let message = at_vip.message();
    let via = message.headers(known.start.uri(), Wanted::VIA, Wanted::VIA).via();
    let mut found = Found::NOBODY;
    if via != 0 {
        found = at_vip.by_via(via).from(KeySource::Via);
    }
    known.passed.add(match found.kind() {
        NamedKind::Nobody if via == 0 => PassedOver::NO_VIA,
        NamedKind::Nobody | NamedKind::Vip => PassedOver::VIA_UNKNOWN,
        NamedKind::Down => PassedOver::DOWN,
        _ => PassedOver::NOTHING,
    });
    if found.is_a_backend() {
        return found;
    }
    known.unnamed = found;
    Found::own(at_vip.rules().own)
}

/// Stage three, rule 4 and what is left of rule 5.
#[inline(always)]
pub fn by_key<A: AtVip>(at_vip: A, known: &mut Known, source: &Source) -> Decision {
    let message = at_vip.message();
    let (start, mut headers) = (known.start, known.headers);
    // A pass that ended at a Route has not seen what stands behind it, and one that looked for Via saw nothing else.
    let is_response = start.kind() as u8 == Kind::Response as u8;
    if is_response || headers.route() != 0 {
        headers = message.headers(start.uri(), Wanted::KEYS, Wanted::KEYS);
    }
    let (reason, key) = if is_response {
        by_to(at_vip, source, headers, &mut known.passed, Reason::ResponseUnnamed)
    } else {
        by_key_of_pool(at_vip, source, known.uri, headers, &mut known.passed)
    };
    let reason = if is_response {
        reason
    } else if known.found.is_down() {
        Reason::NamedByKey
    } else {
        unnamed(message, at_vip.rules(), start, reason)
    };
    known.decide((reason, 0, key))
}

#[inline(always)]
fn by_key_of_pool<A: AtVip>(
    at_vip: A,
    source: &Source,
    uri: Uri,
    headers: Headers,
    passed: &mut PassedOver,
) -> (Reason, Key) {
    let message = at_vip.message();
    let rules = at_vip.rules();
    let mut key = Key::NONE;
    if rules.key == KeyKind::User as u8 || rules.key == KeyKind::Aor as u8 {
        key = user_of(message, rules, uri, KeySource::RequestUri);
    } else if rules.key == KeyKind::From as u8 {
        if headers.from() != 0 {
            key = user_of(message, rules, address_of(message, headers.from()), KeySource::From);
        }
    } else if rules.key == KeyKind::CallId as u8 {
        key = call_id(message, rules, headers.call_id());
    } else {
        key = source.key(rules.seed);
    }
    if key.hash != 0 {
        return (Reason::Forwarded, key);
    }
    passed.add(PassedOver::NO_USER);
    by_to(at_vip, source, headers, passed, Reason::FallbackTo)
}

/// What rules 4 and 5 fall back on.
#[inline(always)]
fn by_to<A: AtVip>(
    at_vip: A,
    source: &Source,
    headers: Headers,
    passed: &mut PassedOver,
    reason: Reason,
) -> (Reason, Key) {
    let message = at_vip.message();
    let rules = at_vip.rules();
    if headers.to() != 0 {
        let key = user_of(message, rules, address_of(message, headers.to()), KeySource::To);
        if key.hash != 0 {
            return (reason, key);
        }
    }
    passed.add(PassedOver::NO_TO_USER);
    let key = call_id(message, rules, headers.call_id());
    if key.hash != 0 {
        return (Reason::FallbackCallId, key);
    }
    passed.add(PassedOver::NO_CALL_ID);
    (Reason::FallbackSource, source.key(rules.seed))
}

/// The reason for a request that goes by key: those that begin nothing should have named their server. With Call-IDs for
/// keys they need not, since the whole dialog has one.
#[inline(always)]
fn unnamed<M: Message>(message: M, rules: &Rules, start: StartLine, reason: Reason) -> Reason {
    let method = message.word(start.method());
    let begins_nothing = method & 0xffff_ffff == BYE
        || method & 0xff_ffff_ffff == INFO
        || method & 0xffff_ffff_ffff == PRACK
        || method & 0xff_ffff_ffff_ffff == UPDATE;
    let is_by_user = reason as u8 == Reason::Forwarded as u8 && rules.key != KeyKind::CallId as u8;
    if begins_nothing && is_by_user { Reason::DialogUnnamed } else { reason }
}

const BYE: u64 = u32::from_le_bytes(*b"BYE ") as u64;
const INFO: u64 = u64::from_le_bytes(*b"INFO \0\0\0");
const PRACK: u64 = u64::from_le_bytes(*b"PRACK \0\0");
const UPDATE: u64 = u64::from_le_bytes(*b"UPDATE \0");

/// Rule 6.
#[inline(always)]
fn keep_alive(rules: &Rules, source: &Source, kind: u8, forwarded: Reason, dropped: Reason) -> Ruling {
    if rules.keep_alives & kind == 0 {
        return (dropped, 0, Key::NONE);
    }
    let own = Found::own(rules.own);
    if own.is_serving() {
        (forwarded, own.backend(), own.key())
    } else {
        (forwarded, 0, source.key(rules.seed))
    }
}
