//! `cargo xtask VERB`: every developer action of siplb, one verb a file.
//!
//! A verb that needs tools asks `setup` for them first, so that a fresh clone needs no other command than the verb itself.

mod bench;
mod build;
mod demo;
mod fuzz;
mod kernels;
mod lint;
mod process;
mod progress;
mod setup;
mod soak;
mod test;
mod verifier;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Developer actions of siplb")]
enum Verb {
    /// Install what building and testing need, after saying what
    Setup,
    /// Build the eBPF objects and the release binary target/release/siplb
    Build(build::Args),
    /// Run every test, or those whose name contains FILTER
    Test(test::Args),
    /// Check formatting and clippy, for the host's crates and the eBPF program, and that docs/benchmarks.md is up to date
    Lint,
    /// Fuzz the scanner
    Fuzz(fuzz::Args),
    /// Measure; compare two commits; write docs/benchmarks.md
    Bench(bench::Args),
    /// Show siplb at work: real Kamailio servers, real calls, one server killed
    Demo(demo::Args),
    /// Hold a promise against what goes on for minutes: real calls at a high rate while servers are drained, added, removed
    Soak(soak::Args),
    /// Load every eBPF program and print what the kernel's verifier had to do for it
    Verifier(verifier::Args),
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Setup => setup::run(),
        Verb::Build(args) => build::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Lint => lint::run(),
        Verb::Fuzz(args) => fuzz::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Soak(args) => soak::run(&args),
        Verb::Verifier(args) => verifier::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
