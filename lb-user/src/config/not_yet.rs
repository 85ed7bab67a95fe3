//! What the configuration language has and this release doesn't do yet.
//!
//! What would change where packets go is refused, never ignored; what only has no effect is kept with a warning. Each
//! function goes, with its one call, when the feature comes.

use super::choice::{Failback, Forward};
use super::cursor::Table;
use super::model::{Backend, Pool, Vip};
use super::problem::Fault;
use super::value;

/// Only `nat` is done.
pub(super) fn forward(pool: &Table<'_>, forward: Forward) {
    if forward != Forward::Nat {
        let what = format!("\"{forward}\" comes in a later release");
        pool.refuse("forward", Fault::new(what, "use \"nat\", or leave the line out"));
    }
}

/// Transports that are known and come later.
pub(super) fn transport(word: &str) -> Option<Fault> {
    matches!(word, "tcp" | "tls").then(|| {
        let what = format!("\"{word}\" is not balanced yet; it passes through to the stack");
        Fault::new(what, "use \"udp\", or leave the line out")
    })
}

/// A port of the VIP that is one backend's alone.
pub(super) fn ports_of_their_own(backend: &mut Table<'_>) {
    for key in ["vip-port", "vip-port-to"] {
        if backend.take(key, None, |port| value::port(port).map(Some)).is_some() {
            let what = "ports of the VIP for one backend come in a later release";
            backend.refuse(key, Fault::new(what, "leave the line out"));
        }
    }
}

/// Names that messages could be routed by.
pub(super) fn names_of_backend(table: &Table<'_>, backend: &Backend) {
    if !backend.aliases.is_empty() {
        table.warn("aliases", no_effect("messages aren't sent to the backend that they name yet"));
    }
}

/// Names that a Route could skip, and the address family that isn't balanced.
pub(super) fn vip(table: &Table<'_>, vip: &Vip) {
    if !vip.names.is_empty() {
        table.warn("names", no_effect("no Route is read yet"));
    }
    if vip.address.is_ipv6() {
        let what = "IPv6 is not balanced yet: what comes for this VIP is dropped and counted";
        table.warn("address", Fault::new(what, "use an IPv4 VIP until it is"));
    }
}

/// When users go home: at once, so far.
pub(super) fn failback(table: &Table<'_>, pool: &Pool) {
    let what = "users go home as soon as their group is up again";
    if pool.failback == Failback::Manual {
        table.warn("failback", no_effect(what));
    }
    if !pool.hold_down.is_zero() {
        table.warn("hold-down", no_effect(what));
    }
}

fn no_effect(what: &str) -> Fault {
    Fault::new(what, "keep it for later, or leave it out")
}
