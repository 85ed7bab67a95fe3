//! What `siplb status` says while a trial runs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::outcome::Outcome;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    phase: Option<String>,
    handovers: u64,
    transactions: BTreeMap<String, u64>,
    taken_for_down: BTreeSet<String>,
}

impl Watch {
    /// Takes note of an answer to `status`. Phases must not be shorter than the time between two.
    pub(super) fn look(&mut self, status: &Value) {
        for pool in status["pools"].as_array().into_iter().flatten() {
            let phase = pool["handover"]["phase"].as_str();
            let is_another = match (self.phase.as_deref(), phase) {
                (None, Some(_)) | (Some("finishing"), Some("recording")) => true,
                (None | Some(_), None | Some(_)) => false,
            };
            self.handovers += u64::from(is_another);
            self.phase = phase.map(str::to_owned);
            let backends = pool["backends"].as_array().into_iter().flatten();
            let down = backends.filter(|backend| backend["health"] == "down");
            self.taken_for_down.extend(down.filter_map(|backend| Some(backend["name"].as_str()?.to_owned())));
        }
        self.transactions.clear();
        for vip in status["vips"].as_array().into_iter().flatten() {
            for (course, count) in vip["transactions"].as_object().into_iter().flatten() {
                *self.transactions.entry(course.clone()).or_default() += count.as_u64().unwrap_or(0);
            }
        }
    }

    /// The phase of the handover that was under way when it was looked last.
    pub(super) fn phase(&self) -> Option<&str> {
        self.phase.as_deref()
    }

    /// Hands over what was seen.
    pub(super) fn tell(self, outcome: &mut Outcome) {
        outcome.handovers = self.handovers;
        outcome.transactions = self.transactions;
        outcome.taken_for_down = self.taken_for_down;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn handovers_are_counted_by_their_beginnings() {
        let mut watch = Watch::default();
        for phase in
            [None, Some("recording"), Some("recording"), Some("finishing"), Some("recording"), None, None]
        {
            let handover = phase.map(|phase| json!({ "phase": phase }));
            watch.look(&json!({ "pools": [{ "handover": handover, "backends": [] }], "vips": [] }));
            assert_eq!(watch.phase(), phase);
        }
        assert_eq!(watch.handovers, 2);
    }

    #[test]
    fn who_was_down_once_is_remembered() {
        let mut watch = Watch::default();
        for health in ["up", "down", "up"] {
            watch.look(&json!({ "pools": [{ "backends": [{ "name": "b1", "health": health }] }] }));
        }
        assert!(watch.taken_for_down.contains("b1"));
    }
}
