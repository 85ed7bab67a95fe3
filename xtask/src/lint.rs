//! `lint`: formatting and clippy, with warnings as errors. The eBPF program is checked by the clippy of its own toolchain,
//! for its own target: seen for the host, most of it would not be there.

use anyhow::Result;

use crate::{
    build, process,
    setup::{self, Need},
};

/// Checks the whole workspace.
pub(crate) fn run() -> Result<()> {
    let toolchain = setup::ensure(Need::Toolchain)?;
    process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
    process::run(toolchain.clippy()?.args(["--", "-D", "warnings"]))?;
    build::objects(&toolchain)?; // lb-user embeds one and does not compile without it
    process::run(process::cargo().args([
        "clippy",
        "--workspace",
        "--exclude=lb-ebpf",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}
