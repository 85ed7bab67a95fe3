//! Does a figure grow with what there is more of? In a sentence, for the findings of benchmarks.

use siplb_figures::Spread;

/// Up to this many times the least, a figure counts as flat: what the machine's noise makes of equal things.
const FLAT: f64 = 1.1;

/// How a figure goes from the least there is to the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// No further than noise goes.
    Flat,
    /// So many times the least.
    Grows(f64),
    /// Less than at the least: so many times it.
    Shrinks(f64),
}

impl Growth {
    /// By the ratio of the most to the least, taken within each round.
    pub fn of(ratio: &Spread) -> Self {
        if ratio.includes(1.0) || (1.0 / FLAT..=FLAT).contains(&ratio.median) {
            Self::Flat
        } else if ratio.median > 1.0 {
            Self::Grows(ratio.median)
        } else {
            Self::Shrinks(ratio.median)
        }
    }
}

/// A sentence on `what`, which took `from` at the `least` and `to` at the `most`, in `unit`s; `why` is told where it grows.
pub fn sentence(
    what: &str,
    (least, from): (&str, &Spread),
    (most, to): (&str, &Spread),
    ratio: &Spread,
    unit: &str,
    why: &str,
) -> String {
    let digits = if from.median.min(to.median) < 10.0 { 1 } else { 0 };
    let range =
        format!("{what}: {:.digits$} {unit} at {least}, {:.digits$} at {most}", from.median, to.median);
    let times = format!("{:.2} times ({:.2} to {:.2})", ratio.median, ratio.low, ratio.high);
    match Growth::of(ratio) {
        Growth::Flat => format!("{range}: flat, {times}."),
        Growth::Grows(_) => format!("{range}: grows to {times}. {why}"),
        Growth::Shrinks(_) => format!("{range}: does not grow, {times}."),
    }
}

#[cfg(test)]
mod tests {
    use super::{Growth, sentence};
    use siplb_figures::Spread;

    fn spread(low: f64, median: f64, high: f64) -> Spread {
        Spread { median, low, high, samples: 9 }
    }

    #[test]
    fn what_noise_makes_of_equal_things_is_flat() {
        assert_eq!(Growth::of(&spread(1.04, 1.05, 1.06)), Growth::Flat);
        assert_eq!(Growth::of(&spread(0.9, 1.2, 1.6)), Growth::Flat);
        assert_eq!(Growth::of(&spread(0.93, 0.95, 0.97)), Growth::Flat);
    }

    #[test]
    fn what_goes_further_grows_or_shrinks() {
        assert_eq!(Growth::of(&spread(1.2, 1.3, 1.4)), Growth::Grows(1.3));
        assert_eq!(Growth::of(&spread(0.5, 0.6, 0.7)), Growth::Shrinks(0.6));
    }

    #[test]
    fn why_is_told_of_what_grows_alone() {
        let told = |ratio| {
            let (from, to) = (Spread::exactly(100.0), Spread::exactly(130.0));
            sentence("INVITE", ("2", &from), ("4,096", &to), &ratio, "ns", "Caches.")
        };
        assert_eq!(
            told(spread(1.2, 1.3, 1.4)),
            "INVITE: 100 ns at 2, 130 at 4,096: grows to 1.30 times (1.20 to 1.40). Caches."
        );
        assert_eq!(
            told(spread(1.0, 1.02, 1.1)),
            "INVITE: 100 ns at 2, 130 at 4,096: flat, 1.02 times (1.00 to 1.10)."
        );
    }
}
