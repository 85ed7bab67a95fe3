//! `setup`: makes the tools available that building and testing need. Every verb that needs tools calls [`ensure`].
//!
//! What is there is looked for afresh each time, and nothing remembers an earlier run: tools that were taken away since are
//! found missing. With everything in place that takes a few hundredths of a second. Nothing is installed before it was
//! named.

mod apt;
mod cache;
mod toolchain;
pub(crate) mod unpacked;

pub(crate) use cache::cargo_tool;
pub(crate) use toolchain::Toolchain;

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process;
use cache::CachedTool;
use toolchain::{Compiler, Origin};

/// What a verb needs; each includes the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// The compilers: for the eBPF program, and for the C++ in what cargo builds.
    Toolchain,
    /// Also the programs that tests and demo start.
    Everything,
    /// Also what siplb is measured beside, and nothing else needs.
    Benchmarks,
}

/// A program that has to be there.
struct Program {
    need: Need,
    command: &'static str,
    debian_package: &'static str,
    elsewhere: &'static str,
}

const PROGRAMS: [Program; 14] = [
    Program {
        need: Need::Toolchain,
        command: "c++",
        debian_package: "g++",
        elsewhere: "a C++ compiler: packaged as g++, gcc-c++ or gcc",
    },
    Program {
        need: Need::Everything,
        command: "sipp",
        debian_package: "sip-tester",
        elsewhere: "SIPp 3.6 or later: mostly packaged as sipp, at home at https://github.com/SIPp/sipp",
    },
    Program {
        need: Need::Everything,
        command: "kamailio",
        debian_package: "kamailio",
        elsewhere: "Kamailio 5.6 or later: packaged as kamailio, at home at https://www.kamailio.org",
    },
    Program {
        need: Need::Everything,
        command: "baresip",
        debian_package: "baresip-core",
        elsewhere: "baresip 1.0 or later: packaged as baresip, at home at https://github.com/baresip/baresip",
    },
    Program {
        need: Need::Everything,
        command: "nft",
        debian_package: "nftables",
        elsewhere: "packaged as nftables",
    },
    Program {
        need: Need::Everything,
        command: "ip",
        debian_package: "iproute2",
        elsewhere: "packaged as iproute2 or iproute",
    },
    Program {
        need: Need::Everything,
        command: "setpriv",
        debian_package: "util-linux",
        elsewhere: "packaged as util-linux",
    },
    Program {
        need: Need::Everything,
        command: "systemd-analyze",
        debian_package: "systemd",
        elsewhere: "a part of systemd, which need not run",
    },
    Program {
        need: Need::Everything,
        command: "ethtool",
        debian_package: "ethtool",
        elsewhere: "packaged as ethtool",
    },
    Program {
        need: Need::Everything,
        command: "keepalived",
        debian_package: "keepalived",
        elsewhere: "keepalived 2.2 or later: packaged as keepalived, at home at https://www.keepalived.org",
    },
    Program {
        need: Need::Everything,
        command: "etcd",
        debian_package: "etcd-server",
        elsewhere: "etcd 3.4 or later: packaged as etcd, at home at https://etcd.io",
    },
    Program {
        need: Need::Everything,
        command: "etcdctl",
        debian_package: "etcd-client",
        elsewhere: "packaged with etcd",
    },
    Program {
        need: Need::Everything,
        command: "dnsmasq",
        debian_package: "dnsmasq-base",
        elsewhere: "packaged as dnsmasq",
    },
    Program {
        need: Need::Benchmarks,
        command: "nginx",
        // It brings nginx along.
        debian_package: "libnginx-mod-stream",
        elsewhere: "nginx with its stream module",
    },
];

/// Packages that Debian starts a service of, and the service.
const SERVICES: [(&str, &str); 4] = [
    ("kamailio", "kamailio.service"),
    ("etcd-server", "etcd.service"),
    ("keepalived", "keepalived.service"),
    ("libnginx-mod-stream", "nginx.service"),
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
    let is_missing =
        |program: &&Program| program.need <= need && process::find_program(program.command).is_none();
    let programs: Vec<_> = PROGRAMS.iter().filter(is_missing).collect();
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

/// Installs what the distribution's packages can give: the missing programs and, where it has one that will do, a compiler.
fn install_packages(programs: &[&Program], with_compiler: bool) -> Result<()> {
    if apt::is_here() {
        let mut packages: Vec<_> = programs.iter().map(|program| program.debian_package.to_owned()).collect();
        if with_compiler {
            packages.extend(apt::compiler_packages()?);
        }
        apt::install(&packages)?;
        for (package, service) in SERVICES {
            if packages.iter().any(|installed| installed == package) {
                stop_service(service)?;
            }
        }
    } else if !programs.is_empty() {
        let list: String = programs.iter().map(|p| format!("\n  {:10} {}", p.command, p.elsewhere)).collect();
        bail!("these programs are missing, and this distribution's names for them are not known here:{list}");
    }
    Ok(())
}

/// Debian starts a service as soon as it is installed. Tests start their own servers, and the machine's ports are not ours
/// to take.
fn stop_service(service: &str) -> Result<()> {
    if Path::new("/run/systemd/system").is_dir() {
        println!("setup: stopping and disabling {service}, which came with the package");
        process::output(Command::new("systemctl").args(["disable", "--now", service]))?;
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
    if !Path::new(&prefix).join("include/llvm-c").is_dir() {
        ensure!(
            apt::is_here(),
            "bpf-linker takes the headers of LLVM {} in {prefix}: install them",
            compiler.llvm
        );
        apt::install(&[format!("{llvm}-dev")])?;
    }
    linker.cargo_install(|command| {
        command.args(["--no-default-features", "--features", &llvm]).env("LLVM_PREFIX", &prefix);
    })
}
