//! `bench compare A B`: the benchmark `datapath` of two commits, by turns on one machine, so that a commit that makes packets
//! dearer is seen.
//!
//! Each commit builds itself, by its own `cargo xtask build`, and is measured by its own benchmark, in processes of their own:
//! layouts, loader and cases may have changed in between. What the two sides have to agree on is little:
//! `--rounds N --json FILE`, and names of cases and nanoseconds in that file (`slice`).

mod checkout;
mod found;
mod slice;

use std::{path::PathBuf, process::Command, time::Instant};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};
use siplb_figures::progress;

use crate::process;
use checkout::{Checkout, Side};
use slice::Slice;

/// Rounds in a turn: enough for a median, few enough that both sides see the same weather.
const ROUNDS_IN_A_TURN: usize = 3;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A git revision, or `worktree` for the files as they are now
    a: String,
    /// Another, which is held against the first
    b: String,
    /// Turns of each side, of three rounds each
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Write the figures to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave what was built of both in target/compare, for the next comparison with the same commits; crates of others stay in
    /// target/compare/build in any case
    #[arg(long)]
    keep: bool,
}

/// Builds both sides, measures them by turns, and prints what differs.
pub(super) fn run(args: &Args) -> Result<()> {
    ensure!(
        process::is_root(),
        "the benchmark loads programs, which takes root: use `sudo -E cargo xtask bench`"
    );
    let _lock = checkout::lock()?;
    let sides = [Side::of(&args.a)?, Side::of(&args.b)?];
    let checkouts = sides.each_ref().map(Checkout::of);
    let outcome = compare(args, &sides, &checkouts);
    if !args.keep {
        // Both: a failure to remove one does not keep the other.
        let removed = checkouts.each_ref().map(Checkout::remove);
        outcome?;
        removed.into_iter().collect::<Result<()>>()
    } else {
        outcome
    }
}

fn compare(args: &Args, sides: &[Side; 2], checkouts: &[Checkout; 2]) -> Result<()> {
    let [a, b] = checkouts;
    let benches = [a.build()?, b.build()?];
    let cpu = stay_on_one_cpu()?;
    let turns = by_turns(args.rounds as usize, &benches)?;
    let report = found::report(sides, &turns, cpu)?;
    print!("{report}");
    args.json.as_ref().map_or(Ok(()), |file| Ok(report.save(file)?))
}

/// Measures the two sides one after the other, `count` times. Who is first changes every time, so that what only rises or
/// falls with time favours nobody.
fn by_turns(count: usize, benches: &[PathBuf; 2]) -> Result<Vec<[Slice; 2]>> {
    let mut turns = vec![];
    let started = Instant::now();
    for turn in 0..count {
        let pair = if turn.is_multiple_of(2) {
            [measure(&benches[0])?, measure(&benches[1])?]
        } else {
            let b = measure(&benches[1])?;
            [measure(&benches[0])?, b]
        };
        if turn == 0 {
            tell(&pair, started.elapsed().as_secs_f32(), count);
        }
        turns.push(pair);
        progress("compare", turn + 1, count, "turns of both");
    }
    Ok(turns)
}

/// Says how long it will take, and why, when a side does not know how to be short.
fn tell(pair: &[Slice; 2], seconds: f32, count: usize) {
    eprintln!(
        "compare: a turn of both takes {seconds:.0} s, all of them {:.0} min",
        seconds * count as f32 / 60.0
    );
    for (slice, name) in pair.iter().zip(["A", "B"]) {
        if slice.rounds != ROUNDS_IN_A_TURN {
            eprintln!(
                "compare: the benchmark of {name} is older than its argument --rounds and measures {} rounds in each turn, \
                 not {ROUNDS_IN_A_TURN}: `bench compare --rounds N` takes fewer turns",
                slice.rounds
            );
        }
    }
}

/// One turn of one side.
fn measure(bench: &PathBuf) -> Result<Slice> {
    let file = tempfile::NamedTempFile::new().context("cannot make a file for the figures")?;
    let mut command = Command::new(bench);
    command.args(["--rounds", &ROUNDS_IN_A_TURN.to_string(), "--json"]).arg(file.path()).arg("--bench");
    process::output(&mut command)?;
    Slice::read(file.path())
        .with_context(|| format!("the figures of {} are in no form known here", bench.display()))
}

/// Holds this process, and those that it starts, to the CPU that it is on.
fn stay_on_one_cpu() -> Result<usize> {
    let cpu = sched_getcpu()?;
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("cannot stay on one CPU")?;
    Ok(cpu)
}
