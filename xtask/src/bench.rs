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
    /// How long a reload takes with 1,000 backends in 200 groups, from the request to the last store
    Reload {
        /// Write the figures to a file, as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

/// Builds what is measured, and measures it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (bench, json) = match &args.what {
        What::Datapath { json } => ("datapath", json),
        What::Reload { json } => ("reload", json),
    };
    ensure!(
        process::is_root(),
        "the benchmark loads programs, which takes root: use `sudo -E cargo xtask bench`"
    );
    match &args.what {
        What::Datapath { .. } => drop(build::objects(&setup::ensure(Need::Toolchain)?)?),
        What::Reload { .. } => build::everything(Need::Toolchain)?,
    }
    let mut command = process::cargo();
    command.args(["bench", "--quiet", "--package", "siplb-tests", "--bench", bench, "--"]);
    if let Some(file) = json {
        // Cargo runs a benchmark in its package's folder.
        command.arg("--json").arg(std::path::absolute(file)?);
    }
    process::run(&mut command)
}
