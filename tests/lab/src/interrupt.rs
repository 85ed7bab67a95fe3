//! Ctrl-C as an error value, and waiting that ends when it comes.
//!
//! Every wait of the lab goes through [`pause`] or [`wait_until`], so that a signal unwinds the run through
//! the ordinary error path and the same `Drop`s clean up as always.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The longest time that a signal goes unnoticed.
const LONGEST_NAP: Duration = Duration::from_millis(20);

extern "C" fn note(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From here on SIGINT, SIGTERM and SIGHUP end the next wait instead of the process.
///
/// # Errors
/// When the kernel refuses the handler.
pub fn install() -> Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: `note` only stores to an atomic, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// # Errors
/// When a signal asked the run to end.
pub fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps for `time`.
///
/// # Errors
/// When a signal asked the run to end.
pub fn pause(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LONGEST_NAP));
    }
}

/// Asks `is_done` every `interval` until it says yes, and tells how long that took.
///
/// # Errors
/// When `limit` is over (naming `what` was awaited), when `is_done` fails, or when a signal asked the run to end.
pub fn wait_until(
    what: &str,
    limit: Duration,
    interval: Duration,
    mut is_done: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let start = Instant::now();
    while !is_done()? {
        if start.elapsed() > limit {
            bail!("waited {} s in vain for {what}", limit.as_secs_f32());
        }
        pause(interval)?;
    }
    Ok(start.elapsed())
}
