//! When to send: the first check of each backend, the checks after it, and the retransmissions within one. The prober
//! asks; time and randomness are parameters.
//!
//! Invariant: checks don't come in bursts. First checks are dealt out evenly over the interval, and jitter keeps many
//! nodes that were started by one hand from marching in step.
use std::time::{Duration, Instant};

use rand::Rng;

/// No backend is checked more often, whatever was configured.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// RFC 3261 section 17.1.2.2, T1: the longest wait before the first retransmission.
const T1: Duration = Duration::from_millis(500);
/// The same, T2: the longest wait between two retransmissions.
const T2: Duration = Duration::from_secs(4);
/// A check retransmits first after this part of its timeout: a fifth leaves room for two retransmissions, 1 + 2 fifths,
/// and as long again for the answer to the last one.
const FIRST_RETRANSMISSION: u32 = 5;
/// Extra checks in an interval at most.
const EXTRA_CHECKS: u32 = 4;
/// The same after word that nobody listens: most likely the answer comes at once, or was lost to a limit on ICMP errors.
const FIRST_HASTY_RETRANSMISSION: u32 = 20;
/// Jitter, as the part of the interval that a check may come early by.
const JITTER: f64 = 0.1;
/// From a refused check to the next, unless the interval is shorter.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);
/// Of checks that are asked for together, one starts so long after the other: a thousand of them take a quarter of a second.
const SPACING: Duration = Duration::from_micros(250);

/// How long the `index`th of `count` backends waits before its first check: each gets a random place within its own
/// share of the interval.
pub fn first_check(index: usize, count: usize, interval: Duration, random: &mut impl Rng) -> Duration {
    let place = (index as f64 + random.random::<f64>()) / count.max(1) as f64;
    interval.max(SHORTEST_INTERVAL).mul_f64(place.min(1.0))
}

/// From the start of one check to the start of the next: the interval or up to 10 % less, never more, so that the time to
/// find a failure keeps to whole intervals.
pub fn next_check(interval: Duration, random: &mut impl Rng) -> Duration {
    interval.max(SHORTEST_INTERVAL).mul_f64(random.random_range(1.0 - JITTER..=1.0))
}

/// From a refused check to the next, while the backend is up: a host that says that nobody listens is asked again at once,
/// until `fall` is reached.
pub fn after_refusal(interval: Duration) -> Duration {
    AFTER_REFUSAL.min(interval.max(SHORTEST_INTERVAL))
}

/// How long the `index`th of several checks waits that are asked for at one time.
pub fn asked_for(index: usize) -> Duration {
    SPACING.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX))
}

/// When the request of one check is sent, counted from its start: at once, then after gaps that double, as a client
/// transaction over UDP does (RFC 3261, timer E), but fitted into the timeout: 0, 100 and 300 ms of 500.
/// One lost datagram is then no failed check. In haste 0, 25, 75, 175 and 375 ms of 500.
pub fn sendings(timeout: Duration, is_hasty: bool) -> impl Iterator<Item = Duration> {
    let part = if is_hasty { FIRST_HASTY_RETRANSMISSION } else { FIRST_RETRANSMISSION };
    let first_gap = (timeout / part).min(T1).max(Duration::from_millis(1));
    let later = std::iter::successors(Some((first_gap, first_gap)), |(at, gap)| {
        let gap = (*gap * 2).min(T2);
        Some((*at + gap, gap))
    });
    std::iter::once(Duration::ZERO).chain(later.map(|(at, _)| at).take_while(move |at| *at < timeout))
}

/// The extra checks of one backend, which somebody asked for: one in a quarter of the interval at most.
#[derive(Debug, Default)]
pub struct Extra {
    last: Option<Instant>,
}

