//! sipp as clients and as the users' phones, with the scenarios of `tests/sipp`.

mod load;
mod timed;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::Process;
use crate::topology::{DOMAIN, Family, Home, Host, SIP_PORT};

pub use load::{Load, Part};
pub use timed::setup_times_ms;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sipp");
/// Port on which the users answer.
pub const CALLEE_PORT: u16 = 5070;
/// From the answer to hanging up.
const TALK: Duration = Duration::from_millis(300);
/// How long a message may stay unanswered before its call counts as failed; sipp sends again meanwhile.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);
/// Longest time from the last call's start to its end, whatever happens to it.
const LAST_CALL_LIMIT: Duration = Duration::from_secs(40);

/// What clients can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// One REGISTER a user, whose Contact is the user's name at the telephone.
    Register,
    /// One REGISTER a user, whose Contact tells nothing of him.
    RegisterDevice,
    /// One complete call a user.
    Call,
    /// One call a user, with requests of all kinds in the dialog, both ways. INVITEs and the answers to them are so many
    /// bytes longer.
    Dialog(u32),
    /// One call a user through a B2BUA, with a re-INVITE on either side.
    Bridged,
    /// One call a user, cancelled while it rings.
    Cancel,
    /// One subscription a user, notified twice.
    Subscribe,
    /// One OPTIONS a user, never sent twice.
    Options,
}

impl Scenario {
    fn file(self) -> &'static str {
        match self {
            Self::Register => "register.xml",
            Self::RegisterDevice => "register-device.xml",
            Self::Call => "call-uac.xml",
            Self::Dialog(_) => "dialog-uac.xml",
            Self::Bridged => "bridged-uac.xml",
            Self::Cancel => "cancel-uac.xml",
            Self::Subscribe => "subscribe-uac.xml",
            Self::Options => "options.xml",
        }
    }

    /// What the telephones do about it, where they are asked at all.
    fn answer(self) -> Option<&'static str> {
        match self {
            Self::Register | Self::RegisterDevice | Self::Options => None,
            Self::Call => Some("call-uas.xml"),
            Self::Dialog(_) => Some("dialog-uas.xml"),
            Self::Bridged => Some("bridged-uas.xml"),
            Self::Cancel => Some("cancel-uas.xml"),
            Self::Subscribe => Some("subscribe-uas.xml"),
        }
    }

    fn arguments(self) -> Vec<String> {
        match self {
            Self::Dialog(longer) => vec!["-set".to_owned(), "size".to_owned(), longer.to_string()],
            _ => Vec::new(),
        }
    }
}

/// Where clients and telephones are.
#[derive(Debug, Clone)]
pub struct Seat {
    netns: Netns,
    /// Where calls and registrations come from; registrations from the telephones' port if that is their address too.
    address: IpAddr,
    /// Where the users answer.
    phones: SocketAddr,
    vip: SocketAddr,
}

impl Seat {
    /// In the clients' namespace.
    pub fn client(lab: &Lab, family: Family) -> Self {
        Self {
            netns: lab.topology().client.clone(),
            address: family.callers(),
            phones: (family.callees(), CALLEE_PORT).into(),
            vip: family.vip_socket(),
        }
    }

    /// Behind the NAT: there the users register from the socket on which they answer, since no other way in leads there.
    ///
    /// # Errors
    /// When the lab has no NAT.
    pub fn home(lab: &Lab) -> Result<Self> {
        let home = lab.topology().home.as_ref().context("this lab has nobody behind a NAT")?;
        Ok(Self {
            netns: home.phone.clone(),
            address: Home::PHONE.into(),
            phones: (Home::PHONE, CALLEE_PORT).into(),
            vip: Family::V4.vip_socket(),
        })
    }
}

/// Clients at work towards the VIP; dropped, they are killed.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
    statistics: PathBuf,
    /// Longest time that the whole run can take.
    limit: Duration,
}

