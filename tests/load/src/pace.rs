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
    /// How much of that somebody else had the generator's CPU: another process, or the hypervisor.
    pub stolen_seconds: f64,
    /// How long the generator's CPU was busy with a frame, on average and in nanoseconds: making it, and what came of that in
    /// softirqs on the same CPU. `None` when somebody else had the CPU after every burst.
    pub busy_ns: Option<f64>,
}

impl Offered {
    /// What was made when it is over.
    pub(crate) fn of(made: &load::Pace) -> Self {
        let seconds = |ns: u64| ns as f64 / 1e9;
        Self {
            sent: made.made,
            seconds: seconds(made.last_ns - made.first_ns),
            stolen_seconds: seconds(made.stolen_ns),
            busy_ns: (made.busy_frames > 0).then(|| made.busy_ns as f64 / made.busy_frames as f64),
        }
    }

    /// Frames a second, while the generator had its CPU.
    pub fn per_second(&self) -> f64 {
        let seconds = self.seconds - self.stolen_seconds;
        if seconds > 0.0 { self.sent as f64 / seconds } else { 0.0 }
    }
}

impl Pace {
    /// Frames to make in a time, at most.
    pub(crate) fn frames(&self, time: Duration) -> u32 {
        /// More than the generator can.
        const HIGHEST: f64 = 4_000_000.0;
        let per_second = match self {
            Self::Rate { per_second, .. } => *per_second,
            Self::Highest => HIGHEST,
        };
        (per_second * time.as_secs_f64()).ceil() as u32
    }

    /// Frames that are handed out in one go.
    pub(crate) fn burst(&self) -> u32 {
        match self {
            Self::Rate { burst, .. } => (*burst).clamp(1, BURST_MAX),
            Self::Highest => BURST_MAX,
        }
    }

    /// What the generator reads, whose next frame has this number.
    pub(crate) fn start(&self, number: u64, time: Duration) -> load::Pace {
        let (interval, limit_ns) = match self {
            // As many as were asked for, however long that takes when others have the CPU.
            Self::Rate { per_second, .. } => ((256e9 / per_second) as u64, u64::MAX),
            Self::Highest => (0, time.as_nanos() as u64),
        };
        load::Pace { interval, burst: self.burst().into(), number, limit_ns, ..load::Pace::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace::Rate { per_second: 100_000.0, burst: 16 };

    #[test]
    fn a_rate_is_an_interval_and_a_number_of_frames() {
        let start = PACE.start(7, Duration::from_secs(2));
        assert_eq!((start.interval, start.burst, start.number, start.made), (10_000 << 8, 16, 7, 0));
        assert_eq!(PACE.frames(Duration::from_secs(2)), 200_000);
    }

    #[test]
    fn what_others_took_is_not_the_generators_doing() {
        let made = load::Pace {
            made: 1_000,
            first_ns: 5_000_000_000,
            last_ns: 6_000_000_000,
            stolen_ns: 500_000_000,
            busy_ns: 400_000,
            busy_frames: 800,
            ..load::Pace::default()
        };
        let offered = Offered::of(&made);
        assert_eq!((offered.sent, offered.per_second(), offered.busy_ns), (1_000, 2_000.0, Some(500.0)));
        assert_eq!(Offered::of(&load::Pace::default()).per_second(), 0.0);
    }

    #[test]
    fn the_highest_pace_waits_for_nothing() {
        let start = Pace::Highest.start(0, Duration::from_secs(2));
        assert_eq!((start.interval, start.limit_ns), (0, 2_000_000_000));
        assert_eq!(PACE.start(0, Duration::from_secs(2)).limit_ns, u64::MAX);
    }
}
