//! The toolchain for the eBPF program: a rustc with the source of `core` beside it, and the bpf-linker that was built with
//! the same LLVM. Finds compilers and makes their commands; `setup` installs them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::cache::CachedTool;
use crate::process;

const BPF_LINKER_VERSION: &str = "0.13.0";

/// The compiler and linker for the eBPF program, all of it installed.
pub(crate) struct Toolchain {
    /// A rustc whose sysroot has the source of `core`, with cargo-clippy beside it.
    pub(crate) rustc: PathBuf,
    /// The cargo that goes with `rustc`.
    pub(crate) cargo: PathBuf,
    /// A bpf-linker built with the LLVM of `rustc`.
    pub(crate) linker: PathBuf,
}

impl Toolchain {
    /// `cargo build` of the eBPF program.
    pub(crate) fn build(&self) -> Result<Command> {
        self.command(&self.cargo, "build")
    }

    /// `cargo clippy` of the eBPF program, as the eBPF target sees it.
    pub(crate) fn clippy(&self) -> Result<Command> {
        self.command(&self.rustc.with_file_name("cargo-clippy"), "clippy")
    }

    /// A cargo command about lb-ebpf that knows only this toolchain, whatever this process was told about the host's.
    fn command(&self, program: &Path, verb: &str) -> Result<Command> {
        // BTF makes the program's types known to the kernel. Misaligned loads: the kernel allows them wherever it has the
        // JIT, and without the feature each 8-byte load from a packet would be eight loads of a byte. Memory in no order of
        // its own: in order, LLVM would make a call of every memset and memmove, to a function that goes byte by byte.
        const RUSTFLAGS: &str = "-C debuginfo=2 -C link-arg=--btf -C link-arg=--disable-expand-memcpy-in-order \
                                 -C target-feature=+allows-misaligned-mem-access";
        let linker_folder = self.linker.parent().context("bpf-linker is not in a folder")?;
        let mut command = Command::new(program);
        process::without_host_build(&mut command)
            .current_dir(process::workspace())
            .args([
                verb,
                "--package=lb-ebpf",
                "--profile=bpf",
                "--target=bpfel-unknown-none",
                "-Zbuild-std=core",
            ])
            .arg("--target-dir")
            .arg(process::workspace().join("target/bpf-build"))
            .env("CARGO", &self.cargo)
            .env("PATH", process::path_with(linker_folder)?)
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1") // build-std is an unstable option
            .env("RUSTFLAGS", RUSTFLAGS);
        Ok(command)
    }
}

/// Who made a compiler, and so how the linker for it is had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Distribution,
    Rustup,
}

/// A rustc that can compile the eBPF program once its linker is there.
pub(super) struct Compiler {
    pub(super) origin: Origin,
    pub(super) rustc: PathBuf,
    pub(super) cargo: PathBuf,
    /// The major version of its LLVM, which bpf-linker must share: the two exchange bitcode.
    pub(super) llvm: u32,
}

impl Compiler {
    /// The first compiler that will do: the distribution's, then rustup's nightly.
    pub(super) fn find() -> Option<Self> {
        let distribution =
            || Self::inspect(Origin::Distribution, "/usr/bin/rustc".into(), process::host_cargo());
        let rustup = || {
            let mut command = Command::new("rustup");
            command.args(["which", "--toolchain", "nightly", "rustc"]).env("RUSTUP_AUTO_INSTALL", "0");
            let rustc =
                PathBuf::from(process::output(process::without_host_build(&mut command)).ok()?.trim());
            let cargo = rustc.with_file_name("cargo");
            Self::inspect(Origin::Rustup, rustc, cargo)
        };
        distribution().or_else(rustup)
    }

    /// `rustc`, if it is new enough and complete: the source of `core` is in its sysroot and clippy is beside it. A
    /// toolchain that merely exists is not enough, since rustup's come without the source.
    fn inspect(origin: Origin, rustc: PathBuf, cargo: PathBuf) -> Option<Self> {
        let sysroot = rustc.parent()?.parent()?;
        let is_complete = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file()
            && rustc.with_file_name("cargo-clippy").is_file();
        if !is_complete {
            return None;
        }
        let mut command = Command::new(&rustc);
        let verbose = process::output(process::without_host_build(&mut command).arg("-vV")).ok()?;
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let llvm = field("LLVM version")?.split('.').next()?.parse().ok()?;
        is_new_enough(field("release")?).then_some(Self { origin, rustc, cargo, llvm })
    }

    /// The bpf-linker for this compiler, installed or not.
    pub(super) fn linker(&self) -> CachedTool {
        CachedTool::new("bpf-linker", BPF_LINKER_VERSION, &format!("-llvm-{}", self.llvm))
    }
}

/// Whether `version`, of rustc or of a package of it, is one that this workspace compiles with.
pub(super) fn is_new_enough(version: &str) -> bool {
    let major_minor = |version: &str| {
        let mut numbers =
            version.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    };
    major_minor(version) >= major_minor(env!("CARGO_PKG_RUST_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_compare_by_number() {
        assert!(is_new_enough("1.96.0+dfsg1-1~deb12u2"));
        assert!(is_new_enough("1.100.0-nightly"));
        assert!(is_new_enough(env!("CARGO_PKG_RUST_VERSION")));
        assert!(!is_new_enough("1.85.0+dfsg3-1~deb12u3"));
        assert!(!is_new_enough("1.9.0"));
        assert!(!is_new_enough("(none)"));
    }
}
