//! `test`: all tests, those that need root last, and one closing line that counts them.

use anyhow::{Result, bail, ensure};

use crate::{build, kernels, process, setup::Need};

/// The crate whose tests load programs and make network namespaces.
const PRIVILEGED: &str = "siplb-tests";

/// The filter that means other kernels, and no name.
const KERNELS: &str = "kernels";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only tests whose name contains this; `kernels` runs the packet tests and the daemon on Debian 12's kernel, in QEMU
    filter: Option<String>,
    /// Run only the tests that need neither root nor network namespaces
    #[arg(long)]
    fast: bool,
}

/// Builds, runs the tests, and closes with `N passed, N failed`.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.filter.as_deref() == Some(KERNELS) {
        return kernels::run()?.close();
    }
    if !args.fast && !process::is_root() {
        bail!(
            "loading programs and making network namespaces takes root: use `sudo -E cargo xtask test`, or \
             `cargo xtask test --fast` for the tests that do without"
        );
    }
    build::everything(if args.fast { Need::Toolchain } else { Need::Everything })?;
    let mut total = Tally::default();
    total.add(cargo_test(&[], args.filter.as_deref()));
    if !args.fast {
        total.add(cargo_test(&["--package", PRIVILEGED], args.filter.as_deref()));
    }
    total.close()
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Prints the closing line, and fails if anything did.
    fn close(self) -> Result<()> {
        println!("\n{} passed, {} failed", self.passed, self.failed);
        ensure!(self.failed == 0, "tests failed");
        ensure!(self.passed > 0, "no test has a name that contains the filter");
        Ok(())
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// What a closing line of a test binary says, such as `test result: ok. 3 passed; 0 failed; 0 ignored; ...`.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |what| counts.split("; ").find_map(|part| part.strip_suffix(what)?.parse().ok());
        Some(Self { passed: count(" passed")?, failed: count(" failed")? })
    }
}

/// Runs `cargo test`, passes its output on as it comes, and counts. A test binary that does not compile or dies before its
/// closing line counts as one failure.
fn cargo_test(packages: &[&str], filter: Option<&str>) -> Tally {
    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast"]).args(packages).args(filter);
    let mut tally = Tally::default();
    let done = process::each_line(&mut command, |line| {
        println!("{line}");
        tally.add(Tally::of_line(line).unwrap_or_default());
        Ok(())
    });
    if let Err(error) = done {
        eprintln!("{error:#}");
        tally.failed = tally.failed.max(1);
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn counts_are_read_from_closing_lines_alone() {
        let closing = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.31s";
        assert_eq!(Tally::of_line(closing), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(Tally::of_line("test health::tests::rise ... ok"), None);
        assert_eq!(Tally::of_line("running 12 tests"), None);
    }
}
