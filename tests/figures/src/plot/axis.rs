//! A scale of values, linear or by order of magnitude, and where its marks are. Pure; the library asks it where to draw.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::table::exact;

/// How many marks an axis has, about.
const MARKS: f64 = 8.0;

/// An axis from `low` to `high`.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
    marks: Vec<f64>,
}

impl Axis {
    /// An axis on which all values fit with some room behind the last. A linear one begins at 0, since lengths are compared;
    /// one by order of magnitude leaves out what is not above 0, and is linear when nothing is.
    pub(super) fn of_values(values: &[f64], is_log: bool) -> Self {
        let positive = values.iter().copied().filter(|value| *value > 0.0);
        let most = values.iter().copied().fold(0.0, f64::max);
        let least_positive = positive.fold(f64::INFINITY, f64::min);
        if is_log && least_positive.is_finite() {
            return Self::log(least_positive / 1.5, most * 2.0);
        }
        let least = values.iter().copied().fold(0.0, f64::min);
        let span = if most > least { most - least } else { 1.0 };
        Self::linear(
            if least < 0.0 { least - span * 0.05 } else { 0.0 },
            most.max(least + span) + span * 0.12,
        )
    }

    /// An axis whose marks are these values themselves, where they are few; for what was chosen and not measured.
    pub(super) fn of_chosen(values: &[f64], is_log: bool) -> Self {
        let mut chosen = values.to_vec();
        chosen.sort_unstable_by(f64::total_cmp);
        chosen.dedup();
        let (Some(&least), Some(&most)) = (chosen.first(), chosen.last()) else {
            return Self::linear(0.0, 1.0);
        };
        let mut axis = if is_log && least > 0.0 {
            Self::log(least / 1.15, most * 1.15)
        } else {
            let margin = if most > least { (most - least) * 0.04 } else { 1.0 };
            Self::linear(least - margin, most + margin)
        };
        if chosen.len() <= 14 && axis.are_apart(&chosen) {
            axis.marks = chosen;
        }
        axis
    }

    fn linear(low: f64, high: f64) -> Self {
        let rough = (high - low) / MARKS;
        let unit = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * unit >= rough).unwrap_or(10.0) * unit;
        let steps = (low / step).ceil() as i64..=(high / step).floor() as i64;
        Self { low, high, is_log: false, marks: steps.map(|at| at as f64 * step).collect() }
    }

    fn log(low: f64, high: f64) -> Self {
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let parts: &[f64] = if (high / low).log10() < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let marks = decades.flat_map(|decade| parts.iter().map(move |part| part * 10f64.powi(decade)));
        Self { low, high, is_log: true, marks: marks.filter(|mark| (low..=high).contains(mark)).collect() }
    }

    /// Where a value lies between the ends, from 0 to 1. What is beyond an end is at it.
    fn part(&self, value: f64) -> f64 {
        let part = if self.is_log {
            if value <= 0.0 {
                return 0.0;
            }
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        part.clamp(0.0, 1.0)
    }

    /// Whether marks at these values can all be read.
    fn are_apart(&self, sorted: &[f64]) -> bool {
        sorted.windows(2).all(|pair| self.part(pair[1]) - self.part(pair[0]) > 0.045)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.part(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(mark: &f64) -> String {
        // Sums of steps are off by what a float can't say.
        exact((mark * 1e9).round() / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn a_linear_axis_begins_at_0_and_has_round_marks() {
        let axis = Axis::of_values(&[31.0, 1_186.0], false);
        assert_eq!(axis.marks, [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0, 1_200.0]);
        assert_eq!(axis.part(0.0), 0.0);
        assert!(axis.part(1_186.0) < 0.95);
    }

    #[test]
    fn what_is_below_0_has_its_place() {
        let axis = Axis::of_values(&[-4.0, 10.0], false);
        assert!(axis.part(-4.0) > 0.0 && axis.part(-4.0) < axis.part(0.0));
    }

    #[test]
    fn orders_of_magnitude_are_equally_far_apart() {
        let axis = Axis::of_values(&[1.0, 10_000.0], true);
        assert_eq!(axis.marks, [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
        let step = axis.part(100.0) - axis.part(10.0);
        assert!((axis.part(1_000.0) - axis.part(100.0) - step).abs() < 1e-9);
        assert_eq!(axis.part(0.0), 0.0);
    }

    #[test]
    fn without_anything_above_0_an_axis_is_linear() {
        assert!(!Axis::of_values(&[0.0], true).is_log);
        assert!(!Axis::of_values(&[], true).is_log);
        assert!(!Axis::of_values(&[], false).marks.is_empty());
    }

    #[test]
    fn few_chosen_values_are_marked_themselves_and_many_are_not() {
        let chosen = Axis::of_chosen(&[2.0, 16.0, 256.0, 4_096.0], true);
        assert_eq!(chosen.marks, [2.0, 16.0, 256.0, 4_096.0]);
        let many: Vec<f64> = (1..100).map(f64::from).collect();
        assert!(Axis::of_chosen(&many, false).marks.len() < 15);
        // Equally far apart by magnitude, these would lie on each other on a linear axis.
        assert_ne!(Axis::of_chosen(&[1.0, 2.0, 4_096.0], false).marks, [1.0, 2.0, 4_096.0]);
        assert!(!Axis::of_chosen(&[5.0], false).marks.is_empty());
    }
}
