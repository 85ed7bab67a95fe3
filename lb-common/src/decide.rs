//! The rules at a VIP: from a message to the key that decides where it goes.
//!
//! Kernel and host run this very code; docs/sip-behaviour.md states the rules with their sources. In order:
//!
//! 1. REGISTER, third-party too: user of To, always; of a To without user its host. One that can't be read is dropped.
//! 2. A request whose Request-URI host is one of the VIP's domains, without `gr`: user of the Request-URI.
//! 3. Any other request: what the VIP's `key` names.
//! 4. A response: user of To.
//!
//! Where 2, 3 or 4 find no user: the user of To, then Call-ID, then source address and port.

use crate::{
    hash::{WORDS, key_hash},
    layout::{Address, KeyKind, KeySource, Port, Rules},
    reason::Reason,
    sip::{
        Message,
        headers::Wanted,
        start_line::{Kind, StartLine},
        uri::{Form, Scheme, Uri},
        user,
    },
};

/// What the rules make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why; its verdict says whether there is a key.
    pub reason: Reason,
    /// The key.
    pub key: Key,
    /// Kind of the message, and where its method lies.
    pub start: StartLine,
}

/// A key: where it came from, its hash, and the text it was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it came from.
    pub source: KeySource,
    /// Its hash; 0 is no key.
    pub hash: u64,
    /// Offset of the text in the payload.
    pub at: u64,
    /// Offset behind it.
    pub end: u64,
}

impl Key {
    const NONE: Self = Self { source: KeySource::None, hash: 0, at: 0, end: 0 };
}

/// Where a packet came from, which is the last resort for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// IP address.
    pub address: Address,
    /// Port.
    pub port: Port,
}

impl Source {
    /// The key of the source itself.
    #[inline(always)]
    pub fn key(&self, seed: u64) -> Key {
        let [a, b, c, d] = self.address.words.map(|word| word as u64);
        let mut words = [0; WORDS];
        (words[0], words[1], words[2]) = (a | b << 32, c | d << 32, self.port.0 as u64);
        Key { source: KeySource::Source, hash: key_hash(&words, 3, seed), at: 0, end: 0 }
    }
}

/// Decides about a message.
#[inline(always)]
pub fn decide<M: Message>(message: M, rules: &Rules, source: &Source) -> Decision {
    let start = message.start_line();
    let (reason, key) = match start.kind() {
        Kind::Register => register(message, rules, start),
        Kind::Request => request(message, rules, source, start),
        Kind::Response => by_to(message, rules, source, start, Reason::ResponseUnnamed),
        Kind::Empty => (Reason::Empty, Key::NONE),
        Kind::KeepAlive => (Reason::KeepAlive, Key::NONE),
        Kind::Stun => (Reason::Stun, Key::NONE),
        Kind::Runt => (Reason::Runt, Key::NONE),
        Kind::NotSip => (Reason::NotSip, Key::NONE),
        Kind::MethodTooLong => (Reason::MethodTooLong, Key::NONE),
    };
    Decision { reason, key, start }
}

/// Rule 1.
#[inline(always)]
fn register<M: Message>(message: M, rules: &Rules, start: StartLine) -> (Reason, Key) {
    let headers = message.headers(start.uri(), Wanted::TO);
    if headers.to() == 0 {
        let all_read = headers.is_whole() || !message.is_cut();
        return (if all_read { Reason::ToMissing } else { Reason::HeaderLimit }, Key::NONE);
    }
    let uri = address_of(message, headers.to());
    let key = user_of(message, rules, uri, KeySource::To);
    if key.hash != 0 {
        return (Reason::Forwarded, key);
    }
    if uri.scheme() as u8 != Scheme::Sip as u8 {
        return (Reason::ToUnreadable, Key::NONE);
    }
    let end = message.host_end(uri.host());
    let hash = host_hash(message, uri.host(), end, rules.seed);
    if hash == 0 || is_cut_at(message, end) {
        return (Reason::ToUnreadable, Key::NONE);
    }
    (Reason::Forwarded, Key { source: KeySource::To, hash, at: uri.host(), end })
}

/// Rules 2 and 3.
#[inline(always)]
fn request<M: Message>(message: M, rules: &Rules, source: &Source, start: StartLine) -> (Reason, Key) {
    let uri = message.uri(start.uri(), Form::Enclosed);
    if uri.scheme() as u8 == Scheme::Unreadable as u8 {
        return (Reason::RequestUriUnreadable, Key::NONE);
    }
    if rules.key == KeyKind::User as u8 || rules.key == KeyKind::Aor as u8 || is_ours(message, rules, uri) {
        let key = user_of(message, rules, uri, KeySource::RequestUri);
        if key.hash != 0 {
            return (Reason::Forwarded, key);
        }
    } else if rules.key == KeyKind::From as u8 {
        let headers = message.headers(start.uri(), Wanted::FROM);
        if headers.from() != 0 {
            let key = user_of(message, rules, address_of(message, headers.from()), KeySource::From);
            if key.hash != 0 {
                return (Reason::Forwarded, key);
            }
        }
    } else if rules.key == KeyKind::CallId as u8 {
        let headers = message.headers(start.uri(), Wanted::CALL_ID);
        let key = call_id(message, rules, headers.call_id());
        if key.hash != 0 {
            return (Reason::Forwarded, key);
        }
    } else {
        return (Reason::Forwarded, source.key(rules.seed));
    }
    by_to(message, rules, source, start, Reason::FallbackTo)
}

