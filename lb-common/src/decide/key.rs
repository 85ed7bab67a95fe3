//! Keys: the bytes of a message that decide, and their hash.

use crate::{
    hash::short_key_hash,
    layout::{Address, FIRST_DOMAIN_WORDS, KeyKind, KeySource, Port, Rules},
    limits::DOMAINS_LIMIT,
    sip::{
        Bytes, Message,
        address::Address as Place,
        ordinary::{self, Host},
        uri::{Scheme, Uri},
        user,
    },
};

use super::{Known, PassedOver};

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
    /// No key.
    pub const NONE: Self = Self { source: KeySource::None, hash: 0, at: 0, end: 0 };
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
        let words = [a | b << 32, c | d << 32, self.port.0 as u64];
        Key { source: KeySource::Source, hash: short_key_hash(words, 3, seed), at: 0, end: 0 }
    }
}

/// Is the host of the Request-URI one of the VIP's domains, and the URI not that of a single device?
#[inline(always)]
pub(super) fn is_ours<M: Message>(message: M, rules: &Rules, uri: Uri, known: &mut Known) -> bool {
    let passed = &mut known.passed;
    if rules.domain_count == 0 || uri.scheme() as u8 != Scheme::Sip as u8 {
        passed.add(PassedOver::NOT_OURS);
        return false;
    }
    if is_first_domain(message, rules, uri.host()) {
        return true;
    }
    known.host = host_of(message, uri.host(), rules.seed);
    let Host { end, hash: host } = known.host;
    // All ones until a difference is 0; no comparison, since the verifier would follow both its answers for each domain.
    let mut differs = !0;
    let mut i = 0;
    while i < rules.domains.len() {
        let difference = rules.domains[i] ^ host;
        differs &= difference | difference.wrapping_neg();
        i += 1;
    }
    // Unused entries are 0, which is no hash.
    if differs >> 63 != 0 || host == 0 {
        passed.add(PassedOver::NOT_OURS);
        return false;
    }
    if message.has_gr(end) {
        passed.add(PassedOver::GR);
        return false;
    }
    true
}

/// The short way to say yes: the first domain, and a blank behind it, so that there are no parameters either. The bytes
/// are compared where they stand, with no look for the end of the host and no hash.
#[inline(always)]
fn is_first_domain<M: Message>(message: M, rules: &Rules, host: u64) -> bool {
    let words: [u64; FIRST_DOMAIN_WORDS] = message.words(host);
    let mut differs = 0;
    let mut i = 0;
    while i < FIRST_DOMAIN_WORDS {
        differs |= (words[i] ^ rules.first[i]) & rules.first_mask[i];
        i += 1;
    }
    differs == 0 && rules.first_mask[0] != 0
}

/// The entries [`Rules::first`] and [`Rules::first_mask`] for a domain in small letters: its text with a blank behind it,
/// and a mask that leaves out the bit by which small and capital letters differ. A longer one than fits has none.
pub fn first_domain(domain: &[u8]) -> ([u64; FIRST_DOMAIN_WORDS], [u64; FIRST_DOMAIN_WORDS]) {
    let (mut text, mut mask) = ([0; FIRST_DOMAIN_WORDS], [0; FIRST_DOMAIN_WORDS]);
    if domain.is_empty() || domain.len() >= 8 * FIRST_DOMAIN_WORDS {
        return (text, mask);
    }
    for (i, byte) in domain.iter().copied().chain([b' ']).enumerate() {
        let significant: u8 = if byte.is_ascii_alphabetic() { !0x20 } else { !0 };
        text[i / 8] |= u64::from(byte) << (8 * (i % 8));
        mask[i / 8] |= u64::from(significant) << (8 * (i % 8));
    }
    (text, mask)
}

/// The URI in the To or From header whose name ends at `at`, and the canonical user in it.
#[inline(always)]
pub(super) fn user_in<M: Message>(message: M, rules: &Rules, at: u64, source: KeySource) -> (Uri, Key) {
    let (uri, user) = match ordinary::address_user(message, at, rules.number_tail, rules.seed) {
        Some(user) => (user.uri, user.hash),
        None => (address_of(message, at), 0),
    };
    let (uri, user) = (Uri(message.hide(uri.0)), message.hide(user));
    (uri, user_of(message, rules, uri, user, source))
}