impl Sipp {
    /// Starts `calls` of `scenario`, `rate` a second, to one of `users` after the other, over and over.
    ///
    /// `name` names the run's files in the lab's folder.
    ///
    /// # Errors
    /// When there are no users, or sipp can't be started.
    pub fn start(
        lab: &Lab,
        name: &str,
        scenario: Scenario,
        users: &[String],
        calls: u64,
        rate: u32,
    ) -> Result<Self> {
        Self::start_at(lab, &Seat::client(lab, Family::V4), name, scenario, users, (calls, rate))
    }

    /// The same, from another place; `calls` and how many a second are one argument.
    ///
    /// # Errors
    /// As [`Sipp::start`].
    pub fn start_at(
        lab: &Lab,
        seat: &Seat,
        name: &str,
        scenario: Scenario,
        users: &[String],
        (calls, rate): (u64, u32),
    ) -> Result<Self> {
        if users.is_empty() {
            bail!("nobody to {name}");
        }
        let list = lab.folder().join(format!("{name}.users"));
        fs::write(&list, format!("SEQUENTIAL\n{}\n", users.join("\n")))?;
        let statistics = lab.folder().join(format!("{name}.csv"));
        if statistics.exists() {
            // Of an earlier run by this name, and not to be read as this one's.
            fs::remove_file(&statistics)?;
        }
        let mut command = sipp(lab, seat, name, scenario.file());
        if seat.address == seat.phones.ip() && scenario == Scenario::RegisterDevice {
            command.args(["-p", &seat.phones.port().to_string()]);
        }
        let address = seat.address.to_string();
        command
            .arg(seat.vip.to_string())
            .args(["-i", &address, "-mi", &address])
            .args(scenario.arguments())
            .arg("-inf")
            .arg(&list)
            .args(["-m", &calls.to_string(), "-r", &rate.to_string()])
            .args(["-d", &TALK.as_millis().to_string()])
            .args(["-recv_timeout", &ANSWER_LIMIT.as_millis().to_string()])
            .args(["-key", "domain", DOMAIN, "-key", "contact", &seat.phones.to_string()])
            .args(["-trace_stat", "-fd", "1", "-stf"])
            .arg(&statistics);
        let process = Process::spawn(&format!("sipp {name}"), command, &log(lab, name))?;
        let calling = Duration::from_secs(calls / u64::from(rate.max(1)));
        Ok(Self { process, statistics, limit: calling * 2 + LAST_CALL_LIMIT })
    }

    /// Starts the phones of all users: they answer every call until dropped.
    ///
    /// # Errors
    /// When sipp can't be started.
    pub fn answer(lab: &Lab) -> Result<Process> {
        Self::answer_at(lab, &Seat::client(lab, Family::V4), "answer", Scenario::Call)
    }

    /// Starts the other side of `scenario`, until dropped.
    ///
    /// # Errors
    /// When the scenario has no other side, or sipp can't be started.
    pub fn answer_at(lab: &Lab, seat: &Seat, name: &str, scenario: Scenario) -> Result<Process> {
        let file = scenario.answer().with_context(|| format!("nobody answers to {scenario:?}"))?;
        let mut command = sipp(lab, seat, name, file);
        let address = seat.phones.ip().to_string();
        command
            .args(["-i", &address, "-mi", &address, "-p", &seat.phones.port().to_string()])
            .args(scenario.arguments());
        Process::spawn(&format!("sipp {name}"), command, &log(lab, name))
    }

    /// Starts a server on a backend's SIP port that has too much to do: it answers every OPTIONS with 503 and a Retry-After,
    /// until dropped.
    ///
    /// # Errors
    /// When sipp can't be started.
    pub fn overloaded(lab: &Lab, host: &Host) -> Result<Process> {
        let name = format!("overloaded-{}", host.name);
        let mut command = host.netns.command("sipp");
        let address = host.address.to_string();
        command.args(["-nostdin", "-sf", &format!("{SCENARIOS}/overloaded-uas.xml")]).args([
            "-i",
            &address,
            "-mi",
            &address,
            "-p",
            &SIP_PORT.to_string(),
        ]);
        Process::spawn(&format!("sipp {name}"), command, &log(lab, &name))
    }

    /// No further calls; those under way are brought to their end.
    ///
    /// # Errors
    /// When sipp has ended already.
    pub fn stop(&self) -> Result<()> {
        self.process.signal(Signal::SIGUSR1)
    }

