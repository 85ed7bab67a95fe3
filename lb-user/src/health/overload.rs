//! Whether a backend has asked for less: the state machine of a 503. The task of its checks feeds it each outcome; it answers
//! when something changes. Pure: time is a parameter.
//!
//! A 503 that is none of the `down-codes` is an answer of a living server (RFC 3261 section 21.5.4): it stays up and keeps
//! its users. But it takes nobody else's until the time of its Retry-After is over, or, without one, until a check could have
//! said otherwise. An earlier good answer does not end it: the server has said for how long. A later 503 says it anew.
//!
//! Invariant: what a server says is bounded, below and above. Each beginning and each end may move the users of a group that
//! is down from stand-in to stand-in, which costs them a registration; and no server can ask to be spared for ever.
use std::time::{Duration, Instant};

use super::{Outcome, Settings, state::Sign};

/// The shortest time, whatever a server asks for.
pub const SHORTEST: Duration = Duration::from_secs(10);
/// The longest.
pub const LONGEST: Duration = Duration::from_secs(300);
const SERVICE_UNAVAILABLE: u16 = 503;

/// Until when one backend is spared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overload {
    until: Option<Instant>,
}

/// A change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// It asked for less, for so long at first.
    Overloaded {
        /// For how long it is spared.
        spared_for: Duration,
        /// For how long it had asked, if it said so.
        retry_after: Option<Duration>,
    },
    /// It takes all again.
    Relieved,
}

impl Overload {
    /// Until when it is to be spared, if it is.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Takes the outcome of the next check.
    pub fn apply(&mut self, outcome: &Outcome, settings: &Settings, now: Instant) -> Option<Load> {
        let Outcome::Answer { code: SERVICE_UNAVAILABLE, retry_after, .. } = *outcome else {
            return self.expire(now);
        };
        if outcome.sign(settings) != Sign::Passed {
            return self.expire(now);
        }
        // Without a word, the next check but a lost one tells.
        let asked = retry_after.unwrap_or(settings.interval + settings.timeout);
        let spared_for = asked.clamp(SHORTEST, LONGEST);
        let was_spared = self.until.replace(now + spared_for).is_some_and(|until| now < until);
        (!was_spared).then_some(Load::Overloaded { spared_for, retry_after })
    }

    /// Takes note that time has passed.
    pub fn expire(&mut self, now: Instant) -> Option<Load> {
        self.until.take_if(|until| *until <= now).map(|_| Load::Relieved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::CodePattern;

    fn answer(code: u16, retry_after: Option<u64>) -> Outcome {
        let retry_after = retry_after.map(Duration::from_secs);
        Outcome::Answer { code, round_trip: Duration::ZERO, retry_after }
    }

    /// For how many seconds a first answer spares its server.
    fn spared_s(outcome: &Outcome, settings: &Settings) -> Option<u64> {
        let (mut overload, now) = (Overload::default(), Instant::now());
        let load = overload.apply(outcome, settings, now);
        assert_eq!(load.is_some(), overload.until().is_some());
        overload.until().map(|until| (until - now).as_secs())
    }

    #[test]
    fn only_a_503_that_is_no_failure_asks_for_less_and_within_bounds() {
        let settings = Settings::default();
        for (outcome, expected) in [
            (answer(200, None), None),
            (answer(200, Some(60)), None),
            (answer(486, Some(60)), None),
            (answer(500, Some(60)), None),
            (answer(503, Some(60)), Some(60)),
            (answer(503, Some(0)), Some(10)),
            (answer(503, None), Some(10)),
            (answer(503, Some(1_000_000)), Some(300)),
            (Outcome::Timeout { after: Duration::ZERO }, None),
        ] {
            assert_eq!(spared_s(&outcome, &settings), expected, "{outcome}");
        }
        let slow = Settings { interval: Duration::from_secs(60), ..Settings::default() };
        assert_eq!(spared_s(&answer(503, None), &slow), Some(60));
        let strict = Settings { down_codes: vec![CodePattern::Exact(503)], ..Settings::default() };
        assert_eq!(spared_s(&answer(503, Some(60)), &strict), None);
    }

    #[test]
    fn it_lasts_as_long_as_was_said_last_and_is_told_at_its_edges_alone() {
        let (settings, start) = (Settings::default(), Instant::now());
        let mut overload = Overload::default();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = overload.apply(&answer(503, Some(30)), &settings, at(0));
        let asked = Some(Duration::from_secs(30));
        assert_eq!(first, Some(Load::Overloaded { spared_for: Duration::from_secs(30), retry_after: asked }));
        assert_eq!(
            overload.apply(&answer(200, None), &settings, at(1)),
            None,
            "a good answer does not end it"
        );
        assert_eq!(overload.apply(&answer(503, Some(20)), &settings, at(5)), None, "till 25");
        assert_eq!(overload.expire(at(24)), None);
        assert_eq!(overload.expire(at(25)), Some(Load::Relieved));
        assert_eq!((overload.expire(at(26)), overload.until()), (None, None));
        assert!(overload.apply(&answer(503, None), &settings, at(27)).is_some());
        let down = Outcome::Timeout { after: Duration::ZERO };
        assert_eq!(
            overload.apply(&down, &settings, at(60)),
            Some(Load::Relieved),
            "any outcome after its time"
        );
    }
}
