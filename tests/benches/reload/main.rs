//! `cargo xtask bench reload`: how long the real daemon takes from a reload's request to the last store, with 1,000 backends
//! in 200 groups, for changes of several kinds.
//!
//! The daemon runs as its operator runs it, with the program on an interface, in a network namespace that ends with this
//! process. Each case goes to and fro between two files; the daemon itself says how long it took and for what. Nothing
//! passes or fails by the figures.

mod daemon;
mod files;
mod report;

use anyhow::{Context as _, Result, ensure};

use daemon::{Daemon, Took};
use files::Case;

/// Reloads of each case.
const ROUNDS: usize = 20;

fn main() -> Result<()> {
    let mut json = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--json" {
            json = Some(arguments.next().context("--json needs a file")?);
        }
    }
    ensure!(nix::unistd::Uid::effective().is_root(), "the benchmark runs a daemon: run it as root");
    let mut daemon = Daemon::start()?;
    let mut rows = Vec::new();
    for case in Case::ALL {
        rows.push((case, measure(&mut daemon, case)?));
    }
    let status = daemon.time_of_status()?;
    daemon.stop()?;
    let report = report::Report::new(&rows, status);
    print!("{report}");
    if let Some(file) = json {
        std::fs::write(&file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("write {file}"))?;
    }
    Ok(())
}

/// Every reload of a case, after one that brings the daemon to where it begins.
fn measure(daemon: &mut Daemon, case: Case) -> Result<Vec<Took>> {
    let [from, to] = case.files();
    daemon.reload(&from)?;
    let round = |round: usize| daemon.reload(if round.is_multiple_of(2) { &to } else { &from });
    (0..ROUNDS).map(round).collect()
}
