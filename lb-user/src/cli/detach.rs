//! `siplb detach`

use std::os::unix::net::UnixStream;

use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::output::{print, print_json};
use crate::datapath;

/// Takes the program off all interfaces and removes the pins. Works without a daemon, and refuses while one runs: it
/// would go on writing to a datapath that sees no packets.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let socket = context.socket()?;
    if UnixStream::connect(&socket).is_ok() {
        let what = format!("a siplb runs and listens on {}; stop it first", socket.display());
        return Err(Failure::failed(what));
    }
    let pin_dir = context.pin_dir()?;
    let interfaces = datapath::detach(&pin_dir).map_err(anyhow::Error::from)?;
    if context.json {
        return print_json(&json!({ "interfaces": interfaces }));
    }
    match interfaces.as_slice() {
        [] => print(&format!("nothing is attached by the pins below {}", pin_dir.display())),
        several => print(&format!("detached from {}", several.join(", "))),
    }
}
