//! `setup`: makes the tools available that building and testing need. Every verb that needs tools calls [`ensure`].
//!
//! What is there is looked for afresh each time, and nothing remembers an earlier run: tools that were taken away since are
//! found missing. With everything in place that takes a few hundredths of a second. Nothing is installed before it was
//! named.

mod apt;
mod cache;
mod toolchain;

pub(crate) use cache::cargo_tool;
pub(crate) use toolchain::Toolchain;

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::process;
use cache::CachedTool;
use toolchain::{Compiler, Origin};

/// What a verb needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The compiler and linker for the eBPF program.
    Toolchain,
    /// The toolchain, and the programs that tests and demo start.
    Everything,
}

/// A program that tests and demo start.
struct Program {
    command: &'static str,
    debian_package: &'static str,
    elsewhere: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program {
        command: "sipp",
        debian_package: "sip-tester",
        elsewhere: "SIPp 3.6 or later: mostly packaged as sipp, at home at https://github.com/SIPp/sipp",
    },
    Program {
        command: "kamailio",
        debian_package: "kamailio",
        elsewhere: "Kamailio 5.6 or later: packaged as kamailio, at home at https://www.kamailio.org",
    },
    Program { command: "ip", debian_package: "iproute2", elsewhere: "packaged as iproute2 or iproute" },
    Program { command: "ethtool", debian_package: "ethtool", elsewhere: "packaged as ethtool" },
];

/// Installs everything, after saying what.
pub(crate) fn run() -> Result<()> {
    let toolchain = ensure(Need::Everything)?;
    println!(
        "setup: ready; {} and {} build the eBPF program",
        toolchain.rustc.display(),
        toolchain.linker.display()
    );
    Ok(())
}

/// Sees to it that `need` is met, and returns the toolchain for the eBPF program.
///
/// # Errors
/// What is missing and how to get it, where it cannot be installed from here: apt without root, or a distribution whose
/// package names are not known.
pub(crate) fn ensure(need: Need) -> Result<Toolchain> {
    let programs = if need == Need::Everything { missing_programs() } else { vec![] };
    let compiler = Compiler::find();
    install_packages(&programs, compiler.is_none())?;
    let compiler = match compiler.or_else(Compiler::find) {
        Some(compiler) => compiler,
        None => install_nightly()?,
    };
    let linker = compiler.linker();
    if !linker.file().is_file() {
        install_linker(&compiler, &linker)?;
    }
    Ok(Toolchain { rustc: compiler.rustc, cargo: compiler.cargo, linker: linker.file() })
}

fn missing_programs() -> Vec<&'static Program> {
    PROGRAMS.iter().filter(|program| process::find_program(program.command).is_none()).collect()
}

/// Installs what the distribution's packages can give: the missing programs and, where it has one that will do, a compiler.
fn install_packages(programs: &[&Program], with_compiler: bool) -> Result<()> {
    if apt::is_here() {
        let mut packages: Vec<_> = programs.iter().map(|program| program.debian_package.to_owned()).collect();
        if with_compiler {
            packages.extend(apt::compiler_packages()?);
        }
        apt::install(&packages)?;
        if packages.iter().any(|package| package == "kamailio") {
            stop_kamailio_service()?;
        }
    } else if !programs.is_empty() {
        let list: String = programs.iter().map(|p| format!("\n  {:10} {}", p.command, p.elsewhere)).collect();
        bail!("these programs are missing, and this distribution's names for them are not known here:{list}");
    }
    Ok(())
}

/// Debian starts a service as soon as it is installed. Tests start their own Kamailio, and the machine's port 5060 is not
/// ours to take.
fn stop_kamailio_service() -> Result<()> {
    if Path::new("/run/systemd/system").is_dir() {
        println!("setup: stopping and disabling kamailio.service, which came with the package");
        process::output(Command::new("systemctl").args(["disable", "--now", "kamailio.service"]))?;
    }
    Ok(())
}

/// Installs rustup's nightly, with the two components that it lacks by default.
fn install_nightly() -> Result<Compiler> {
    let Some(rustup) = process::find_program("rustup") else {
        bail!(
            "the eBPF program takes rustc {} or later with rust-src and clippy, and this distribution's packages for them are \
             not known here: install rustup (https://rustup.rs), then run `cargo xtask setup` again",
            env!("CARGO_PKG_RUST_VERSION")
        );
    };
    println!("setup: will install rustup's nightly with rust-src and clippy");
    let mut command = Command::new(rustup);
    process::without_host_build(&mut command)
        .args(["toolchain", "install", "nightly", "--profile", "minimal"])
        .args(["--component", "rust-src", "--component", "clippy"]);
    process::with_progress("rustup toolchain install nightly", command)?;
    Compiler::find()
        .context("rustup's nightly is installed, but rustc, rust-src or clippy is not where it should be")
}

/// Installs the bpf-linker that goes with `compiler`: built against the distribution's LLVM, or as its project builds it,
/// with an LLVM of its own.
fn install_linker(compiler: &Compiler, linker: &CachedTool) -> Result<()> {
    if compiler.origin == Origin::Rustup {
        return linker.cargo_binstall();
    }
    let llvm = format!("llvm-{}", compiler.llvm);
    let prefix = format!("/usr/lib/{llvm}");
    let mut packages = vec![];
    if !Path::new(&prefix).join("include/llvm-c").is_dir() {
        packages.push(format!("{llvm}-dev"));
    }
    if process::find_program("c++").is_none() {
        packages.push("g++".to_owned());
    }
    if apt::is_here() {
        apt::install(&packages)?;
    } else if !packages.is_empty() {
        bail!(
            "bpf-linker takes a C++ compiler and the headers of LLVM {} in {prefix}; install both",
            compiler.llvm
        );
    }
    linker.cargo_install(|command| {
        command.args(["--no-default-features", "--features", &llvm]).env("LLVM_PREFIX", &prefix);
    })
}