impl Extra {
    /// Whether an extra check may start now; if so, it counts as started.
    pub fn is_allowed(&mut self, interval: Duration, now: Instant) -> bool {
        let pause = interval.max(SHORTEST_INTERVAL) / EXTRA_CHECKS;
        let is_allowed = self.last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        if is_allowed {
            self.last = Some(now);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn milliseconds(timeout: u64) -> Vec<u128> {
        sendings(Duration::from_millis(timeout), false).map(|at| at.as_millis()).collect()
    }

    #[test]
    fn a_request_is_sent_again_within_its_timeout() {
        assert_eq!(milliseconds(500), [0, 100, 300]);
        assert_eq!(milliseconds(2_500), [0, 500, 1_500]);
        assert_eq!(milliseconds(20_000), [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500]);
        assert_eq!(milliseconds(0), [0]);
        let hasty: Vec<u128> = sendings(Duration::from_millis(500), true).map(|at| at.as_millis()).collect();
        assert_eq!(hasty, [0, 25, 75, 175, 375]);
    }

    #[test]
    fn extra_checks_are_a_quarter_of_an_interval_apart() {
        let (start, interval) = (Instant::now(), Duration::from_secs(1));
        let mut extra = Extra::default();
        let allowed: Vec<u64> =
            (0..1_000).filter(|at| extra.is_allowed(interval, start + Duration::from_millis(*at))).collect();
        assert_eq!(allowed, [0, 250, 500, 750]);
        // A shorter interval holds at once.
        assert!(!extra.is_allowed(interval, start + Duration::from_millis(800)));
        assert!(extra.is_allowed(interval / 5, start + Duration::from_millis(800)));
    }

    /// The fullest of all windows that start with a check.
    fn fullest(times: &[Duration], window: Duration) -> usize {
        let crowd = |(start, first): (usize, &Duration)| {
            times[start..].iter().take_while(|time| **time < *first + window).count()
        };
        times.iter().enumerate().map(crowd).max().unwrap_or(0)
    }

    #[test]
    fn a_thousand_backends_are_not_checked_in_a_burst() {
        const BACKENDS: usize = 1_000;
        let (interval, window) = (Duration::from_secs(1), Duration::from_millis(10));
        let mut random = StdRng::seed_from_u64(1);
        let mut times: Vec<Duration> =
            (0..BACKENDS).map(|index| first_check(index, BACKENDS, interval, &mut random)).collect();
        // 10 shares of 1 ms fall into 10 ms, and one more at each edge.
        times.sort();
        assert!(fullest(&times, window) <= 12, "first checks");
        assert!(times.last().is_some_and(|last| *last <= interval));

        // After a minute of jitter the phases are as good as random: 10 or 11 expected in a window of 10 ms, and the
        // 10,000 windows of ten seconds give the maximum of a Poisson distribution, well under 40.
        let mut later: Vec<Duration> = Vec::new();
        for mut time in times {
            while time < interval * 70 {
                if time >= interval * 60 {
                    later.push(time);
                }
                time += next_check(interval, &mut random);
            }
        }
        later.sort();
        assert!(later.len() >= 10 * BACKENDS, "{}", later.len());
        assert!(fullest(&later, window) < 40, "later checks: {}", fullest(&later, window));

        // All asked for at once, since all have fallen silent at once.
        let urged: Vec<Duration> = (0..BACKENDS).map(asked_for).collect();
        assert!(fullest(&urged, window) <= 40 && urged[BACKENDS - 1] <= Duration::from_millis(250));
    }

    proptest! {
        #[test]
        fn sendings_are_bounded_and_fit(timeout in 1_u64..120_000) {
            let at = milliseconds(timeout);
            prop_assert_eq!(at[0], 0);
            prop_assert!(at.iter().all(|at| *at < u128::from(timeout)));
            prop_assert!(at.windows(2).all(|pair| pair[0] < pair[1] || pair[1] == 0));
            prop_assert!(at.len() >= 2 || timeout < 5);
            prop_assert!(at.len() <= 4 + timeout as usize / 4_000);
        }

        #[test]
        fn a_check_is_up_to_a_tenth_early_and_never_late(seed: u64, interval in 0_u64..100_000) {
            let mut random = StdRng::seed_from_u64(seed);
            let interval = Duration::from_millis(interval);
            let wait = next_check(interval, &mut random);
            let interval = interval.max(SHORTEST_INTERVAL);
            prop_assert!(wait >= interval.mul_f64(0.8999) && wait <= interval);
            prop_assert!(first_check(0, 1, interval, &mut random) <= interval);
        }
    }
}
