//! `bench all`: every benchmark in turn. One that fails does not keep the others from being run.

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, bail};

use super::{BENCHES, Options, kept_reports, measure};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Write the JSON of each there, as NAME.json [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// How often each thing is measured, by turns; without it each benchmark's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

/// Runs all, and fails at the end when one did.
pub(super) fn run(args: &Args) -> Result<()> {
    let folder = args.into.clone().unwrap_or_else(kept_reports);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut failed = vec![];
    for (at, (name, _)) in BENCHES.iter().enumerate() {
        eprintln!("bench: {} of {}: {name}", at + 1, BENCHES.len());
        let started = Instant::now();
        let json = Some(folder.join(format!("{name}.json")));
        match measure(name, &Options { json, rounds: args.rounds, ..Options::default() }) {
            Ok(()) => eprintln!("bench: {name} took {:.0} s\n", started.elapsed().as_secs_f32()),
            Err(error) => {
                eprintln!("bench: {name} could not measure: {error:#}\n");
                failed.push(*name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} of {} benchmarks could not measure: {}", failed.len(), BENCHES.len(), failed.join(", "));
    }
    eprintln!("bench: all figures are in {}; `cargo xtask bench document` shows them", folder.display());
    Ok(())
}
