//! `test kernels`: the packet tests and the daemon on the oldest kernel that siplb is for, Debian 12's own.
//!
//! The kernel is booted in QEMU, by software emulation, which needs no permission, with a file system in memory that holds the
//! test binaries, the binary `siplb` and what they need. Neither QEMU nor the kernel is installed: their packages are
//! unpacked below the user's cache.

mod guest;
mod machine;
mod packages;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{build, process, setup::Need, test::Tally};

/// The tests of the crate `siplb-tests` that run there: all that load the program and need nothing else.
const TESTS: [&str; 2] = ["fixtures", "differential"];

/// Builds, boots, and counts what passed and failed.
pub(crate) fn run() -> Result<Tally> {
    let started = Instant::now();
    build::everything(Need::Toolchain)?;
    let tests = test_binaries()?;
    let packages = packages::Packages::fetch()?;
    let image = guest::image(&packages, &tests)?;
    println!("kernels: booting {} in QEMU", packages.kernel_name());
    let tally = machine::boot(&packages, image.path())?;
    println!("kernels: {:.0} s in all", started.elapsed().as_secs_f32());
    Ok(tally)
}

/// Builds the tests, and returns where cargo left them.
fn test_binaries() -> Result<Vec<PathBuf>> {
    let mut command = process::cargo();
    command.args(["test", "--no-run", "--message-format=json", "--package", "siplb-tests"]);
    command.args(TESTS.iter().flat_map(|name| ["--test", name]));
    let mut binaries = vec![];
    process::each_line(&mut command, |line| {
        let message: Value = serde_json::from_str(line).context("cargo's messages are not JSON")?;
        if let Some(diagnostic) = message["message"]["rendered"].as_str() {
            eprint!("{diagnostic}");
        }
        if message["target"]["name"].as_str().is_some_and(|name| TESTS.contains(&name)) {
            binaries.extend(message["executable"].as_str().map(PathBuf::from));
        }
        Ok(())
    })?;
    anyhow::ensure!(binaries.len() == TESTS.len(), "cargo built {binaries:?} and not the tests {TESTS:?}");
    Ok(binaries)
}