/// Rule 4, and what every rule falls back on.
#[inline(always)]
fn by_to<M: Message>(
    message: M,
    rules: &Rules,
    source: &Source,
    start: StartLine,
    reason: Reason,
) -> (Reason, Key) {
    let headers = message.headers(start.uri(), Wanted::TO.and(Wanted::CALL_ID));
    if headers.to() != 0 {
        let key = user_of(message, rules, address_of(message, headers.to()), KeySource::To);
        if key.hash != 0 {
            return (reason, key);
        }
    }
    let key = call_id(message, rules, headers.call_id());
    if key.hash != 0 {
        return (Reason::FallbackCallId, key);
    }
    (Reason::FallbackSource, source.key(rules.seed))
}

/// Is the host of the Request-URI one of the VIP's domains, and the URI not that of a single device?
///
/// With keys taken from the Request-URI anyway the answer changes nothing, and is not asked for.
#[inline(always)]
fn is_ours<M: Message>(message: M, rules: &Rules, uri: Uri) -> bool {
    if rules.domain_count == 0 || uri.scheme() as u8 != Scheme::Sip as u8 {
        return false;
    }
    let end = message.host_end(uri.host());
    let host = host_hash(message, uri.host(), end, rules.seed);
    // All ones until a difference is 0; no comparison, since the verifier would follow both its answers for each domain.
    let mut differs = !0;
    let mut i = 0;
    while i < rules.domains.len() {
        let difference = rules.domains[i] ^ host;
        differs &= difference | difference.wrapping_neg();
        i += 1;
    }
    // Unused entries are 0, which is no hash.
    differs >> 63 == 0 && host != 0 && !message.has_gr(end)
}

/// The URI in the To or From header whose name ends at `at`.
#[inline(always)]
fn address_of<M: Message>(message: M, at: u64) -> Uri {
    let value = message.header_value(at);
    let address = if value == 0 { crate::sip::address::Address::NONE } else { message.address(value) };
    if address.at() == 0 {
        return Uri::UNREADABLE;
    }
    message.uri(address.at(), address.form())
}

/// The canonical user of a URI, with its host if the pool's key is the address-of-record.
#[inline(always)]
fn user_of<M: Message>(message: M, rules: &Rules, uri: Uri, source: KeySource) -> Key {
    if uri.scheme() as u8 >= Scheme::Other as u8 || uri.user() == uri.user_end() {
        return Key::NONE;
    }
    let mut hash = user::key(message, uri.user(), uri.user_end(), rules.number_tail, rules.seed);
    if hash == 0 {
        return Key::NONE;
    }
    let mut end = uri.user_end();
    if rules.key == KeyKind::Aor as u8 && uri.scheme() as u8 == Scheme::Sip as u8 {
        // The user's hash seeds the host's: no text has to be joined.
        end = message.host_end(uri.host());
        hash = host_hash(message, uri.host(), end, hash);
    }
    if is_cut_at(message, end) {
        return Key::NONE;
    }
    Key { source, hash, at: uri.user(), end: uri.user_end() }
}

/// Does a text end at `end` only because no more is read? Its beginning would be taken for another user's.
#[inline(always)]
fn is_cut_at<M: Message>(message: M, end: u64) -> bool {
    message.is_cut() && end >= message.len()
}

/// The hash of a host name, without its trailing dot.
#[inline(always)]
fn host_hash<M: Message>(message: M, at: u64, end: u64, seed: u64) -> u64 {
    let has_dot = end > at && message.word(end - 1) & 0xff == b'.' as u64;
    message.text_hash(at, if has_dot { end - 1 } else { end }, seed)
}

/// The Call-ID whose name ends at `at`.
#[inline(always)]
fn call_id<M: Message>(message: M, rules: &Rules, at: u64) -> Key {
    let at = if at == 0 { 0 } else { message.header_value(at) };
    if at == 0 {
        return Key::NONE;
    }
    let end = message.token_end(at);
    Key { source: KeySource::CallId, hash: message.text_hash(at, end, rules.seed), at, end }
}

/// The entry of [`Rules::domains`] for a host name; 0 for an empty one.
pub fn domain_hash(host: &[u8], seed: u64) -> u64 {
    host_hash(crate::sip::Bytes::new(host), 0, host.len() as u64, seed)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
