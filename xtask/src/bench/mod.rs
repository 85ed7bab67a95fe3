//! `bench`: measures, and says what was reached. Figures are for reading: nothing fails for being slow.
//!
//! A benchmark is a bench target of `siplb-tests` and has one line in [`BENCHES`], a name in [`What`] and its arm in [`run`].

mod all;
mod compare;
mod document;
mod readme;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::{
    build, process,
    setup::{self, Need},
};

pub(crate) use document::check as check_document;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Nanoseconds a packet pays, against the empty program and a plain layer 4 balancer
    Datapath(Options),
    /// How long a reload takes with 1,000 backends in 200 groups, from the request to the last store
    Reload(Options),
    /// CPU time of a request, latency and highest rate, beside routing, nftables, nginx and Kamailio
    Peers(Options),
    /// Calls completed while junk, fragments, OPTIONS and REGISTERs come as fast as they can be made
    Flood(Options),
    /// What grows with backends, VIPs, users, receive queues and groups: a packet's time, tables, memory
    Scale(Options),
    /// From a fault to the last request that went wrong, by kind of fault
    Failover(Options),
    /// Every benchmark in turn, each written as JSON
    All(all::Args),
    /// The benchmark `datapath` of two commits, by turns: which packet costs more, which less
    Compare(compare::Args),
    /// Write docs/benchmarks.md and its plots from the JSON in docs/benchmarks
    Document(document::Args),
}

/// What every benchmark takes.
#[derive(Clone, Default, clap::Args)]
struct Options {
    /// Write the figures to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each thing is measured, by turns; without it the benchmark's own number
    #[arg(long, visible_alias = "runs", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Arguments of this benchmark alone, behind `--`; `-- --help` prints them
    #[arg(last = true)]
    own: Vec<String>,
}

/// What has to be built before a benchmark runs; each includes the one before.
#[derive(Clone, Copy)]
enum Built {
    /// The eBPF objects.
    Objects,
    /// Also `target/release/siplb`.
    Binary,
    /// Also servers, clients, and what siplb is measured beside.
    Peers,
}

/// A benchmark: its name, which is that of the bench target, and what it needs.
type Bench = (&'static str, Built);

/// Every benchmark, in the order of docs/benchmarks.md.
const BENCHES: [Bench; 6] = [
    ("datapath", Built::Objects),
    ("reload", Built::Binary),
    ("peers", Built::Peers),
    ("scale", Built::Binary),
    ("failover", Built::Binary),
    ("flood", Built::Peers),
];

/// Builds what is measured, and measures it; or makes something of what was measured.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Datapath(options) => measure("datapath", options),
        What::Reload(options) => measure("reload", options),
        What::Peers(options) => measure("peers", options),
        What::Flood(options) => measure("flood", options),
        What::Scale(options) => measure("scale", options),
        What::Failover(options) => measure("failover", options),
        What::All(args) => all::run(args),
        What::Compare(args) => compare::run(args),
        What::Document(args) => document::run(args),
    }
}

fn measure(name: &str, options: &Options) -> Result<()> {
    let (_, built) = BENCHES
        .iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("{name} is not in BENCHES"))?;
    ensure!(
        process::is_root(),
        "the benchmarks load programs and make network namespaces, which takes root: use `sudo -E cargo xtask bench`"
    );
    match built {
        Built::Objects => drop(build::objects(&setup::ensure(Need::Toolchain)?)?),
        Built::Binary => build::everything(Need::Toolchain)?,
        Built::Peers => build::everything(Need::Benchmarks)?,
    }
    let mut command = process::cargo();
    command.args(["bench", "--quiet", "--package", "siplb-tests", "--bench", name, "--"]);
    if let Some(file) = &options.json {
        // Cargo runs a benchmark in its package's folder.
        command.arg("--json").arg(std::path::absolute(file)?);
    }
    if let Some(rounds) = options.rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    process::run(command.args(&options.own))
}

/// Where the JSON is that docs/benchmarks.md is written from.
fn kept_reports() -> PathBuf {
    process::workspace().join("docs/benchmarks")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::process;

    use super::BENCHES;

    #[test]
    fn every_bench_target_can_be_asked_for() {
        let manifest = fs::read_to_string(process::workspace().join("tests/Cargo.toml")).unwrap();
        let targets = manifest.split("[[bench]]").skip(1).map(|target| target.split('"').nth(1).unwrap());
        for target in targets {
            assert!(BENCHES.iter().any(|(name, _)| *name == target), "{target} is not in BENCHES");
        }
    }
}
