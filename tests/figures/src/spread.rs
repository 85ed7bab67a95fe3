//! The one statistic that is shown: the median of what the rounds gave, and the quarters of it below and above.
//!
//! Noise of a shared machine only ever adds, and adds to all that is measured in the same moment. So what is compared is
//! compared within each round first, and the spread is that of the comparisons.

use serde::{Deserialize, Serialize};

/// The middle of some samples, and where the lowest and the highest quarter of them end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of the samples are at most this.
    pub median: f64,
    /// A quarter of the samples is at most this.
    pub low: f64,
    /// Three quarters of the samples are at most this.
    pub high: f64,
    /// How many samples there were.
    pub samples: usize,
}

impl Spread {
    /// The spread of some samples. Between two neighbours it is interpolated, so that the median of two is their mean.
    ///
    /// # Panics
    /// Without samples, or when one is infinite or not a number: that is no measurement.
    pub fn of(samples: &[f64]) -> Self {
        assert!(!samples.is_empty(), "a spread is of one sample at least");
        assert!(samples.iter().all(|sample| sample.is_finite()), "samples are finite numbers: {samples:?}");
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Self {
            median: quantile(&sorted, 0.5),
            low: quantile(&sorted, 0.25),
            high: quantile(&sorted, 0.75),
            samples: sorted.len(),
        }
    }

    /// What was measured once, or is known exactly.
    pub const fn exactly(value: f64) -> Self {
        Self { median: value, low: value, high: value, samples: 1 }
    }

    /// The spread of `values[round] / base[round]`: each round's figure as a multiple of what it is held against in the same
    /// round. Rounds whose base is not above 0 (noise was more than what was measured) have no ratio and don't count, which
    /// `samples` shows. `None` when there is no ratio at all.
    ///
    /// # Panics
    /// When the two are not of the same rounds.
    pub fn of_ratios(values: &[f64], base: &[f64]) -> Option<Self> {
        assert_eq!(values.len(), base.len(), "ratios are taken within each round");
        let ratios: Vec<f64> = values
            .iter()
            .zip(base)
            .filter(|(_, base)| **base > 0.0)
            .map(|(value, base)| value / base)
            .collect();
        (!ratios.is_empty()).then(|| Self::of(&ratios))
    }

    /// Whether the quarters have `value` between them, or at one of them.
    pub fn includes(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The value that `part` of the sorted samples is at most.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len() - 1) as f64 * part;
    let below = sorted[at.floor() as usize];
    let above = sorted[at.ceil() as usize];
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn median_and_quarters_whatever_the_order() {
        let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { median: 3.0, low: 2.0, high: 4.0, samples: 5 });
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Spread { median: 2.5, low: 1.75, high: 3.25, samples: 4 });
        assert_eq!(Spread::of(&[7.0]), Spread::exactly(7.0));
    }

    #[test]
    fn one_wild_round_moves_nothing_much() {
        let calm = Spread::of(&[10.0, 10.0, 11.0, 11.0, 12.0]);
        let wild = Spread::of(&[10.0, 10.0, 11.0, 11.0, 1e9]);
        assert_eq!(calm.median, wild.median);
        assert_eq!(calm.high, wild.high);
    }

    #[test]
    fn ratios_are_taken_within_each_round() {
        // A slow round is slow for both: the ratio does not see it.
        let ratio = Spread::of_ratios(&[20.0, 200.0, 22.0], &[10.0, 100.0, 11.0]);
        assert_eq!(ratio, Some(Spread { median: 2.0, low: 2.0, high: 2.0, samples: 3 }));
    }

    #[test]
    fn a_round_without_a_base_has_no_ratio() {
        let ratio = Spread::of_ratios(&[20.0, 30.0, 5.0], &[10.0, 0.0, -1.0]);
        assert_eq!(ratio, Some(Spread::exactly(2.0)));
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None);
        assert_eq!(Spread::of_ratios(&[], &[]), None);
    }

    #[test]
    fn includes_its_quarters_and_what_lies_between() {
        let spread = Spread { median: 1.1, low: 1.0, high: 1.2, samples: 9 };
        assert!(spread.includes(1.0) && spread.includes(1.2) && spread.includes(1.05));
        assert!(!spread.includes(0.99) && !spread.includes(1.21));
    }

    #[test]
    #[should_panic(expected = "one sample at least")]
    fn no_samples_are_no_spread() {
        Spread::of(&[]);
    }

    #[test]
    #[should_panic(expected = "finite")]
    fn what_is_no_number_is_no_sample() {
        Spread::of(&[1.0, f64::NAN]);
    }
}
