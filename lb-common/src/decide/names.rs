//! Names: which backend the text of a Via, a Route or a Request-URI means.
//!
//! A name is a host and a port as they are written: texts are compared, not addresses, so that host names work and one
//! look-up in a hash map decides. What a name stands for was worked out by user space: the backend itself, the one that
//! serves in its place, nobody while its group is down, or the VIP.

use crate::{
    layout::{KeySource, Named, NamedKind, Rules},
    limits::OWN_ROUTES_LIMIT,
    reason::Reason,
    sip::{
        Bytes, Message,
        ordinary::{self, Host},
        uri::{self, Form, Scheme, Uri},
    },
};

use super::key::{Key, host_hash, is_cut_at};

/// The port of a name that is written without one.
pub const NO_PORT: u32 = 0;

/// The port of a name that holds whatever port is written.
pub const ANY_PORT: u32 = 1 << 16;

/// The hash by which a host is looked up: of its text in any case, without a trailing dot.
pub fn name_hash(host: &[u8], seed: u64) -> u64 {
    super::domain_hash(host, seed)
}

/// A message together with the VIP that it came to.
pub trait AtVip: Copy {
    /// How the message is read.
    type Message: Message;

    /// The message.
    fn message(&self) -> Self::Message;

    /// How the VIP judges.
    fn rules(&self) -> &Rules;

    /// Whom the VIP knows by this host and port.
    fn find(&self, host: u64, port: u32) -> Named;

    /// Stage [`host`].
    #[inline(always)]
    fn by_host(&self, at: u64) -> Found {
        host(*self, at, false)
    }

    /// Stage [`via`].
    #[inline(always)]
    fn by_via(&self, at: u64) -> Found {
        via(*self, at)
    }

    /// Stage [`route`].
    #[inline(always)]
    fn by_route(&self, at: u64) -> Found {
        route(*self, at)
    }
}

/// Who was named, and by which text, packed: backend id, kind, offsets, source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(pub u64);

impl Found {
    /// Nobody.
    pub const NOBODY: Self = Self(0);

    #[inline(always)]
    const fn new(named: Named, at: u64, end: u64) -> Self {
        Self(
            named.backend as u64 & 0xffff
                | (named.kind as u64 & 7) << 16
                | (at & 0xfff) << 20
                | (end & 0xfff) << 32,
        )
    }

    /// The backend whose own the VIP's port is.
    #[inline(always)]
    pub(super) const fn own(named: Named) -> Self {
        Self::new(named, 0, 0).from(KeySource::VipPort)
    }

    /// The same, as found there.
    #[inline(always)]
    pub(super) const fn from(self, source: KeySource) -> Self {
        Self(self.0 | (source as u64) << 48)
    }

    /// Who it is.
    #[inline(always)]
    pub const fn kind(self) -> NamedKind {
        NamedKind::of(self.0 >> 16 & 7)
    }

    /// Id of the backend that serves.
    #[inline(always)]
    pub const fn backend(self) -> u32 {
        (self.0 & 0xffff) as u32
    }

    /// Is it a backend, whatever became of it?
    #[inline(always)]
    pub(super) const fn is_a_backend(self) -> bool {
        self.is_serving() || self.is_down()
    }

    /// Is there a backend to send to?
    #[inline(always)]
    pub const fn is_serving(self) -> bool {
        let kind = self.0 >> 16 & 7;
        kind == NamedKind::Itself as u64 || kind == NamedKind::Stand as u64
    }

    /// Is it a backend whose whole group is down?
    #[inline(always)]
    pub(super) const fn is_down(self) -> bool {
        self.0 >> 16 & 7 == NamedKind::Down as u64
    }

    /// The reason to send there.
    #[inline(always)]
    pub(super) const fn reason(self) -> Reason {
        if self.0 >> 16 & 7 == NamedKind::Stand as u64 { Reason::NamedFailedOver } else { Reason::Named }
    }

    /// Where it was named.
    #[inline(always)]
    pub const fn source(self) -> KeySource {
        KeySource::of((self.0 >> 48) as u8)
    }

    /// Offset of the text in the payload, and the offset behind it.
    #[inline(always)]
    pub const fn text(self) -> (u64, u64) {
        (self.0 >> 20 & 0xfff, self.0 >> 32 & 0xfff)
    }

    /// The text that names it, in place of a key.
    #[inline(always)]
    pub(super) const fn key(self) -> Key {
        let (at, end) = self.text();
        Key { source: self.source(), hash: 0, at, end }
    }
}

/// Who is named by the host that begins at `at`, and by the port behind it. In a Via, blanks may surround the colon.
#[inline(always)]
pub fn host<A: AtVip>(at_vip: A, at: u64, in_via: bool) -> Found {
    let message = at_vip.message();
    let end = message.host_end(at);
    let host = Host { end, hash: host_hash(message, at, end, at_vip.rules().seed) };
    of(at_vip, at, host, message.port(end, in_via))
}

/// What [`host`] says of an ordinary host that begins at `at`; `known` if that was looked at already.
#[inline(always)]
pub(super) fn ordinary_host<A: AtVip>(at_vip: A, at: u64, known: Host) -> Option<Found> {
    let message = at_vip.message();
    let host = if known.end != 0 { known } else { ordinary::host(message, at, at_vip.rules().seed)? };
    Some(of(at_vip, at, host, uri::port(message, host.end, false)))
}