/// The URI in the To or From header whose name ends at `at`.
#[inline(always)]
fn address_of<M: Message>(message: M, at: u64) -> Uri {
    let value = message.header_value(at);
    let address = if value == 0 { Place::NONE } else { message.address(value) };
    if address.at() == 0 {
        return Uri::UNREADABLE;
    }
    message.uri(address.at(), address.form())
}

/// The canonical user of a URI, with its host if the pool's key is the address-of-record. The hash of the user is `known`
/// already if it is not 0.
#[inline(always)]
pub(super) fn user_of<M: Message>(message: M, rules: &Rules, uri: Uri, known: u64, source: KeySource) -> Key {
    if uri.scheme() as u8 >= Scheme::Other as u8 || uri.user() == uri.user_end() {
        return Key::NONE;
    }
    let mut hash = known;
    if hash == 0 {
        hash = user::key(message, uri.user(), uri.user_end(), rules.number_tail, rules.seed);
    }
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

/// The host of a To without user; no key where there is none, or it is cut.
#[inline(always)]
pub(super) fn host_key<M: Message>(message: M, rules: &Rules, uri: Uri) -> Key {
    if uri.scheme() as u8 != Scheme::Sip as u8 {
        return Key::NONE;
    }
    let end = message.host_end(uri.host());
    let hash = host_hash(message, uri.host(), end, rules.seed);
    if hash == 0 || is_cut_at(message, end) {
        return Key::NONE;
    }
    Key { source: KeySource::To, hash, at: uri.host(), end }
}

/// Does a text end at `end` only because no more is read? Its beginning would be taken for another user's.
#[inline(always)]
pub(super) fn is_cut_at<M: Message>(message: M, end: u64) -> bool {
    message.is_cut() && end >= message.len()
}

/// The host that begins at `at`.
#[inline(always)]
pub(super) fn host_of<M: Message>(message: M, at: u64, seed: u64) -> Host {
    let host = match ordinary::host(message, at, seed) {
        Some(host) => host,
        None => {
            let end = message.host_end(at);
            Host { end, hash: host_hash(message, at, end, seed) }
        }
    };
    Host { end: message.hide(host.end), hash: message.hide(host.hash) }
}

/// The hash of a host name, without its trailing dot.
#[inline(always)]
pub(super) fn host_hash<M: Message>(message: M, at: u64, end: u64, seed: u64) -> u64 {
    let has_dot = end > at && message.word(end - 1) & 0xff == b'.' as u64;
    message.text_hash(at, if has_dot { end - 1 } else { end }, seed)
}

/// The Call-ID whose name ends at `at`.
#[inline(always)]
pub(super) fn call_id<M: Message>(message: M, rules: &Rules, at: u64) -> Key {
    let at = if at == 0 { 0 } else { message.header_value(at) };
    if at == 0 {
        return Key::NONE;
    }
    let end = message.token_end(at);
    Key { source: KeySource::CallId, hash: message.text_hash(at, end, rules.seed), at, end }
}

impl Rules {
    /// Those of a VIP whose own domains these are, in small letters; the first [`DOMAINS_LIMIT`] of them count. `seed` is that
    /// of the key hash; all else is the default.
    pub fn with_domains(seed: u64, domains: &[impl AsRef<[u8]>]) -> Self {
        let domain_count = domains.len().min(DOMAINS_LIMIT) as u8;
        let mut rules = Self { seed, domain_count, ..Self::default() };
        for (entry, domain) in rules.domains.iter_mut().zip(domains) {
            *entry = domain_hash(domain.as_ref(), seed);
        }
        if let Some(first) = domains.first() {
            (rules.first, rules.first_mask) = first_domain(first.as_ref());
        }
        rules
    }
}

/// The entry of [`Rules::domains`] for a host name; 0 for an empty one.
pub fn domain_hash(host: &[u8], seed: u64) -> u64 {
    host_hash(Bytes::new(host), 0, host.len() as u64, seed)
}
