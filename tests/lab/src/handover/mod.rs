//! Users who are moved while their calls ring: what `cargo xtask soak handover` and the end-to-end test of it share.
//!
//! Calls and registrations go to the VIP over a network that loses packets, so that messages are sent again; the servers
//! (`tests/kamailio/ringing.cfg`) count every request that belongs to a transaction which they don't have. Meanwhile the
//! pool is changed. [`Trial`] is one run of that, [`Outcome`] what came of it, and [`Outcome::broken_promises`] the judgement.

mod changes;
mod loss;
mod outcome;
mod watch;

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::interrupt::{pause, wait_until};
use crate::kamailio::Kamailio;
use crate::lab::Lab;
use crate::siplb::Siplb;
use crate::sipp::{Load, Part, Sipp, Tally};

pub use changes::{Change, Changes, Verb, moments};
pub use outcome::{Made, Outcome};
use watch::Watch;

/// Lost requests of a thousand, and lost responses. One message of 25 is sent again.
const LOSS_PERMILLE: u32 = 20;
/// Lines of the pool: checks with patience. A failure moves users without a plan, and one core that clients, servers and
/// whatever else runs here fight for is no failure.
pub const PATIENT_CHECKS: &str = "health = { interval = \"2s\", timeout = \"1900ms\", fall = 10 }";
/// How often siplb is asked how far it is.
const GLANCE: Duration = Duration::from_millis(500);

/// How long the phases of a handover take, as `[handover]` in the configuration has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// How long transactions are recorded before users move.
    pub record: Duration,
    /// How long they may finish where they began.
    pub finish: Duration,
}

impl Windows {
    /// Users move at once.
    pub const NONE: Self = Self { record: Duration::ZERO, finish: Duration::ZERO };

    /// Just enough for what this load's clients can have under way, as the defaults are for any client.
    pub fn for_load(load: &Load) -> Self {
        const SPARE: Duration = Duration::from_millis(500);
        Self { record: load.repeating() + SPARE, finish: load.longest_call() + SPARE }
    }

    /// From the beginning of a handover to its end.
    pub fn together(&self) -> Duration {
        self.record + self.finish
    }
}

/// A load on a pool that is being changed.
#[derive(Debug)]
pub struct Trial<'a> {
    lab: &'a Lab,
    siplb: &'a Siplb,
    servers: &'a [Kamailio],
    load: Load,
    traffic: Vec<Sipp>,
    began: Instant,
    watch: Watch,
    made: Vec<Made>,
}

impl<'a> Trial<'a> {
    /// Servers for a trial, one on each backend of the lab.
    ///
    /// # Errors
    /// When one can't be started.
    pub fn servers(lab: &Lab) -> Result<Vec<Kamailio>> {
        lab.topology().backends.iter().map(|host| Kamailio::start_ringing(host, &lab.folder())).collect()
    }

    /// Starts the load. The servers must not have had any before.
    ///
    /// # Errors
    /// When nftables or sipp fail.
    pub fn begin(lab: &'a Lab, siplb: &'a Siplb, servers: &'a [Kamailio], load: Load) -> Result<Self> {
        loss::begin(lab, LOSS_PERMILLE)?;
        let traffic =
            Part::ALL.iter().map(|&part| Sipp::start_load(lab, &load, part)).collect::<Result<_>>()?;
        let (watch, made) = (Watch::default(), Vec::new());
        Ok(Self { lab, siplb, servers, load, traffic, began: Instant::now(), watch, made })
    }

    /// Since the load began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Is a handover under way, as far as was seen?
    pub fn is_handing_over(&self) -> bool {
        self.watch.phase().is_some()
    }

    /// Calls begun.
    pub fn calls(&self) -> u64 {
        self.traffic[..2].iter().map(|part| part.so_far().calls).sum()
    }

    /// Lets the load go on until it has lasted for `time`, calling `show` twice a second.
    ///
    /// # Errors
    /// When siplb doesn't answer, sipp has ended, or a signal asked the run to end.
    pub fn go_on_until(&mut self, time: Duration, mut show: impl FnMut(&Self)) -> Result<()> {
        loop {
            self.glance()?;
            show(self);
            let left = time.saturating_sub(self.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            pause(left.min(GLANCE))?;
        }
    }

    /// Asks for a change, `is_at_once` with `--now`, and tells what it came into.
    ///
    /// # Errors
    /// When it is refused.
    pub fn make(&mut self, change: &Change, is_at_once: bool) -> Result<Made> {
        self.glance()?;
        let mut arguments = change.arguments();
        if is_at_once {
            arguments.push("--now".to_owned());
        }
        let at = self.elapsed();
        self.siplb.ask(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        let during = self.watch.phase().map(str::to_owned);
        let made = Made { at_s: at.as_secs_f64(), change: change.to_string(), during };
        self.made.push(made.clone());
        self.glance()?;
        Ok(made)
    }

    /// Lets the load go on until no handover is under way, calling `show` twice a second.
    ///
    /// # Errors
    /// When that takes longer than `limit`, and as [`Trial::go_on_until`].
    pub fn settle(&mut self, limit: Duration, mut show: impl FnMut(&Self)) -> Result<()> {
        wait_until("the last handover to be over", limit, GLANCE, || {
            self.glance()?;
            show(self);
            Ok(!self.is_handing_over())
        })?;
        Ok(())
    }

    /// Lets the calls under way come to their end, and counts.
    ///
    /// # Errors
    /// When somebody doesn't answer, or hangs.
    pub fn finish(mut self, windows: Windows) -> Result<Outcome> {
        let lasted = self.elapsed();
        self.traffic.iter().try_for_each(Sipp::stop)?;
        let tallies: Vec<Tally> =
            self.traffic.drain(..).map(|part| part.finish(|_| ())).collect::<Result<_>>()?;
        self.glance()?;
        let counts = self.servers.iter().map(Kamailio::counts).collect::<Result<Vec<_>>>()?;
        let lost = loss::lost(self.lab)?;
        let mut outcome = Outcome::new(&self.load, windows, &tallies, &counts, self.made);
        outcome.seconds = lasted.as_secs_f64();
        outcome.lost = lost;
        self.watch.tell(&mut outcome);
        Ok(outcome)
    }

    fn glance(&mut self) -> Result<()> {
        self.traffic.iter_mut().try_for_each(Sipp::ensure_running)?;
        self.watch.look(&self.siplb.ask(&["status"])?);
        Ok(())
    }
}
