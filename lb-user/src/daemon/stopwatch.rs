//! Where the time of a change goes. Kept by the daemon's core, shown by `--json` and in the log.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::control::api::Took;

/// Runs from the moment a change is asked for. Each step ends with its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    begun: Instant,
    last: Instant,
    took: Took,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { begun: now, last: now, took: Took::default() }
    }

    pub(super) fn read(&mut self) {
        self.took.read_us += self.lap();
    }

    pub(super) fn planned(&mut self) {
        self.took.plan_us += self.lap();
    }

    pub(super) fn stored(&mut self) {
        self.took.store_us += self.lap();
    }

    /// The last store was made.
    pub(super) fn published(&mut self) {
        self.took.publish_us += self.lap();
        self.took.total_us = micros(self.begun.elapsed());
    }

    /// How long it took, once it was published.
    pub(super) fn took(&self) -> Took {
        self.took
    }

    fn lap(&mut self) -> u64 {
        let now = Instant::now();
        micros(now.duration_since(std::mem::replace(&mut self.last, now)))
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

/// Seconds of Unix time.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
