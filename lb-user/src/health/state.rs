//! The state machine of one backend's health. The prober feeds it the outcome of one check after another; it answers
//! when health changes. Pure: time is a parameter.
//!
//! ```text
//!            fall failed checks in a row
//!          ------------------------------>
//!      up                                  down
//!          <------------------------------
//!            rise passed checks in a row
//! ```
//!
//! Invariant: health is `down` exactly if, since it last was `up`, `fall` checks in a row failed and no `rise` checks
//! in a row have passed since; a check that could not be made counts for neither side.
//!
//! A backend nobody has checked yet is what its target says, normally `up`, and falls by the same rule as any other.
//! The other choices cost more: starting `down` would empty every pool whenever a node restarts, and letting the
//! very first failure decide would turn one lost datagram after a restart into a thousand lost registrations.
//! The price, a dead newcomer that serves for `fall` checks, is paid once and known.
use std::{fmt, time::Duration, time::Instant};

use super::Settings;

/// What the checks say of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It answers.
    Up,
    /// It does not, or says that it can't serve.
    Down,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A final answer to this very check.
    Answer {
        /// The SIP status code, 200 to 699.
        code: u16,
        /// From the first sending to the answer, retransmissions included.
        round_trip: Duration,
        /// How long it asks to be spared (Retry-After of a 503, RFC 3261 section 20.33).
        retry_after: Option<Duration>,
    },
    /// No final answer in time. Never shown as a code: a 408 is something a living server says.
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The backend's host said that nobody listens on the port (ICMP port unreachable); the text says so. Of all failures the
    /// one that leaves no doubt.
    Refused(String),
    /// The network said that the backend can't be reached (an ICMP error, or no route); the text is the system's.
    Unreachable(String),
    /// Only datagrams that are no SIP came back in time; what was wrong with the last one.
    Malformed(&'static str),
    /// This node could not make the check (out of sockets, say). It tells nothing about the backend, so that a
    /// node in trouble does not declare its whole pool dead.
    NotMade(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { code, round_trip, retry_after } => {
                write!(f, "answered {code} in {:.1} ms", round_trip.as_secs_f64() * 1e3)?;
                retry_after.map_or(Ok(()), |time| write!(f, ", Retry-After {} s", time.as_secs()))
            }
            Self::Timeout { after } => write!(f, "no answer within {} ms", after.as_millis()),
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::Unreachable(error) => write!(f, "unreachable: {error}"),
            Self::Malformed(flaw) => write!(f, "answered with something that is not SIP: {flaw}"),
            Self::NotMade(error) => write!(f, "check could not be made: {error}"),
        }
    }
}

/// What an outcome says of the backend, under given settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It lives.
    Passed,
    /// It does not, or as good as.
    Failed,
    /// Nothing.
    None,
}

impl Outcome {
    /// What this outcome says of the backend.
    pub fn sign(&self, settings: &Settings) -> Sign {
        match self {
            Self::Answer { code, .. } if settings.is_down_code(*code) => Sign::Failed,
            Self::Answer { .. } => Sign::Passed,
            Self::Timeout { .. } | Self::Refused(_) | Self::Unreachable(_) | Self::Malformed(_) => {
                Sign::Failed
            }
            Self::NotMade(_) => Sign::None,
        }
    }
}

/// A change of health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: Health,
    /// What it is now.
    pub to: Health,
    /// The outcome that tipped it.
    pub reason: Outcome,
    /// How many outcomes of that kind in a row it took.
    pub streak: u32,
    /// Since when it had been `from`.
    pub since: Instant,
    /// When it changed.
    pub at: Instant,
}

/// The health of one backend and the counts towards its next change.
#[derive(Clone, Debug)]
pub struct Machine {
    health: Health,
    since: Instant,
    /// Outcomes in a row that speak against `health`.
    streak: u32,
}

impl Machine {
    /// A backend that nobody has checked yet.
    pub fn new(health: Health, now: Instant) -> Self {
        Self { health, since: now, streak: 0 }
    }

    /// The present health.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Since when it is so.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// How many outcomes in a row now speak against the present health: the failures so far of a backend that is up,
    /// the successes so far of one that is down.
    pub fn streak(&self) -> u32 {
        self.streak
    }

