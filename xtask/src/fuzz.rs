//! `fuzz`: lets libFuzzer look for messages that the scanner does not survive.

use anyhow::Result;

use crate::{process, setup};

const CARGO_FUZZ_VERSION: &str = "0.13.1";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The fuzz target
    #[arg(default_value = "scanner")]
    target: String,
    /// How long to look for
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes one target for a while.
///
/// The sanitizers need a nightly compiler and find errors in unsafe code; the scanner has none, so they are left out.
pub(crate) fn run(args: &Args) -> Result<()> {
    let cargo_fuzz = setup::cargo_tool("cargo-fuzz", CARGO_FUZZ_VERSION)?;
    let mut command = std::process::Command::new(cargo_fuzz);
    command
        .current_dir(process::workspace())
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["run", "--sanitizer=none", &args.target, "--"])
        .arg(format!("-max_total_time={}", args.seconds));
    process::run(&mut command)
}