    /// What has happened so far, up to a second ago.
    pub fn so_far(&self) -> Tally {
        Tally::read(&self.statistics).unwrap_or_default()
    }

    /// Waits for the last call to end, calling `watch` with what has happened so far all the while.
    ///
    /// # Errors
    /// When sipp breaks off (failed calls are no reason), hangs, or a signal asked the run to end.
    pub fn finish(mut self, mut watch: impl FnMut(&Tally)) -> Result<Tally> {
        let statistics = &self.statistics;
        let status = self.process.wait(self.limit, || {
            watch(&Tally::read(statistics).unwrap_or_default());
        })?;
        // 0: every call succeeded; 1: some failed, which the tally tells better.
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("sipp broke off ({status}):\n{}", self.process.log_end());
        }
        Tally::read(&self.statistics)
    }
}

/// How much of sipp's own account of what went wrong is shown.
const COMPLAINTS_BYTES: usize = 3_000;

/// The beginning of what a run by this name complained of: each message that it did not expect.
pub fn complaints(lab: &Lab, name: &str) -> String {
    let text = fs::read(errors(lab, name)).unwrap_or_default();
    String::from_utf8_lossy(&text[..text.len().min(COMPLAINTS_BYTES)]).into_owned()
}

/// What became of the calls of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls begun.
    pub calls: u64,
    /// Calls that met an answer that the scenario doesn't know, or none.
    pub failed: u64,
    /// Messages that had to be sent again because the answer was late.
    pub sent_again: u64,
    counters: BTreeMap<String, u64>,
}

impl Tally {
    /// How often the scenario met what it counts under `name`: `registered`, `completed`, `not_found`, `answered`.
    pub fn count(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Reads sipp's statistics: a line of titles, then one of running totals each second and at the end.
    fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} has no complete line", file.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let (titles, lines) = text.split_once('\n')?;
        // The line being written at this moment has no end yet.
        let totals = lines.rsplit_once('\n')?.0.lines().next_back()?;
        let mut counters: BTreeMap<String, u64> = titles
            .split(';')
            .zip(totals.split(';'))
            .filter_map(|(title, total)| {
                let name = title.strip_suffix("(C)").unwrap_or(title);
                Some((name.to_owned(), total.parse().ok()?))
            })
            .collect();
        let [calls, failed, sent_again] =
            ["TotalCallCreated", "FailedCall", "Retransmissions"].map(|name| counters.remove(name));
        // Of dozens of counters, most of them 0, what is left can be read in a message.
        counters.retain(|name, total| *total > 0 && !name.ends_with("(P)"));
        Some(Self { calls: calls?, failed: failed?, sent_again: sent_again?, counters })
    }
}

fn sipp(lab: &Lab, seat: &Seat, name: &str, scenario: &str) -> Command {
    let mut command = seat.netns.command("sipp");
    command
        .args(["-nostdin", "-sf", &format!("{SCENARIOS}/{scenario}")])
        .args(["-trace_err", "-error_file"])
        .arg(errors(lab, name));
    command
}

fn errors(lab: &Lab, name: &str) -> PathBuf {
    lab.folder().join(format!("{name}.errors"))
}

fn log(lab: &Lab, name: &str) -> PathBuf {
    lab.folder().join(format!("{name}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_complete_line_counts() {
        let text = "StartTime;TotalCallCreated;FailedCall(P);FailedCall(C);Retransmissions(C);not_found(P);not_found(C);\n\
                    a b;10;0;1;2;0;3;\n\
                    a b;20;0;4;5;0;6;\n\
                    a b;30;";
        let tally = Tally::parse(text).unwrap();
        assert_eq!((tally.calls, tally.failed, tally.sent_again, tally.count("not_found")), (20, 4, 5, 6));
        assert_eq!(tally.count("completed"), 0);
    }

    #[test]
    fn titles_alone_say_nothing() {
        assert_eq!(Tally::parse("TotalCallCreated;FailedCall(C);Retransmissions(C);\n"), None);
    }
}
