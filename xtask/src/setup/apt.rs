//! Debian and its relatives: what apt has, and installing it. Package versions move, so what there is gets asked, never
//! assumed.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Result, bail};

use super::toolchain::is_new_enough;
use crate::process;

/// The packages that together are a compiler for the eBPF program, the better choice first: beside its own rustc, Debian
/// stable keeps a newer one for building web browsers.
const COMPILERS: [[&str; 3]; 2] =
    [["rustc-web", "rust-web-src", "rust-web-clippy"], ["rustc", "rust-src", "rust-clippy"]];

/// Takes no package away to make room for another, and adds only what is needed.
const INSTALL: [&str; 4] = ["install", "--yes", "--no-remove", "--no-install-recommends"];

/// Whether this is a system with apt.
pub(super) fn is_here() -> bool {
    process::find_program("apt-get").is_some()
}

/// Installs `packages`, after naming them; none is nothing to do.
///
/// # Errors
/// Names the command to run as root when this process isn't.
pub(super) fn install(packages: &[String]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if !process::is_root() {
        bail!("these Debian packages are missing; as root, run: apt-get install {}", packages.join(" "));
    }
    println!("setup: will install the Debian packages {}", packages.join(", "));
    update()?;
    let mut command = apt_get();
    command.args(INSTALL).args(packages);
    process::with_progress("apt-get install", command)
}

/// The packages of the first compiler that apt has in a version that will do, and that nothing installed stands against;
/// none if there is no such compiler.
pub(super) fn compiler_packages() -> Result<Vec<String>> {
    update_if_root()?;
    for packages in COMPILERS {
        let policy = process::output(Command::new("apt-cache").args(["policy", packages[0]]))?;
        let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
        let can_install =
            || process::output(apt_get().args(INSTALL).arg("--simulate").args(packages)).is_ok();
        if candidate.is_some_and(is_new_enough) && can_install() {
            return Ok(packages.map(str::to_owned).to_vec());
        }
    }
    Ok(vec![])
}

/// The packages that installing `package` would add.
pub(super) fn would_install(package: &str) -> Result<Vec<String>> {
    update_if_root()?;
    let simulate = ["install", "--simulate", "--no-install-recommends"];
    let said = process::output(apt_get().args(simulate).arg(package))?;
    // Such as `Inst libfdt1 (1.6.1-4+b1 Debian:12.15/oldstable [amd64])`.
    let names = said.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

/// The packages whose names begin with `start`.
pub(super) fn names_like(start: &str) -> Result<Vec<String>> {
    update_if_root()?;
    Ok(process::output(Command::new("apt-cache").args(["pkgnames", start]))?
        .lines()
        .map(str::to_owned)
        .collect())
}

/// Downloads the files of `packages` into a folder.
pub(super) fn download(packages: &[String], folder: &Path) -> Result<()> {
    update_if_root()?;
    let mut command = apt_get();
    // The user that apt would otherwise turn into can't write there.
    command.args(["--option", "APT::Sandbox::User=root", "download"]).args(packages).current_dir(folder);
    process::with_progress("apt-get download", command)
}

/// Others make do with the lists that are there.
fn update_if_root() -> Result<()> {
    if process::is_root() { update() } else { Ok(()) }
}

/// Refreshes the package lists, once a run: a fresh machine has none, and old ones name files that are gone.
fn update() -> Result<()> {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let mut command = apt_get();
    command.arg("update");
    process::with_progress("apt-get update", command)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    command
}
