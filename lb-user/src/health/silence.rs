//! Which backends have fallen silent under traffic: packets go to them and none comes back. The daemon asks a few times a
//! second, with what the datapath has counted; what it is told is a reason to check, and never more. Pure.
//!
//! It holds in `nat` alone: in `dsr` and `ipip` replies pass the node by, and nobody there is ever taken for silent, since
//! only a backend that was heard before can fall silent. Nor is one that only ever receives.
use std::collections::BTreeMap;

use lb_common::layout::BackendCounter;

/// Packets without a reply that make a silence. Fewer may be ACKs, or a stray.
const UNANSWERED: u64 = 4;

/// What was seen of each backend, by its id.
#[derive(Clone, Debug, Default)]
pub struct Silence {
    seen: BTreeMap<u32, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    requests: u64,
    replies: u64,
    /// Packets towards it since it was heard last; nothing before it was heard at all, and after it was told of.
    unanswered: Option<u64>,
}

impl Silence {
    /// Takes what is counted now of all backends that are of interest, and names those that have fallen silent, each once
    /// until it is heard again. Others are forgotten.
    pub fn look(&mut self, counted: &BTreeMap<u32, BackendCounter>) -> Vec<u32> {
        self.seen.retain(|id, _| counted.contains_key(id));
        let mut silent = Vec::new();
        for (id, counter) in counted {
            let (requests, replies) = (counter.requests.packets, counter.replies.packets);
            let new = Seen { requests, replies, unanswered: None };
            let seen = self.seen.entry(*id).or_insert(new);
            let is_reset = requests < seen.requests || replies < seen.replies;
            let unanswered = if is_reset {
                None
            } else if replies > seen.replies {
                Some(0)
            } else {
                seen.unanswered.map(|before| before + (requests - seen.requests))
            };
            let is_silent = unanswered.is_some_and(|packets| packets >= UNANSWERED);
            if is_silent {
                silent.push(*id);
            }
            *seen = Seen { unanswered: unanswered.filter(|_| !is_silent), ..new };
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use lb_common::layout::Counter;

    use super::*;

    /// Looks once at one backend with these totals.
    fn look(silence: &mut Silence, requests: u64, replies: u64) -> bool {
        let packets = |packets| Counter { packets, bytes: packets * 500 };
        let counter = BackendCounter { requests: packets(requests), replies: packets(replies) };
        let silent = silence.look(&BTreeMap::from([(7, counter)]));
        assert!(silent.is_empty() || silent == [7]);
        !silent.is_empty()
    }

    /// At which of a row of looks it is silent.
    fn told(totals: &[(u64, u64)]) -> Vec<usize> {
        let mut silence = Silence::default();
        let looks = totals.iter().map(|(requests, replies)| look(&mut silence, *requests, *replies));
        looks.enumerate().filter(|(_, silent)| *silent).map(|(index, _)| index).collect()
    }

    #[test]
    fn who_was_heard_and_answers_no_more_is_told_once() {
        assert_eq!(told(&[(100, 100), (110, 110), (120, 113), (130, 113), (140, 113), (150, 113)]), [3]);
        let again = [(0, 0), (9, 9), (19, 9), (29, 9), (39, 20), (49, 20), (59, 20)];
        assert_eq!(told(&again), [2, 5], "once until it is heard again");
    }

    #[test]
    fn few_packets_add_up_and_one_reply_is_enough() {
        assert_eq!(told(&[(0, 0), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]), [5]);
        assert!(told(&[(0, 0), (1, 1), (100, 2), (200, 3), (300, 4)]).is_empty());
    }

    #[test]
    fn who_was_never_heard_is_not_silent() {
        assert!(told(&[(0, 0), (100, 0), (200, 0)]).is_empty(), "in dsr nobody is heard");
        assert!(told(&[(500, 400), (600, 400), (700, 400)]).is_empty(), "before this daemon looked");
        assert!(told(&[(0, 0), (9, 9), (9, 9), (9, 9)]).is_empty(), "nobody talks to it");
        assert!(
            told(&[(500, 500), (600, 600), (5, 0), (50, 0)]).is_empty(),
            "its id is another backend's now"
        );
        let mut silence = Silence::default();
        assert!(!look(&mut silence, 0, 0) && !look(&mut silence, 9, 9));
        assert!(silence.look(&BTreeMap::new()).is_empty());
        assert!(!look(&mut silence, 99, 9), "it was gone meanwhile");
    }
}
