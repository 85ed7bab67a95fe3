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
        ordinary::{self, Host},
        start_line::{self, Kind, StartLine},
        uri::{Form, Scheme, Uri},
    },
};
use key::{call_id, host_key, is_ours, user_in, user_of};

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
    /// Hash of the user in `uri`; 0 is not known yet.
    user: u64,
    /// Host in `uri`; its end is 0 where it is not known yet.
    host: Host,
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
        user: 0,
        host: Host { end: 0, hash: 0 },
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
    if let Some(decision) = by_first_line(at_vip, &mut known, source) {
        return decision;
    }
    let named = by_ordinary_name(at_vip, &mut known).unwrap_or_else(|| by_name(at_vip, &mut known));
    named.unwrap_or_else(|| by_key(at_vip, &mut known, source))
}

/// Stage one, rules 1, 2 and 6: what its first line decides, or To in a REGISTER.
#[inline(always)]
pub fn by_first_line<A: AtVip>(at_vip: A, known: &mut Known, source: &Source) -> Option<Decision> {
    let message = at_vip.message();
    let rules = at_vip.rules();
    let start = match start_line::ordinary(message) {
        Some(start) => start,
        None => message.start_line(),
    };
    let start = StartLine(message.hide(start.0));
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
    let (uri, key) = user_in(message, rules, headers.to(), KeySource::To);
    if key.hash != 0 {
        return (Reason::Forwarded, 0, key);
    }
    let key = host_key(message, rules, uri);
    (if key.hash != 0 { Reason::Forwarded } else { Reason::ToUnreadable }, 0, key)
}

/// Rule 2.
#[inline(always)]
fn by_request_line<M: Message>(message: M, rules: &Rules, known: &mut Known) -> Option<Decision> {
    let at = known.start.uri();
    let (uri, user) = match ordinary::request_user(message, at, rules.number_tail, rules.seed) {
        Some(user) => (user.uri, user.hash),
        None => (message.uri(at, Form::Enclosed), 0),
    };
    let (uri, user) = (Uri(message.hide(uri.0)), message.hide(user));
    if uri.scheme() as u8 == Scheme::Unreadable as u8 {
        return Some(known.decide((Reason::RequestUriUnreadable, 0, Key::NONE)));
    }
    (known.uri, known.user) = (uri, user);
    if !is_ours(message, rules, uri, known) {
        return None;
    }
    let key = user_of(message, rules, uri, user, KeySource::RequestUri);
    if key.hash == 0 {
        known.passed.add(PassedOver::OURS_WITHOUT_USER);
        return None;
    }
    Some(known.decide((Reason::Forwarded, 0, key)))
}

/// Stage two, rules 3 and 5: whom a request or a response names in an ordinary way. Finds the headers, and leaves other
/// ways to [`by_name`], by answering nothing at all.
#[inline(always)]
pub fn by_ordinary_name<A: AtVip>(at_vip: A, known: &mut Known) -> Option<Option<Decision>> {
    let is_response = known.start.kind() as u8 == Kind::Response as u8;
    // A user that is known already is the key, whatever other headers say.
    let has_key = known.user != 0 && at_vip.rules().key == KeyKind::User as u8;
    let of_request = if has_key { Wanted::ROUTE } else { Wanted::DECIDING };
    let wanted = if is_response { Wanted::VIA } else { of_request };
    let until = if is_response { Wanted::VIA } else { Wanted::ROUTE };
    known.headers = at_vip.message().headers(known.start.uri(), wanted, until);
    let decision = named(at_vip, known, true)?;
    if decision.is_some() || is_response || !has_key {
        return Some(decision);
    }
    let uri = known.uri;
    let key = Key { source: KeySource::RequestUri, hash: known.user, at: uri.user(), end: uri.user_end() };
    Some(Some(known.decide((keyed(at_vip, known, Reason::Forwarded), 0, key))))
}

/// Stage three: the same in any way, behind [`by_ordinary_name`].
#[inline(always)]
pub fn by_name<A: AtVip>(at_vip: A, known: &mut Known) -> Option<Decision> {
    named(at_vip, known, false).unwrap_or(None)
}

#[inline(always)]
fn named<A: AtVip>(at_vip: A, known: &mut Known, ordinarily: bool) -> Option<Option<Decision>> {
    let is_response = known.start.kind() as u8 == Kind::Response as u8;
    let found = if is_response {
        named_by_via(at_vip, known, ordinarily)?
    } else {
        named_by_request(at_vip, known, ordinarily)?
    };
    known.found = found;
    if found.is_serving() {
        return Some(Some(known.decide((found.reason(), found.backend(), found.key()))));
    }
    if found.is_down() && is_response {
        return Some(Some(known.decide((Reason::NamedGroupDown, 0, Key::NONE))));
    }
    Some(None)
}

