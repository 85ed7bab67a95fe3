//! Latencies as the sink counts them, and what can be said of them.

use std::ops::Sub;

use lb_common::load::{BUCKETS, floor_ns};

/// How many messages took how long, in buckets of `lb_common::load`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies {
    counts: Vec<u64>,
}

impl Latencies {
    /// Of one count for each bucket.
    pub(crate) fn new(counts: Vec<u64>) -> Self {
        Self { counts }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The latency that this share of all stays below, in nanoseconds: as a point within its bucket, in which latencies are
    /// taken to lie evenly. `None` when there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.total();
        let wanted = share.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (bucket, &count) in (0..).zip(&self.counts) {
            if count > 0 && below + count as f64 >= wanted {
                let (from, to) = (floor_ns(bucket), floor_ns((bucket + 1).min(BUCKETS - 1)));
                let within = (wanted - below) / count as f64;
                return Some(from as f64 + within * (to.saturating_sub(from)) as f64);
            }
            below += count as f64;
        }
        None
    }
}

impl Sub for &Latencies {
    type Output = Latencies;

    /// What was counted since `earlier`.
    fn sub(self, earlier: Self) -> Latencies {
        Latencies::new(self.counts.iter().zip(&earlier.counts).map(|(now, then)| now - then).collect())
    }
}

#[cfg(test)]
mod tests {
    use lb_common::load::bucket;

    use super::*;

    fn of(latencies: impl IntoIterator<Item = u64>) -> Latencies {
        let mut counts = vec![0; BUCKETS as usize];
        latencies.into_iter().for_each(|latency| counts[bucket(latency) as usize] += 1);
        Latencies::new(counts)
    }

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let latencies = of((1..=100_000).map(|n| n * 10));
        for (share, exact) in [(0.5, 500_000.0), (0.99, 990_000.0), (0.999, 999_000.0)] {
            let found = latencies.quantile(share).unwrap();
            assert!((found / exact - 1.0).abs() < 1.0 / 16.0, "{share}: {found}, not {exact}");
        }
    }

    #[test]
    fn one_slow_message_is_the_last_percent_of_a_hundred_and_not_the_median() {
        let latencies = of([1_000; 99].into_iter().chain([1_000_000]));
        assert!(latencies.quantile(0.5).unwrap() < 1_100.0);
        assert!(latencies.quantile(1.0).unwrap() > 900_000.0);
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        assert_eq!(of([]).quantile(0.5), None);
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let (before, after) = (of([5, 5]), of([5, 5, 5, 70]));
        assert_eq!(&after - &before, of([5, 70]));
    }
}
