//! `siplb completions`

use clap::CommandFactory;
use clap_complete::Shell;

use super::failure::Failure;
use super::output::print;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script that lets a shell complete verbs and options.
pub(super) fn run(Args { shell }: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut super::Cli::command(), "siplb", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}
