//! A message at a VIP in the kernel: `lb_common::decide`'s view of it, and the rules as global functions.
//!
//! Nothing is decided here: the bodies are `lb_common::decide` and its `names`. The verifier checks each function once,
//! whatever leads to it.

use crate::{
    notes::Notes,
    packet::{Packet, Payload, opaque},
    state::State,
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    decide::{AtVip, Decision, Found, by_first_line, by_key, by_name, names},
    layout::{NameKey, Named, Rules, Vip},
    sip::{Message, headers::Wanted, start_line::Kind},
};

/// A message, the VIP that it came to, and the notes about it. What these say is read again where it is needed: there is
/// less room on the stack.
#[derive(Clone, Copy)]
struct Judged {
    ctx: *mut xdp_md,
    notes: *mut Notes,
    rules: *const Rules,
}

impl Judged {
    /// From the arguments of a global function; `None` for pointers that are none, which no caller has.
    #[inline(always)]
    fn new(ctx: *mut xdp_md, notes: *mut Notes, rules: *const Rules) -> Option<Self> {
        if notes.is_null() || rules.is_null() { None } else { Some(Self { ctx, notes, rules }) }
    }

    #[inline(always)]
    fn notes(&self) -> &Notes {
        // SAFETY: `new` compared it; callers hand over the entry of this CPU.
        unsafe { &*self.notes }
    }
}

impl AtVip for Judged {
    type Message = Payload;

    #[inline(always)]
    fn message(&self) -> Payload {
        self.notes().message(Packet { ctx: self.ctx })
    }

    #[inline(always)]
    fn rules(&self) -> &Rules {
        // SAFETY: `new` compared it, and the live half is not written.
        unsafe { &*self.rules }
    }

    #[inline(always)]
    fn find(&self, host: u64, port: u32) -> Named {
        let notes = self.notes();
        let key = NameKey { host, port, vip: notes.vip as u32 };
        State::of(notes).map_or(Named::NOBODY, |state| state.named(key))
    }

    #[inline(always)]
    fn by_host(&self, at: u64) -> Found {
        Found(name_host(self.ctx, self.notes, self.rules, at))
    }

    #[inline(always)]
    fn by_via(&self, at: u64) -> Found {
        Found(name_via(self.ctx, self.notes, self.rules, at))
    }

    #[inline(always)]
    fn by_route(&self, at: u64) -> Found {
        Found(name_route(self.ctx, self.notes, self.rules, at))
    }
}

/// Lets the rules decide, into [`Notes::decided`].
///
/// One stage behind the other and not within it: each has the stack to itself.
#[inline(always)]
pub(crate) fn judge(packet: Packet, notes: &mut Notes, vip: &Vip) {
    let (ctx, rules) = (packet.ctx, &raw const vip.rules);
    if judge_first_line(ctx, notes, rules) != 0 && judge_names(ctx, notes, rules) != 0 {
        judge_key(ctx, notes, rules);
    }
}

/// The stages as global functions. They answer 0 when they decided.
macro_rules! judges {
    ($($name:ident($judged:ident, $known:ident, $source:ident) $body:expr;)*) => {$(
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(ctx: *mut xdp_md, notes: *mut Notes, rules: *const Rules) -> u64 {
            let (Some($judged), Some(notes)) = (Judged::new(ctx, notes, rules), Notes::handed(notes)) else {
                return 0;
            };
            let $source = notes.source();
            let $known = &mut notes.known;
            let decision: Option<Decision> = $body;
            match decision {
                Some(decision) => {
                    notes.decide(decision);
                    0
                }
                None => 1,
            }
        }
    )*};
}

judges! {
    judge_first_line(judged, known, source) by_first_line(judged, known, &source);
    judge_names(judged, known, _source) by_name(judged, known);
    judge_key(judged, known, source) Some(by_key(judged, known, &source));
}

/// Who is named by a host.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn name_host(ctx: *mut xdp_md, notes: *mut Notes, rules: *const Rules, at: u64) -> u64 {
    Judged::new(ctx, notes, rules).map_or(0, |judged| names::host(judged, opaque(at), false).0)
}

/// Who is named by the topmost Via.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn name_via(ctx: *mut xdp_md, notes: *mut Notes, rules: *const Rules, at: u64) -> u64 {
    Judged::new(ctx, notes, rules).map_or(0, |judged| names::via(judged, opaque(at)).0)
}

/// Id of the backend that sent a request which an ICMP error quotes: it is named by the topmost Via. That of a response
/// is its client's. 0 is none.
#[inline(always)]
pub(crate) fn sender_of_quoted(packet: Packet, notes: &mut Notes, vip: &Vip) -> u32 {
    let found = Found(name_quoted(packet.ctx, notes, &raw const vip.rules));
    if found.is_serving() { found.backend() } else { 0 }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn name_quoted(ctx: *mut xdp_md, notes: *mut Notes, rules: *const Rules) -> u64 {
    let Some(judged) = Judged::new(ctx, notes, rules) else { return 0 };
    let message = judged.message();
    let start = message.start_line();
    if !matches!(start.kind(), Kind::Request | Kind::Register) {
        return 0;
    }
    let headers = message.headers(start.uri(), Wanted::VIA, Wanted::VIA);
    if headers.via() == 0 { 0 } else { judged.by_via(headers.via()).0 }
}

/// Who is named by the topmost Route that is not the VIP's own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn name_route(ctx: *mut xdp_md, notes: *mut Notes, rules: *const Rules, at: u64) -> u64 {
    Judged::new(ctx, notes, rules).map_or(0, |judged| names::route(judged, opaque(at)).0)
}
