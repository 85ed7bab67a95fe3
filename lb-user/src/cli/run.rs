//! `siplb run`

use env_logger::{Env, TimestampPrecision};

use super::context::Context;
use super::failure::Failure;
use crate::daemon;

/// Runs the daemon until it is asked to end. Its log goes to stderr; `RUST_LOG` says how much of it.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let config = context.load()?;
    env_logger::Builder::from_env(Env::default().default_filter_or("info"))
        .format_timestamp(Some(TimestampPrecision::Millis))
        .format_target(false)
        .init();
    Ok(daemon::block_on(daemon::run(context.file(), config))?)
}
