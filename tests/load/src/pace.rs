//! When the generator is to make how many frames, and how many it made.

use std::time::Duration;

use lb_common::load;

/// Most frames that the kernel hands out in one go before it sends them.
const BURST_MAX: u32 = 64;

/// How many frames are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second, in even bursts.
    Rate {
        /// Frames a second.
        per_second: f64,
        /// Frames in a burst, up to 64.
        burst: u32,
    },
    /// As many as go.
    Highest,
}

/// What was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Offered {
    /// Frames made.
    pub sent: u64,
    /// From the first frame to the last.
    pub seconds: f64,
    /// How long the generator's CPU was busy with a frame, on average and in nanoseconds: making it, and what came of that in
    /// softirqs on the same CPU. Not known at the highest pace, which never waits.
    pub busy_ns: Option<f64>,
}

impl Offered {
    /// Frames a second.
    pub fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.sent as f64 / self.seconds } else { 0.0 }
    }
}

impl Pace {
    /// Frames a second that are wanted at most; the highest pace has a limit for the sake of its numbers.
    fn per_second(&self) -> f64 {
        const HIGHEST: f64 = 4_000_000.0;
        match self {
            Self::Rate { per_second, .. } => *per_second,
            Self::Highest => HIGHEST,
        }
    }

    /// Frames to make in a time.
    pub(crate) fn frames(&self, time: Duration) -> u32 {
        (self.per_second() * time.as_secs_f64()).ceil() as u32
    }

    /// Frames that are handed out in one go.
    pub(crate) fn burst(&self) -> u32 {
        match self {
            Self::Rate { burst, .. } => (*burst).clamp(1, BURST_MAX),
            Self::Highest => BURST_MAX,
        }
    }

    /// What the generator reads, whose next frame has this number.
    pub(crate) fn start(&self, number: u64) -> load::Pace {
        let interval = match self {
            Self::Rate { per_second, .. } => (256e9 / per_second) as u64,
            Self::Highest => 0,
        };
        load::Pace { interval, burst: self.burst().into(), number, ..load::Pace::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_an_interval_and_a_number_of_frames() {
        let pace = Pace::Rate { per_second: 100_000.0, burst: 16 };
        let start = pace.start(7);
        assert_eq!((start.interval, start.burst, start.number, start.made), (10_000 << 8, 16, 7, 0));
        assert_eq!(pace.frames(Duration::from_secs(2)), 200_000);
    }

    #[test]
    fn the_highest_pace_waits_for_nothing() {
        assert_eq!(Pace::Highest.start(0).interval, 0);
    }
}
