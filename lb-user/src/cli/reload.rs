//! `siplb reload`

use super::backend::{Timing, print_done};
use super::context::Context;
use super::failure::Failure;
use crate::control::api::Done;
use crate::control::client::with_query;

/// Has the daemon read its configuration file again, and says what changed.
pub(super) fn run(context: &Context, timing: Timing) -> Result<(), Failure> {
    let path = with_query("/v1/reload", &[timing.query()]);
    let done: Done = context.ask(|client| async move { client.post(&path, &()).await })?;
    print_done(context, &done)
}
