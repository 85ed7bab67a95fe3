//! `bench`: measures, and says what was reached. Figures are for reading; nothing passes or fails by them.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::{
    build, process,
    setup::{self, Need},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Nanoseconds a packet pays, against the empty program and a plain layer 4 balancer
    Datapath {
        /// Write the figures to a file, as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

/// Builds what is measured, and measures it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let What::Datapath { json } = &args.what;
    ensure!(
        process::is_root(),
        "the benchmark loads programs, which takes root: use `sudo -E cargo xtask bench`"
    );
    build::objects(&setup::ensure(Need::Toolchain)?)?;
    let mut command = process::cargo();
    command.args(["bench", "--quiet", "--package", "siplb-tests", "--bench", "datapath", "--"]);
    if let Some(file) = json {
        // Cargo runs a benchmark in its package's folder.
        command.arg("--json").arg(std::path::absolute(file)?);
    }
    process::run(&mut command)
}