    /// Takes the outcome of the next check. Settings come with each outcome, so that a reload takes effect without
    /// forgetting what is known.
    pub fn apply(&mut self, outcome: &Outcome, settings: &Settings, now: Instant) -> Option<Change> {
        let (against, needed, other) = match self.health {
            Health::Up => (Sign::Failed, settings.fall, Health::Down),
            Health::Down => (Sign::Passed, settings.rise, Health::Up),
        };
        match outcome.sign(settings) {
            Sign::None => return None,
            sign if sign == against => self.streak += 1,
            _ => self.streak = 0,
        }
        if self.streak < needed.max(1) {
            return None;
        }
        let change = Change {
            from: self.health,
            to: other,
            reason: outcome.clone(),
            streak: self.streak,
            since: self.since,
            at: now,
        };
        *self = Self::new(other, now);
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome_of(sign: Sign) -> Outcome {
        match sign {
            Sign::Passed => {
                Outcome::Answer { code: 200, round_trip: Duration::from_millis(1), retry_after: None }
            }
            Sign::Failed => Outcome::Timeout { after: Duration::from_millis(500) },
            Sign::None => Outcome::NotMade("no socket".into()),
        }
    }

    fn settings(fall: u32, rise: u32) -> Settings {
        Settings { fall, rise, ..Settings::default() }
    }

    /// The invariant of the module header, from the whole history instead of a counter.
    fn health_by_history(start: Health, signs: &[Sign], fall: u32, rise: u32) -> Health {
        let counted: Vec<Sign> = signs.iter().copied().filter(|sign| *sign != Sign::None).collect();
        let (mut health, mut changed_at) = (start, 0);
        for end in 1..=counted.len() {
            let (against, needed) =
                if health == Health::Up { (Sign::Failed, fall) } else { (Sign::Passed, rise) };
            let run = counted[changed_at..end].iter().rev().take_while(|sign| **sign == against).count();
            if run >= needed as usize {
                health = if health == Health::Up { Health::Down } else { Health::Up };
                changed_at = end;
            }
        }
        health
    }

    #[test]
    fn every_short_history_obeys_the_law() {
        const SIGNS: [Sign; 3] = [Sign::Passed, Sign::Failed, Sign::None];
        const LENGTH: u32 = 8;
        let now = Instant::now();
        for (fall, rise) in [(1, 1), (1, 2), (2, 1), (3, 2), (2, 3)] {
            for start in [Health::Up, Health::Down] {
                for number in 0..3_usize.pow(LENGTH) {
                    let signs: Vec<Sign> =
                        (0..LENGTH).map(|place| SIGNS[number / 3_usize.pow(place) % 3]).collect();
                    let mut machine = Machine::new(start, now);
                    for sign in &signs {
                        machine.apply(&outcome_of(*sign), &settings(fall, rise), now);
                    }
                    assert_eq!(machine.health(), health_by_history(start, &signs, fall, rise), "{signs:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_state_is_without_exit(
            history in prop::collection::vec(prop::sample::select(vec![Sign::Passed, Sign::Failed, Sign::None]), 0..60),
            fall in 0_u32..6,
            rise in 0_u32..6,
        ) {
            let (now, settings) = (Instant::now(), settings(fall, rise));
            let mut machine = Machine::new(Health::Up, now);
            for sign in history {
                machine.apply(&outcome_of(sign), &settings, now);
            }
            for (sign, health, needed) in
                [(Sign::Failed, Health::Down, fall), (Sign::Passed, Health::Up, rise), (Sign::Failed, Health::Down, fall)]
            {
                for _ in 0..needed.max(1) {
                    machine.apply(&outcome_of(sign), &settings, now);
                }
                prop_assert_eq!(machine.health(), health);
            }
        }

        #[test]
        fn a_change_is_reported_exactly_when_health_changes(
            history in prop::collection::vec(any::<bool>(), 0..60),
            fall in 1_u32..5,
            rise in 1_u32..5,
        ) {
            let (start, settings) = (Instant::now(), settings(fall, rise));
            let mut machine = Machine::new(Health::Up, start);
            for (step, passed) in (1_u32..).zip(history) {
                let (before, since, now) = (machine.health(), machine.since(), start + Duration::from_secs(1) * step);
                let outcome = outcome_of(if passed { Sign::Passed } else { Sign::Failed });
                match machine.apply(&outcome, &settings, now) {
                    None => prop_assert_eq!(machine.health(), before),
                    Some(change) => {
                        prop_assert_eq!((change.from, change.to), (before, machine.health()));
                        prop_assert_ne!(change.from, change.to);
                        prop_assert_eq!(change.streak, if before == Health::Up { fall } else { rise });
                        prop_assert_eq!((change.since, change.at, machine.since()), (since, now, now));
                        prop_assert_eq!(change.reason, outcome);
                        prop_assert_eq!(machine.streak(), 0);
                    }
                }
            }
        }
    }

    #[test]
    fn an_answer_counts_by_its_code() {
        let answer = |code| Outcome::Answer { code, round_trip: Duration::ZERO, retry_after: None };
        let settings = Settings::default();
        assert_eq!(answer(200).sign(&settings), Sign::Passed);
        assert_eq!(answer(483).sign(&settings), Sign::Passed);
        assert_eq!(answer(503).sign(&settings), Sign::Passed);
        assert_eq!(answer(500).sign(&settings), Sign::Failed);
        assert_eq!(Outcome::Refused(String::new()).sign(&settings), Sign::Failed);
        assert_eq!(Outcome::Unreachable(String::new()).sign(&settings), Sign::Failed);
        assert_eq!(Outcome::Malformed("").sign(&settings), Sign::Failed);
    }

    #[test]
    fn a_lower_fall_takes_effect_with_the_next_outcome() {
        let now = Instant::now();
        let mut machine = Machine::new(Health::Up, now);
        assert!(machine.apply(&outcome_of(Sign::Failed), &settings(5, 1), now).is_none());
        assert!(machine.apply(&outcome_of(Sign::Failed), &settings(2, 1), now).is_some());
    }
}