#[inline(always)]
fn named_by_request<A: AtVip>(at_vip: A, known: &mut Known, ordinarily: bool) -> Option<Found> {
    let message = at_vip.message();
    let (headers, uri) = (known.headers, known.uri);
    let mut found = Found::NOBODY;
    if headers.route() == 0 {
        let is_cut = !headers.is_whole() && message.is_cut();
        known.passed.add(if is_cut { PassedOver::CUT } else { PassedOver::NO_ROUTE });
    } else {
        found = if ordinarily {
            names::ordinary_route(at_vip, headers.route())?
        } else {
            at_vip.by_route(headers.route())
        };
        found = Found(message.hide(found.from(KeySource::Route).0));
        known.passed.add(match found.kind() {
            NamedKind::Vip => PassedOver::ROUTE_OURS,
            NamedKind::Nobody => PassedOver::ROUTE_UNKNOWN,
            NamedKind::Down => PassedOver::DOWN,
            _ => PassedOver::NOTHING,
        });
    }
    if found.is_a_backend() {
        return Some(found);
    }
    // Without a Route there is no text to keep: the Request-URI has the other side's host, and not a server's.
    known.unnamed = found.from(KeySource::Route);
    if uri.scheme() as u8 == Scheme::Sip as u8 {
        found = if ordinarily {
            names::ordinary_host(at_vip, uri.host(), known.host)?
        } else {
            at_vip.by_host(uri.host())
        };
        found = Found(message.hide(found.from(KeySource::RequestUriHost).0));
        if found.is_a_backend() {
            known.passed.add(if found.is_down() { PassedOver::DOWN } else { PassedOver::NOTHING });
            return Some(found);
        }
    }
    known.passed.add(PassedOver::URI_UNKNOWN);
    Some(Found::own(at_vip.rules().own))
}

#[inline(always)]
fn named_by_via<A: AtVip>(at_vip: A, known: &mut Known, ordinarily: bool) -> Option<Found> {
    let message = at_vip.message();
    let via = known.headers.via();
    let mut found = Found::NOBODY;
    if via != 0 {
        found = if ordinarily { names::ordinary_via(at_vip, via)? } else { at_vip.by_via(via) };
        found = Found(message.hide(found.from(KeySource::Via).0));
    }
    known.passed.add(match found.kind() {
        NamedKind::Nobody if via == 0 => PassedOver::NO_VIA,
        NamedKind::Nobody | NamedKind::Vip => PassedOver::VIA_UNKNOWN,
        NamedKind::Down => PassedOver::DOWN,
        _ => PassedOver::NOTHING,
    });
    if found.is_a_backend() {
        return Some(found);
    }
    known.unnamed = found;
    Some(Found::own(at_vip.rules().own))
}

/// Stage four, rule 4 and what is left of rule 5.
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
        by_key_of_pool(at_vip, source, headers, known)
    };
    let reason = if is_response { reason } else { keyed(at_vip, known, reason) };
    known.decide((reason, 0, key))
}

#[inline(always)]
fn by_key_of_pool<A: AtVip>(
    at_vip: A,
    source: &Source,
    headers: Headers,
    known: &mut Known,
) -> (Reason, Key) {
    let message = at_vip.message();
    let rules = at_vip.rules();
    let mut key = Key::NONE;
    if rules.key == KeyKind::User as u8 || rules.key == KeyKind::Aor as u8 {
        key = user_of(message, rules, known.uri, known.user, KeySource::RequestUri);
    } else if rules.key == KeyKind::From as u8 {
        if headers.from() != 0 {
            key = user_in(message, rules, headers.from(), KeySource::From).1;
        }
    } else if rules.key == KeyKind::CallId as u8 {
        key = call_id(message, rules, headers.call_id());
    } else {
        key = source.key(rules.seed);
    }
    if key.hash != 0 {
        return (Reason::Forwarded, key);
    }
    known.passed.add(PassedOver::NO_USER);
    by_to(at_vip, source, headers, &mut known.passed, Reason::FallbackTo)
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
        let key = user_in(message, rules, headers.to(), KeySource::To).1;
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

/// The reason for a request that goes by key, of which the key alone would give `reason`.
#[inline(always)]
fn keyed<A: AtVip>(at_vip: A, known: &Known, reason: Reason) -> Reason {
    if known.found.is_down() {
        Reason::NamedByKey
    } else {
        unnamed(at_vip.message(), at_vip.rules(), known.start, reason)
    }
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
