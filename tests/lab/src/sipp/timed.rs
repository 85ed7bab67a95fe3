//! Calls whose setup is timed, one by one.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ANSWER_LIMIT, LAST_CALL_LIMIT, Scenario, Seat, Sipp, TALK, log, sipp};
use crate::lab::Lab;
use crate::process::Process;
use crate::topology::{DOMAIN, Family};

/// What sipp calls the time in `call-uac.xml`.
const TIMER: &str = "setup";

impl Sipp {
    /// Starts as many complete calls as there are `users`, one to each, `rate` a second, and keeps each one's time of setup
    /// for [`setup_times_ms`].
    ///
    /// # Errors
    /// When sipp can't be started.
    pub fn start_timed(lab: &Lab, name: &str, users: &[String], rate: u32) -> Result<Self> {
        let seat = Seat::client(lab, Family::V4);
        let folder = lab.folder().join(format!("{name}.times"));
        if folder.exists() {
            // Of an earlier run by this name.
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let list = folder.join("users");
        fs::write(&list, format!("SEQUENTIAL\n{}\n", users.join("\n")))?;
        let statistics = folder.join("statistics.csv");
        let address = seat.address.to_string();
        let mut command = sipp(lab, &seat, name, Scenario::Call.file());
        command
            // Where sipp writes times, no option says.
            .current_dir(&folder)
            .arg(seat.vip.to_string())
            .args(["-i", &address, "-mi", &address])
            .arg("-inf")
            .arg(&list)
            .args(["-m", &users.len().to_string(), "-r", &rate.to_string()])
            .args(["-d", &TALK.as_millis().to_string()])
            .args(["-recv_timeout", &ANSWER_LIMIT.as_millis().to_string()])
            .args(["-key", "domain", DOMAIN, "-trace_rtt", "-rtt_freq", "1"])
            .args(["-trace_stat", "-fd", "1", "-stf"])
            .arg(&statistics);
        let process = Process::spawn(&format!("sipp {name}"), command, &log(lab, name))?;
        let calling = Duration::from_secs(users.len() as u64 / u64::from(rate.max(1)));
        Ok(Self { process, statistics, limit: calling * 2 + LAST_CALL_LIMIT })
    }
}

/// From the first INVITE of a call to its 200, for each call of a run by this name that got one, in milliseconds.
///
/// # Errors
/// When there was no such run.
pub fn setup_times_ms(lab: &Lab, name: &str) -> Result<Vec<f64>> {
    let folder = lab.folder().join(format!("{name}.times"));
    let mut times = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("no timed calls in {}", folder.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("_rtt.csv") {
            times.extend(parse(&fs::read_to_string(path)?));
        }
    }
    Ok(times)
}

/// Lines such as `1700000000123.456;2.345;"setup"`, after one of titles.
fn parse(text: &str) -> Vec<f64> {
    let time = |line: &str| {
        let mut fields = line.split(';').skip(1);
        let time = fields.next()?.trim().parse().ok()?;
        (fields.next()?.trim().trim_matches('"') == TIMER).then_some(time)
    };
    text.lines().filter_map(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_call() {
        let text =
            "Date_ms;response_time_ms;rtd_no\n1700000000123.4;2.5;\"setup\"\n17;3;setup\n18;9;\"other\"\n19;";
        assert_eq!(parse(text), [2.5, 3.0]);
    }
}
