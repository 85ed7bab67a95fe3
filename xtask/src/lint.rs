//! `lint`: formatting and clippy, with warnings as errors; and that docs/benchmarks.md is what its JSON gives. The eBPF program is checked by the clippy of its own toolchain,
//! for its own target: seen for the host, most of it would not be there.

use anyhow::Result;

use crate::{
    bench, build, process,
    setup::{self, Need},
};

/// Checks the whole workspace, and the fuzz targets beside it.
pub(crate) fn run() -> Result<()> {
    const FUZZ: &str = "--manifest-path=fuzz/Cargo.toml";
    const DENY: [&str; 3] = ["--", "-D", "warnings"];
    bench::check_document()?;
    let toolchain = setup::ensure(Need::Toolchain)?;
    process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
    process::run(process::cargo().args(["fmt", FUZZ, "--check"]))?;
    process::run(toolchain.clippy()?.args(DENY))?;
    build::objects(&toolchain)?; // lb-user embeds two and does not compile without them
    process::run(
        process::cargo().args(["clippy", "--workspace", "--exclude=lb-ebpf", "--all-targets"]).args(DENY),
    )?;
    process::run(process::cargo().args(["clippy", FUZZ]).args(DENY))
}
