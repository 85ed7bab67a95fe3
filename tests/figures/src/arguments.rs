//! What every benchmark takes on its command line: the contract with `cargo xtask bench`, and with `bench compare`, which
//! runs the benchmarks of other commits.

use std::path::PathBuf;

use clap::Parser;

use crate::{Error, Report};

/// The arguments of a benchmark that has none of its own; others flatten it into theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(disable_help_subcommand = true)]
pub struct Arguments {
    /// Write the figures to a file too, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// How often each thing is measured, by turns; the benchmark knows a number of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Those of this process. Wrong ones end it, with a message of what is right.
    pub fn of_process() -> Self {
        Self::parse()
    }

    /// The rounds asked for, or the benchmark's own number.
    pub fn rounds_or(&self, own: usize) -> usize {
        self.rounds.map_or(own, |rounds| rounds as usize)
    }

    /// Prints what was found, and writes it where that was asked for.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn deliver(&self, report: &Report) -> Result<(), Error> {
        print!("{report}");
        self.json.as_ref().map_or(Ok(()), |file| report.save(file))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Arguments;

    #[test]
    fn what_cargo_and_the_verb_say_is_understood() {
        let arguments = Arguments::parse_from(["datapath", "--json", "a.json", "--rounds", "3", "--bench"]);
        assert_eq!(arguments.json.as_deref(), Some("a.json".as_ref()));
        assert_eq!(arguments.rounds_or(31), 3);
        assert_eq!(Arguments::parse_from(["datapath"]).rounds_or(31), 31);
    }

    #[test]
    fn no_rounds_are_no_measurement() {
        assert!(Arguments::try_parse_from(["datapath", "--rounds", "0"]).is_err());
        assert!(Arguments::try_parse_from(["datapath", "--round", "3"]).is_err());
    }
}