/// What [`via`] says of a Via in the ordinary form, whose header's name ends at `at`.
#[inline(always)]
pub(super) fn ordinary_via<A: AtVip>(at_vip: A, at: u64) -> Option<Found> {
    let message = at_vip.message();
    let sent_by = ordinary::sent_by(message, at)?;
    let host = ordinary::host(message, sent_by, at_vip.rules().seed)?;
    let port = ordinary::via_port(message, host.end)?;
    Some(of(at_vip, sent_by, host, port))
}

/// What [`route`] says of a Route in the ordinary form, if it does not name the VIP. The header's name ends at `at`.
#[inline(always)]
pub(super) fn ordinary_route<A: AtVip>(at_vip: A, at: u64) -> Option<Found> {
    let message = at_vip.message();
    let at = ordinary::address(message, at)?;
    if !ordinary::is_userless(message, at) {
        return None;
    }
    let host = ordinary::host(message, at, at_vip.rules().seed)?;
    let found = of(at_vip, at, host, uri::port(message, host.end, false));
    if found.0 >> 16 & 7 == NamedKind::Vip as u64 { None } else { Some(found) }
}

/// Who is named by this host, which begins at `at`, and this port.
#[inline(always)]
pub(super) fn of<A: AtVip>(at_vip: A, at: u64, host: Host, port: u64) -> Found {
    let message = at_vip.message();
    if host.hash == 0 || is_cut_at(message, host.end) {
        return Found::NOBODY;
    }
    let port = message.hide(port) as u32;
    let mut named = at_vip.find(host.hash, port);
    if named.kind == NamedKind::Nobody as u32 && port != NO_PORT {
        named = at_vip.find(host.hash, ANY_PORT);
    }
    Found::new(named, at, host.end)
}

/// Who is named by the topmost Via, whose header's name ends at `at` (RFC 3261 section 18.2.2).
#[inline(always)]
pub fn via<A: AtVip>(at_vip: A, at: u64) -> Found {
    let message = at_vip.message();
    let value = message.header_value(at);
    let sent_by = if value == 0 { 0 } else { message.sent_by(value) };
    if sent_by == 0 { Found::NOBODY } else { host(at_vip, sent_by, true) }
}

/// Who is named by the topmost Route that does not name the VIP itself; the VIP, if there is no other. The header's name
/// ends at `at` (RFC 3261 sections 12.2.1.1 and 16.4).
///
/// Preloaded Routes of an outbound proxy name the VIP. At most [`OWN_ROUTES_LIMIT`] of them are skipped. The user part of
/// a Route means nothing here: it may be a flow token of the server's.
#[inline(always)]
pub fn route<A: AtVip>(at_vip: A, at: u64) -> Found {
    let message = at_vip.message();
    let mut value = message.header_value(at);
    let mut found = Found::NOBODY;
    let mut i = 0;
    while i <= OWN_ROUTES_LIMIT {
        value = message.hide(value);
        if value == 0 {
            return found;
        }
        let address = message.address(value);
        let uri = if address.at() == 0 { Uri::UNREADABLE } else { message.uri(address.at(), address.form()) };
        if uri.scheme() as u8 != Scheme::Sip as u8 {
            return Found::NOBODY;
        }
        found = at_vip.by_host(uri.host());
        if found.0 >> 16 & 7 != NamedKind::Vip as u64 {
            return found;
        }
        value = next_route(message, uri.host(), address.form());
        i += 1;
    }
    Found::NOBODY
}

/// The value of the next Route: behind a comma, or in another header. 0 is none.
#[inline(always)]
fn next_route<M: Message>(message: M, host: u64, form: Form) -> u64 {
    let next = message.next_element(host, form);
    if next != 0 {
        return next;
    }
    let headers =
        message.headers(host, crate::sip::headers::Wanted::ROUTE, crate::sip::headers::Wanted::ROUTE);
    if headers.route() == 0 { 0 } else { message.header_value(headers.route()) }
}

/// Names on the host: what user space knows them by.
pub trait Lookup: Copy {
    /// Whom this host and port mean.
    fn find(self, host: u64, port: u32) -> Named;
}

impl<F: Fn(u64, u32) -> Named + Copy> Lookup for F {
    fn find(self, host: u64, port: u32) -> Named {
        self(host, port)
    }
}

/// A message in memory at a VIP: the host's [`AtVip`].
#[derive(Clone, Copy, Debug)]
pub struct OnHost<'a, L> {
    message: Bytes<'a>,
    rules: &'a Rules,
    names: L,
}

impl<'a, L: Lookup> OnHost<'a, L> {
    /// Of a payload, the rules of a VIP and the names that it knows.
    pub fn new(payload: &'a [u8], rules: &'a Rules, names: L) -> Self {
        Self { message: Bytes::new(payload), rules, names }
    }
}

impl<'a, L: Lookup> AtVip for OnHost<'a, L> {
    type Message = Bytes<'a>;

    fn message(&self) -> Bytes<'a> {
        self.message
    }

    fn rules(&self) -> &Rules {
        self.rules
    }

    fn find(&self, host: u64, port: u32) -> Named {
        self.names.find(host, port)
    }
}
