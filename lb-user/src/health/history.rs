//! The last checks of one backend: when, why, how they ended. For `siplb health NAME`.
use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, SystemTime},
};

use super::{Outcome, state::Sign};

/// So many checks are kept for each backend.
pub const KEPT: usize = 32;

/// Why a check was made when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was its time.
    Scheduled,
    /// The check before it was refused.
    Refused,
    /// The datapath saw the backend's host say that nobody listens (ICMP port unreachable).
    PortUnreachable,
    /// Packets went to the backend, and none came back.
    Silent,
}

impl Cause {
    /// Is there word that nobody listens, so that the answer is awaited at once and asked for again soon?
    pub(super) fn is_hasty(self) -> bool {
        matches!(self, Self::Refused | Self::PortUnreachable)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheduled => "scheduled",
            Self::Refused => "refused",
            Self::PortUnreachable => "port-unreachable",
            Self::Silent => "silent",
        })
    }
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// When it was begun.
    pub at: SystemTime,
    /// Why then.
    pub cause: Cause,
    /// How it ended.
    pub outcome: Outcome,
    /// What that says of the backend.
    pub sign: Sign,
    /// Requests sent, retransmissions included.
    pub requests: u64,
    /// How long it took.
    pub took: Duration,
}

/// The last checks, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<Check>);

impl History {
    pub(super) fn push(&mut self, check: Check) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(check);
    }

    /// The last one.
    pub fn last(&self) -> Option<&Check> {
        self.0.back()
    }

    /// All that are kept, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Check> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_checks_are_kept() {
        let mut history = History::default();
        assert!(history.last().is_none());
        for number in 0..100 {
            let outcome = Outcome::Timeout { after: Duration::from_millis(number) };
            let (cause, sign) = (Cause::Scheduled, Sign::Failed);
            history.push(Check {
                at: SystemTime::UNIX_EPOCH,
                cause,
                outcome,
                sign,
                requests: 3,
                took: Duration::from_millis(number),
            });
        }
        let numbers: Vec<u128> = history.iter().map(|check| check.took.as_millis()).collect();
        assert_eq!(numbers, (68..100).collect::<Vec<_>>());
        assert_eq!(history.last().map(|check| check.took.as_millis()), Some(99));
    }
}
