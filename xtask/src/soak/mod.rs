//! `soak`: promises that take minutes to hold, under real traffic.
//!
//! [`handover`] is the one there is: no transaction is lost while users are moved. [`figures`] is its outcome as a table. A
//! run that breaks the promise fails; so does one with the mechanism switched off that breaks nothing, since then the soak
//! could not fail.

mod figures;
mod handover;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use crate::build;
use crate::setup::Need;

/// Changes come this often on average, unless `--seconds` says otherwise: more often than handovers are over.
const BETWEEN_CHANGES_S: u64 = 30;

/// What `cargo xtask soak` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is held
    #[arg(value_enum, default_value_t = Promise::Handover)]
    promise: Promise,
    /// Calls a second
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    rate: u32,
    /// Longest time that a phone rings: 1s to 60s
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = seconds)]
    ring: Duration,
    /// How many changes are made to the pool
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    changes: u32,
    /// Within how many seconds they are made [default: 30 for each]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=86_400))]
    seconds: Option<u64>,
    /// Move users at once, which has to break the promise
    #[arg(long)]
    off: bool,
    /// Write the figures to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Decides what is changed, when, and how long each phone rings [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// What can be held.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Promise {
    /// No transaction is lost while users are moved
    Handover,
}

impl Args {
    fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(u64::from(self.changes) * BETWEEN_CHANGES_S)
    }

    fn seed(&self) -> u64 {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        self.seed.unwrap_or_else(now)
    }
}

/// Builds siplb, and holds the promise.
///
/// # Errors
/// When the soak can't be set up, is interrupted, or the promise is broken; with `--off`, when it is not.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Promise::Handover = args.promise;
    build::everything(Need::Everything)?;
    siplb_lab::interrupt::install()?;
    let outcome = handover::play(args)?;
    println!("\n{}", figures::table(&outcome));
    if let Some(file) = &args.json {
        let json = serde_json::to_string(&outcome)? + "\n";
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if args.off {
        let missing = outcome.missing_harm();
        if !missing.is_empty() {
            bail!("with handovers switched off this should have gone wrong: {}", missing.join("; "));
        }
        println!("\nThis is what happens without handovers: {} requests went astray.", outcome.astray());
        return Ok(());
    }
    let broken = outcome.broken_promises();
    if !broken.is_empty() {
        bail!("this should not have happened: {}", broken.join("; "));
    }
    println!("\nNo request came to a server that did not know its transaction.");
    Ok(())
}

/// `20s` or `20`.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    match number.parse() {
        Ok(seconds @ 1..=60) => Ok(Duration::from_secs(seconds)),
        _ => Err("write a number of seconds between 1 and 60, such as 20s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(seconds("60"), Ok(Duration::from_secs(60)));
        for bad in ["", "s", "0s", "61s", "20ms", "-1"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
