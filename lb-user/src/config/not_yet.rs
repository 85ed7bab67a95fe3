//! What the configuration language has and this release doesn't do yet.
//!
//! What would change where packets go is refused, never ignored; what only has no effect is kept with a warning. Each
//! function goes, with its one call, when the feature comes.

use super::choice::Failback;
use super::cursor::Table;
use super::model::Pool;
use super::problem::Fault;

/// Transports that are known and come later.
pub(super) fn transport(word: &str) -> Option<Fault> {
    matches!(word, "tcp" | "tls").then(|| {
        let what = format!("\"{word}\" is not balanced yet; it passes through to the stack");
        Fault::new(what, "use \"udp\", or leave the line out")
    })
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
