//! `siplb reload`

use super::backend::print_done;
use super::context::Context;
use super::failure::Failure;
use crate::control::api::Done;

/// Has the daemon read its configuration file again, and says what changed.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let done: Done = context.ask(|client| async move { client.post("/v1/reload", &()).await })?;
    print_done(context, &done)
}
