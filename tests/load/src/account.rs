//! What became of what was sent: every packet is somewhere, or the measurement is not one.

use std::ops::AddAssign;

/// Packets of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Made by the generator.
    pub sent: u64,
    /// Counted by whom they were for.
    pub counted: u64,
    /// Turned away by the receiver's ring, which was full.
    pub ring_full: u64,
}

impl Account {
    /// Packets that nobody has seen.
    pub fn missing(&self) -> u64 {
        self.sent.saturating_sub(self.counted + self.ring_full)
    }

    /// Packets that were counted and never sent: others' packets, counted under the same name.
    pub fn strangers(&self) -> u64 {
        (self.counted + self.ring_full).saturating_sub(self.sent)
    }

    /// Seen packets in percent of what was sent.
    pub fn seen_percent(&self) -> f64 {
        percent(self.counted + self.ring_full, self.sent)
    }

    /// Packets that the ring turned away, in percent of what was sent.
    pub fn ring_percent(&self) -> f64 {
        percent(self.ring_full, self.sent)
    }
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.counted += other.counted;
        self.ring_full += other.ring_full;
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// The sample that a part of all samples does not exceed (nearest rank).
pub fn within(samples: &[f64], part: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_is_somewhere_or_missing() {
        let whole = Account { sent: 100, counted: 90, ring_full: 10 };
        assert_eq!((whole.missing(), whole.strangers(), whole.seen_percent()), (0, 0, 100.0));
        let lost = Account { counted: 80, ..whole };
        assert_eq!((lost.missing(), lost.strangers(), lost.ring_percent()), (10, 0, 10.0));
        let shared = Account { counted: 95, ..whole };
        assert_eq!((shared.missing(), shared.strangers()), (0, 5));
    }

    #[test]
    fn accounts_add_up() {
        let mut sum = Account { sent: 1, counted: 1, ring_full: 0 };
        sum += Account { sent: 5, counted: 2, ring_full: 3 };
        assert_eq!(sum, Account { sent: 6, counted: 3, ring_full: 3 });
        assert_eq!(Account::default().seen_percent(), 0.0);
    }

    #[test]
    fn nearest_ranks() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(within(&samples, 0.5), Some(50.0));
        assert_eq!(within(&samples, 0.99), Some(99.0));
        assert_eq!(within(&samples, 1.0), Some(100.0));
        assert_eq!(within(&[7.0], 0.01), Some(7.0));
        assert_eq!(within(&[], 0.5), None);
    }
}
