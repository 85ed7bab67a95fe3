//! Load that goes on until it is stopped, over a network that loses packets: calls that ring for a while, and registrations.
//!
//! Unlike the other runs, it gives up on a message after a known time. For how long transactions can be under way follows from
//! that, and how long a handover has to take: [`Load::repeating`].

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Seat, Sipp, log, sipp};
use crate::lab::Lab;
use crate::process::Process;
use crate::topology::{DOMAIN, Family};

/// After which sipp sends again for the first time, then after twice that, and so on: `retrans` in the scenarios.
const T1: Duration = Duration::from_millis(500);
/// For how long the scenarios answer what comes again when a call is over: their `timewait`.
const TIMEWAIT: Duration = Duration::from_secs(8);
/// Shortest ringing. A server with less to wait for may be busy before it has said that it rings.
const SHORTEST_RING_MS: u64 = 50;
/// Who is called and registered, one after the other.
const USERS: u32 = 10_000;
/// What sipp asks the kernel for, and gets as much of as a process may have.
const SOCKET_BUFFER_BYTES: &str = "4194304";
/// In the worst case every call has something to complain of.
const COMPLAINTS_BYTES_MAX: &str = "10000000";
/// More calls than will be begun before the load is stopped.
const ENOUGH: &str = "1000000000";

/// How much is asked of the servers.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Calls a second. Half of them are cancelled, half are rejected.
    pub calls: u32,
    /// Registrations a second.
    pub registrations: u32,
    /// Longest time that a phone rings.
    pub ring: Duration,
    /// How often a message is sent again that stays unanswered, before sipp gives up.
    pub repeats: u32,
    /// Decides how long each phone rings.
    pub seed: u64,
}

/// What clients do in one run of sipp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Calls that are cancelled while it rings.
    Cancelled,
    /// Calls that are busy after it has rung.
    Rejected,
    /// Registrations.
    Registered,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cancelled, Self::Rejected, Self::Registered];

    fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Registered => "registered",
        }
    }

    fn scenario(self) -> &'static str {
        match self {
            Self::Cancelled => "ring-cancel-uac.xml",
            Self::Rejected => "ring-busy-uac.xml",
            Self::Registered => "register.xml",
        }
    }

    fn rate(self, load: &Load) -> u32 {
        match self {
            Self::Cancelled => load.calls.div_ceil(2),
            Self::Rejected => load.calls / 2,
            Self::Registered => load.registrations,
        }
    }
}

impl Load {
    /// From the first to the last time that a message is sent.
    pub fn repeating(&self) -> Duration {
        T1 * ((1 << self.repeats) - 1)
    }

    /// From an INVITE to the last message of its transaction: itself, CANCEL, final answer and ACK may each be sent until
    /// sipp gives up.
    pub fn longest_call(&self) -> Duration {
        self.ring + 3 * self.repeating()
    }

    /// Writes whom sipp is to call, and for how long it rings there.
    fn write_users(&self, file: &Path) -> Result<()> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let longest = (self.ring.as_millis() as u64).max(SHORTEST_RING_MS);
        let mut text = "SEQUENTIAL\n".to_owned();
        for number in 0..USERS {
            let rings = random.random_range(SHORTEST_RING_MS..=longest);
            writeln!(text, "u{number:05};{rings}").expect("a string takes any text");
        }
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Sipp {
    /// Starts one part of a load, until [`Sipp::stop`].
    ///
    /// # Errors
    /// When sipp can't be started.
    pub fn start_load(lab: &Lab, load: &Load, part: Part) -> Result<Self> {
        let name = part.name();
        let [users, statistics]: [PathBuf; 2] =
            ["users", "csv"].map(|ending| lab.folder().join(format!("{name}.{ending}")));
        load.write_users(&users)?;
        let seat = Seat::client(lab, Family::V4);
        let address = seat.address.to_string();
        let (rate, repeats) = (part.rate(load), load.repeats.to_string());
        // sipp's own limit is three seconds' calls.
        let open_calls = u64::from(rate) * (load.longest_call() + TIMEWAIT).as_secs() * 2 + 100;
        let patience = load.longest_call() + TIMEWAIT;
        let mut command = sipp(lab, &seat, name, part.scenario());
        command
            .arg(seat.vip.to_string())
            .args(["-i", &address, "-mi", &address, "-buff_size", SOCKET_BUFFER_BYTES])
            .arg("-inf")
            .arg(&users)
            .args(["-m", ENOUGH, "-r", &rate.to_string(), "-l", &open_calls.to_string()])
            .args(["-max_invite_retrans", &repeats, "-max_non_invite_retrans", &repeats])
            .args(["-recv_timeout", &patience.as_millis().to_string()])
            // An answer that comes late, or again, is no reason to give up a call.
            .args(["-default_behaviors", "all,-bye,-abortunexp", "-max_log_size", COMPLAINTS_BYTES_MAX])
            .args(["-key", "domain", DOMAIN, "-key", "contact", &seat.phones.to_string()])
            .args(["-trace_stat", "-fd", "1", "-stf"])
            .arg(&statistics);
        let process = Process::spawn(&format!("sipp {name}"), command, &log(lab, name))?;
        // Once it is stopped.
        let limit = 2 * patience + Duration::from_secs(30);
        Ok(Self { process, statistics, limit })
    }

    /// # Errors
    /// With the end of its log, when sipp has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.process.ensure_running()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sending_again_takes_as_long_as_doubling_has_it() {
        let load = Load { calls: 1, registrations: 0, ring: Duration::from_secs(20), repeats: 4, seed: 0 };
        // After 0.5, 1.5, 3.5 and 7.5 seconds.
        assert_eq!(load.repeating(), Duration::from_millis(7500));
        assert_eq!(load.longest_call(), Duration::from_millis(42_500));
    }
}
