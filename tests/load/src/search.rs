//! The search for the highest rate at which nothing is lost: up by doubling, then between the last good and the first bad.

/// Where a search stands. It is told of each try, and says which rate to try next.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The highest rate that was carried without loss.
    good: Option<f64>,
    /// The lowest rate that was not.
    bad: Option<f64>,
    next: f64,
    limit: f64,
}

/// How near the last good and the first bad rate have to be, as their ratio.
const NEAR: f64 = 1.08;
/// Below this nothing is tried any more: something else is broken.
const LOWEST: f64 = 500.0;

impl Search {
    /// Begins at a rate that should be easy, and never asks for more than `limit`, both a second.
    pub fn new(first: f64, limit: f64) -> Self {
        Self { good: None, bad: None, next: first.min(limit), limit }
    }

    /// The rate to try, until it is known well enough.
    pub fn next(&self) -> Option<f64> {
        match (self.good, self.bad) {
            (Some(good), Some(bad)) if bad / good <= NEAR => None,
            (Some(good), None) if good >= self.limit => None,
            (None, Some(bad)) if bad <= LOWEST => None,
            _ => Some(self.next),
        }
    }

    /// Whether this rate was carried without loss.
    pub fn tell(&mut self, rate: f64, is_good: bool) {
        if is_good {
            self.good = Some(self.good.map_or(rate, |good| good.max(rate)));
        } else {
            self.bad = Some(self.bad.map_or(rate, |bad| bad.min(rate)));
        }
        self.next = match (self.good, self.bad) {
            (Some(good), Some(bad)) => (good * bad).sqrt(),
            (Some(good), None) => (good * 2.0).min(self.limit),
            (None, Some(bad)) => bad / 2.0,
            (None, None) => self.next,
        };
    }

    /// The highest rate that was carried without loss; 0 when none was.
    pub fn found(&self) -> f64 {
        self.good.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found when all up to `truth` is carried, and after how many tries.
    fn search(first: f64, limit: f64, truth: f64) -> (f64, usize) {
        let mut search = Search::new(first, limit);
        let mut tries = 0;
        while let Some(rate) = search.next() {
            search.tell(rate, rate <= truth);
            tries += 1;
            assert!(tries < 30, "it goes on for ever: {search:?}");
        }
        (search.found(), tries)
    }

    #[test]
    fn the_highest_rate_is_found_from_below_and_from_above() {
        for (first, truth) in
            [(10_000.0, 700_000.0), (10_000.0, 9_000.0), (10_000.0, 10_000.0), (1e6, 3_000.0)]
        {
            let (found, _) = search(first, 4e6, truth);
            assert!(found <= truth && found * NEAR >= truth, "{found} instead of {truth}");
        }
    }

    #[test]
    fn nothing_beyond_the_limit_is_asked_for() {
        assert_eq!(search(10_000.0, 1e6, 5e6).0, 1e6);
    }

    #[test]
    fn it_takes_few_tries() {
        assert!(search(20_000.0, 4e6, 700_000.0).1 <= 11);
    }

    #[test]
    fn a_contender_that_carries_nothing_has_a_rate_of_zero() {
        assert_eq!(search(10_000.0, 1e6, 0.0).0, 0.0);
    }
}
