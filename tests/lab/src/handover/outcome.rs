//! What came of a trial, as figures and as a judgement. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{LOSS_PERMILLE, Windows};
use crate::sipp::{Load, Tally};

/// Calls that may fail for other reasons, of a million: all that was sent of one message can be lost.
const FAILED_PER_MILLION_MAX: u64 = 500;

/// A change that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// Seconds since the load began.
    pub at_s: f64,
    /// Such as `drain b2`.
    pub change: String,
    /// The phase of the handover that was under way: `recording` or `finishing`.
    pub during: Option<String>,
}

/// The figures; they are an interface, and stable.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Decides all that is left to chance, but for which packets are lost.
    pub seed: u64,
    /// Calls a second that were asked for.
    pub rate: u32,
    /// Longest ringing, in seconds.
    pub ring_s: f64,
    /// How long new calls were begun, in seconds.
    pub seconds: f64,
    /// Lost packets of a thousand, in each direction.
    pub loss_permille: u32,
    /// `[handover] record`, in seconds.
    pub record_s: f64,
    /// `[handover] finish`, in seconds.
    pub finish_s: f64,
    /// Calls that were begun.
    pub calls: u64,
    /// Calls that ended with the 487 or the 486 and the ACK to it.
    pub completed: u64,
    /// Calls that ended otherwise, those with an unknown CANCEL among them.
    pub failed: u64,
    /// Registrations that were begun.
    pub registrations: u64,
    /// Registrations that were answered.
    pub registered: u64,
    /// Messages that clients sent again.
    pub sent_again: u64,
    /// Packets that were lost on purpose.
    pub lost: u64,
    /// In their order.
    pub changes: Vec<Made>,
    /// Handovers that were seen to begin.
    pub handovers: u64,
    /// Requests of keys that moved, by what siplb did about them.
    pub transactions: BTreeMap<String, u64>,
    /// CANCELs at a server that did not know their INVITE.
    pub unknown_cancels: u64,
    /// ACKs at a server that did not know their INVITE.
    pub unknown_acks: u64,
    /// INVITE transactions beyond one for each call.
    pub split_calls: u64,
    /// REGISTER transactions beyond one for each registration.
    pub split_registrations: u64,
    /// Backends that checks found down meanwhile, which moves users without a plan.
    pub taken_for_down: BTreeSet<String>,
}

impl Outcome {
    /// Of the tallies of a load's parts, in their order, and each server's counts.
    pub(super) fn new(
        load: &Load,
        windows: Windows,
        tallies: &[Tally],
        counts: &[BTreeMap<String, u64>],
        changes: Vec<Made>,
    ) -> Self {
        let (calling, registering) = tallies.split_at(2);
        let sum = |tallies: &[Tally], of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
        let counted = |name: &str| counts.iter().filter_map(|server| server.get(name)).sum::<u64>();
        let calls = sum(calling, |tally| tally.calls);
        let completed = sum(calling, |tally| tally.count("completed"));
        let registrations = sum(registering, |tally| tally.calls);
        Self {
            seed: load.seed,
            rate: load.calls,
            ring_s: load.ring.as_secs_f64(),
            seconds: 0.0,
            loss_permille: LOSS_PERMILLE,
            record_s: windows.record.as_secs_f64(),
            finish_s: windows.finish.as_secs_f64(),
            calls,
            completed,
            failed: calls - completed,
            registrations,
            registered: sum(registering, |tally| tally.count("registered")),
            sent_again: sum(tallies, |tally| tally.sent_again),
            lost: 0,
            changes,
            handovers: 0,
            transactions: BTreeMap::new(),
            unknown_cancels: counted("unknown_cancels"),
            unknown_acks: counted("unknown_acks"),
            split_calls: counted("invites").saturating_sub(calls),
            split_registrations: counted("registrations").saturating_sub(registrations),
            taken_for_down: BTreeSet::new(),
        }
    }

    /// Requests that came to a server which did not know their transaction.
    pub fn astray(&self) -> u64 {
        self.unknown_cancels + self.unknown_acks + self.split_calls + self.split_registrations
    }

    /// What should not have happened when changes are handed over, and what would make the run say nothing.
    pub fn broken_promises(&self) -> Vec<String> {
        let failed_max = (self.calls * FAILED_PER_MILLION_MAX).div_ceil(1_000_000);
        let unanswered = self.registrations - self.registered;
        let followed = self.transactions.get("followed").copied().unwrap_or(0);
        let promises = [
            (
                self.unknown_cancels == 0,
                format!("{} CANCELs came to a server without their INVITE", self.unknown_cancels),
            ),
            (
                self.unknown_acks == 0,
                format!("{} ACKs came to a server without their INVITE", self.unknown_acks),
            ),
            (self.split_calls == 0, format!("{} INVITEs came to two servers", self.split_calls)),
            (
                self.split_registrations == 0,
                format!("{} REGISTERs came to two servers", self.split_registrations),
            ),
            (self.failed <= failed_max, format!("{} of {} calls failed", self.failed, self.calls)),
            (
                unanswered <= failed_max,
                format!("{unanswered} of {} registrations failed", self.registrations),
            ),
            (self.handovers > 0, "nobody was handed over".to_owned()),
            (followed > 0, "no transaction had to be followed to where it began".to_owned()),
        ];
        self.voids().into_iter().chain(breaches(promises)).collect()
    }

    /// What is missing to show that a trial without handovers fails.
    pub fn missing_harm(&self) -> Vec<String> {
        let harm = [
            (self.unknown_cancels > 0, "every CANCEL found its INVITE".to_owned()),
            (self.unknown_acks > 0, "every ACK found its INVITE".to_owned()),
        ];
        self.voids().into_iter().chain(breaches(harm)).collect()
    }

    /// Why the run would say nothing.
    fn voids(&self) -> Vec<String> {
        let down: Vec<&str> = self.taken_for_down.iter().map(String::as_str).collect();
        let conditions = [
            (self.calls > 0, "there were no calls".to_owned()),
            (!self.changes.is_empty(), "nothing was changed".to_owned()),
            (
                down.is_empty(),
                format!("{} was found down, which is no planned change: too much load?", down.join(", ")),
            ),
        ];
        breaches(conditions).collect()
    }
}

fn breaches<const N: usize>(conditions: [(bool, String); N]) -> impl Iterator<Item = String> {
    conditions.into_iter().filter(|(holds, _)| !holds).map(|(_, breach)| breach)
}
