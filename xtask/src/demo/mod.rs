//! `demo`: siplb at work, on real Kamailio servers and real calls, with one server killed on the way.
//!
//! [`stage`] is what stands: namespaces, four registrars, the node, the users' phones. [`story`] is what happens
//! on it, step by step; [`figures`] is what came of it, as a table, as JSON, and as a judgement: a demo whose
//! figures break a promise fails.

mod figures;
mod hints;
mod stage;
mod story;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::setup::Need;
use crate::{build, process};
use stage::Stage;

/// The lab's name: what the demo makes is called `siplb-...`.
const LAB: &str = "siplb";

/// What `cargo xtask demo` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many users register and are called
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=10_000))]
    users: u32,
    /// Write the figures to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave everything standing, and say what to try
    #[arg(long)]
    keep: bool,
    /// Only remove what an earlier demo left standing
    #[arg(long, conflicts_with_all = ["users", "json", "keep"])]
    clean: bool,
}

/// Builds siplb, and shows it.
///
/// # Errors
/// When the demo can't be set up, is interrupted, or shows something that siplb promises not to do.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.clean {
        return siplb_lab::clean(LAB);
    }
    build::everything(Need::Everything)?;
    siplb_lab::interrupt::install()?;
    let mut stage = Stage::set(LAB, &process::target_dir().join("release/siplb"))?;
    let figures = story::play(&mut stage, args.users)?;
    stage.progress.finish();
    println!("\n{figures}");
    if let Some(file) = &args.json {
        let json = serde_json::to_string(&figures)? + "\n";
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if args.keep {
        println!("{}", hints::what_to_try(&stage));
        stage.leave_standing();
    }
    let broken = figures.broken_promises();
    if !broken.is_empty() {
        bail!("this should not have happened: {}", broken.join("; "));
    }
    Ok(())
}
