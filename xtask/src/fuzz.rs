//! `fuzz`: lets libFuzzer look for bytes that break a promise of the scanner.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    process,
    setup::{self, Need},
};

const CARGO_FUZZ_VERSION: &str = "0.13.2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The fuzz target
    #[arg(default_value = "scanner")]
    target: String,
    /// How long to look
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes one target for a while, from its seeds and from what earlier runs found worth keeping.
///
/// No sanitizer: those need a nightly compiler, and find errors of unsafe code, of which the targets have none. Coverage,
/// overflow checks and debug assertions are on.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(Need::Toolchain)?; // libFuzzer is C++
    let cargo_fuzz = setup::cargo_tool("cargo-fuzz", CARGO_FUZZ_VERSION)?;
    let folder = process::workspace().join("fuzz");
    let corpus = folder.join("corpus").join(&args.target);
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    let mut command = Command::new(cargo_fuzz);
    command
        .current_dir(process::workspace())
        .args(["run", "--sanitizer=none", &args.target])
        .arg(corpus)
        .arg(folder.join("seeds").join(&args.target))
        .arg("--")
        .arg(format!("-dict={}", folder.join("sip.dict").display()))
        .arg(format!("-max_total_time={}", args.seconds))
        .args(["-max_len=4096", "-print_final_stats=1"]);
    process::run(&mut command)
}
