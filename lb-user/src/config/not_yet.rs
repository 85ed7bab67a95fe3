//! What the configuration language has and this release doesn't do yet.
//!
//! What would change where packets go is refused, never ignored. Each function goes, with its one call, when the feature
//! comes.

use super::problem::Fault;

/// Transports that are known and come later.
pub(super) fn transport(word: &str) -> Option<Fault> {
    matches!(word, "tcp" | "tls").then(|| {
        let what = format!("\"{word}\" is not balanced yet; it passes through to the stack");
        Fault::new(what, "use \"udp\", or leave the line out")
    })
}
