//! What numbered requests tell of a fault: which of them went wrong, and when the last of these was sent.
//!
//! Pure: times are since the traffic began. A request went wrong if nobody answered it in time, whether it was sent to a server
//! that could not or was lost on the way.

use std::time::Duration;

/// A request, in the order in which they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it was sent.
    pub sent: Duration,
    /// Who answered it first, and when.
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Number of the server.
    pub server: u8,
    /// When it came.
    pub at: Duration,
}

/// What a fault did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// How many requests were sent behind the fault and went wrong.
    pub wrong: usize,
    /// From the fault until the last of them was sent; nothing if none went wrong.
    pub last: Duration,
}

impl Request {
    fn is_answered_within(&self, patience: Duration) -> bool {
        self.answer.is_some_and(|answer| answer.at <= self.sent + patience)
    }
}

/// The requests that were sent from `from` on, and before `to`.
fn between(log: &[Request], from: Duration, to: Duration) -> &[Request] {
    let start = log.partition_point(|request| request.sent < from);
    let end = log.partition_point(|request| request.sent < to);
    &log[start.min(end)..end]
}

/// What a fault at `fault` did, of the requests that were sent before `end`.
pub fn outage(log: &[Request], fault: Duration, end: Duration, patience: Duration) -> Outage {
    let wrong = between(log, fault, end).iter().filter(|request| !request.is_answered_within(patience));
    let last = wrong.clone().next_back().map_or(Duration::ZERO, |request| request.sent - fault);
    Outage { wrong: wrong.count(), last }
}

/// Is the fault over at `now`: was everything answered that was sent for a time of `calm`, which ended so long ago that all
/// answers must have come? Without requests in that time it is not.
pub fn is_over(log: &[Request], fault: Duration, now: Duration, patience: Duration, calm: Duration) -> bool {
    let Some(end) = now.checked_sub(patience) else { return false };
    let from = end.saturating_sub(calm);
    let sent = between(log, from, end);
    from >= fault && !sent.is_empty() && sent.iter().all(|request| request.is_answered_within(patience))
}

/// How many of the requests that were sent from `from` on this server has answered.
pub fn answered_by(log: &[Request], server: u8, from: Duration) -> usize {
    let start = log.partition_point(|request| request.sent < from);
    log[start..].iter().filter(|request| request.answer.is_some_and(|answer| answer.server == server)).count()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Outage, Request, answered_by, is_over, outage};

    const PATIENCE: Duration = Duration::from_millis(100);
    const CALM: Duration = Duration::from_millis(50);

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// A request every 10 ms, answered after 1 ms by server 1 or not at all.
    fn log(is_answered: impl Fn(u64) -> bool) -> Vec<Request> {
        let request = |number: u64| {
            let sent = ms(10 * number);
            let answer = is_answered(number).then(|| Answer { server: 1, at: sent + ms(1) });
            Request { sent, answer }
        };
        (0..100).map(request).collect()
    }

    #[test]
    fn the_last_that_went_wrong_ends_the_outage() {
        let log = log(|number| !matches!(number, 31 | 33 | 37));
        let found = outage(&log, ms(305), ms(900), PATIENCE);
        assert_eq!(found, Outage { wrong: 3, last: ms(65) });
    }

    #[test]
    fn what_was_sent_before_the_fault_or_behind_the_end_does_not_count() {
        let log = log(|number| !matches!(number, 20 | 31 | 95));
        assert_eq!(outage(&log, ms(300), ms(900), PATIENCE), Outage { wrong: 1, last: ms(10) });
        // What is sent in the moment of the fault is sent behind it.
        assert_eq!(outage(&log, ms(310), ms(900), PATIENCE), Outage { wrong: 1, last: ms(0) });
    }

    #[test]
    fn without_a_loss_there_is_no_outage() {
        assert_eq!(outage(&log(|_| true), ms(300), ms(900), PATIENCE), Outage { wrong: 0, last: ms(0) });
        assert_eq!(outage(&[], ms(300), ms(900), PATIENCE), Outage { wrong: 0, last: ms(0) });
    }

    #[test]
    fn an_answer_that_comes_too_late_is_none() {
        let mut log = log(|_| true);
        log[40].answer = Some(Answer { server: 1, at: ms(500) });
        assert_eq!(outage(&log, ms(300), ms(900), PATIENCE).wrong, 0);
        log[40].answer = Some(Answer { server: 1, at: ms(501) });
        assert_eq!(outage(&log, ms(300), ms(900), PATIENCE), Outage { wrong: 1, last: ms(100) });
    }

    #[test]
    fn it_is_over_when_all_was_answered_for_a_while() {
        let log = log(|number| !(31..=40).contains(&number));
        let over = |now| is_over(&log, ms(305), ms(now), PATIENCE, CALM);
        // What was sent until 100 ms ago can be judged; 50 ms of that must lie behind the last that went wrong, at 400.
        assert!(!over(450) && !over(550));
        assert!(over(551) && over(700));
    }

    #[test]
    fn it_is_not_over_before_anything_was_sent_behind_the_fault() {
        let log = log(|_| true);
        assert!(!is_over(&log, ms(305), ms(454), PATIENCE, CALM));
        assert!(is_over(&log, ms(305), ms(455), PATIENCE, CALM));
        assert!(!is_over(&log, ms(305), ms(5_000), PATIENCE, CALM), "nothing was sent for long");
        assert!(!is_over(&[], ms(0), ms(50), PATIENCE, CALM));
    }

    #[test]
    fn a_server_is_known_by_its_answers() {
        let mut log = log(|_| true);
        log[98].answer = Some(Answer { server: 2, at: ms(981) });
        assert_eq!(answered_by(&log, 1, ms(950)), 4);
        assert_eq!(answered_by(&log, 2, ms(950)), 1);
        assert_eq!(answered_by(&log, 3, ms(0)), 0);
    }
}
