//! The life of one backend's task: wait, check, learn, until it is aborted. [`super::prober`] starts it.
//!
//! A check is made when its time has come; at once where somebody asks for it (a quarter of an interval apart at most); and
//! 50 ms after one that was refused, for as long as that has not taken the backend down.
use std::{net::SocketAddr, sync::Arc};

use tokio::{
    sync::{
        mpsc::{Receiver, UnboundedSender},
        watch,
    },
    time::{Instant, sleep_until},
};

use super::{
    Event, Path, Settings, check,
    history::Cause,
    record::{Begun, Next, Record},
    schedule::{self, Extra},
    wire::Wire,
};

/// How the backend is checked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct How {
    pub(super) path: Path,
    pub(super) settings: Settings,
}

/// Somebody asks for a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Urge {
    /// Why.
    pub(super) cause: Cause,
    /// Not before.
    pub(super) at: Instant,
}

/// What reaches the task of one incarnation from outside.
pub(super) struct Inputs {
    pub(super) how: watch::Receiver<How>,
    pub(super) urges: Receiver<Urge>,
    pub(super) wire: Arc<Wire>,
    pub(super) events: UnboundedSender<Event>,
}

/// What the task does next.
enum Turn {
    Check(Cause),
    Wait,
    End,
}

/// Checks for ever, first at `due`.
pub(super) async fn check_for_ever(record: Arc<Record>, mut inputs: Inputs, due: Instant) {
    let mut agenda = Agenda { due, cause: Cause::Scheduled, extra: Extra::default() };
    loop {
        let cause = match agenda.turn(&record, &mut inputs).await {
            Turn::Check(cause) => cause,
            Turn::Wait => continue,
            Turn::End => return,
        };
        let How { path, settings } = inputs.how.borrow().clone();
        let begun = Begun::now(cause);
        let address: SocketAddr = record.address;
        let report = check::run(address, &path, settings.timeout, cause.is_hasty(), &inputs.wire).await;
        match record.learn(report, begun, &settings, &inputs.events) {
            Next::Scheduled => {
                agenda.cause = Cause::Scheduled;
                agenda.due = begun.at + schedule::next_check(settings.interval, &mut rand::rng());
            }
            Next::AtOnce => {
                agenda.cause = Cause::Refused;
                agenda.due = Instant::now() + schedule::after_refusal(settings.interval);
            }
        }
    }
}

/// What is to be done next.
struct Agenda {
    due: Instant,
    /// Why then.
    cause: Cause,
    extra: Extra,
}

impl Agenda {
    async fn turn(&mut self, record: &Record, inputs: &mut Inputs) -> Turn {
        let relief = record.spared_until();
        tokio::select! {
            () = sleep_until(self.due) => Turn::Check(self.cause),
            Some(Urge { cause, at }) = inputs.urges.recv() => {
                let interval = inputs.how.borrow().settings.interval;
                if !self.extra.is_allowed(interval, Instant::now().into_std()) {
                    return Turn::Wait;
                }
                // A check that is due meanwhile tells as much.
                sleep_until(at.min(self.due)).await;
                Turn::Check(cause)
            }
            () = sleep_until(relief.unwrap_or(self.due)), if relief.is_some() => {
                record.expire(&inputs.events);
                Turn::Wait
            }
            changed = inputs.how.changed() => {
                if changed.is_err() {
                    return Turn::End;
                }
                // A shorter interval must not wait for the end of a longer one; a random place in it keeps a reload
                // of all backends from checking them all at once.
                let interval = inputs.how.borrow().settings.interval;
                let due = Instant::now() + schedule::first_check(0, 1, interval, &mut rand::rng());
                self.due = self.due.min(due);
                Turn::Wait
            }
        }
    }
}
