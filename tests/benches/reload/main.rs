//! `cargo xtask bench reload`: how long the real daemon takes from a reload's request to the last store, with 1,000 backends
//! in 200 groups, for changes of several kinds.
//!
//! The daemon runs as its operator runs it, with the program on an interface, in a network namespace that ends with this
//! process. Every case goes to its other file and back in every round; the daemon itself says how long it took and for what.
//! Nothing passes or fails by the figures.

mod daemon;
mod files;
mod report;

use anyhow::{Result, ensure};
use siplb_figures::{Arguments, progress};

use daemon::{Daemon, Took};
use files::Case;

/// Rounds, of two reloads a case.
const ROUNDS: usize = 10;

fn main() -> Result<()> {
    let arguments = Arguments::of_process();
    let rounds = arguments.rounds_or(ROUNDS);
    ensure!(nix::unistd::Uid::effective().is_root(), "the benchmark runs a daemon: run it as root");
    let mut daemon = Daemon::start()?;
    let mut rows = Case::ALL.map(|case| (case, vec![]));
    for round in 0..rounds {
        for (case, reloads) in &mut rows {
            reloads.extend(to_and_fro(&mut daemon, *case)?);
        }
        progress("reload", round + 1, rounds, "every change, and back");
    }
    let status = daemon.time_of_status()?;
    daemon.stop()?;
    Ok(arguments.deliver(&report::of(&rows, rounds, status))?)
}

/// Both reloads of a case, after one that brings the daemon to where the case begins.
fn to_and_fro(daemon: &mut Daemon, case: Case) -> Result<[Took; 2]> {
    let [from, to] = case.files();
    daemon.reload(&from)?;
    Ok([daemon.reload(&to)?, daemon.reload(&from)?])
}
