//! Debian packages that are used without being installed: unpacked below the user's cache, each in a folder of its own. That
//! takes no root, and neither changes the machine's kernel nor argues with what is installed.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{apt, cache};
use crate::process;

/// The folder of one package, which needs nothing else.
pub(crate) fn package(name: &str) -> Result<PathBuf> {
    unpack(name, || Ok(vec![name.to_owned()]))
}

/// The folder of a package together with those that it depends on and that are not installed.
pub(crate) fn with_dependencies(name: &str) -> Result<PathBuf> {
    unpack(name, || apt::would_install(name))
}

/// The folder of the package whose name begins and ends like this, with the highest number between. One that was unpacked
/// before will do.
pub(crate) fn newest(start: &str, end: &str) -> Result<PathBuf> {
    let number = |name: &str| name.strip_prefix(start)?.strip_suffix(end)?.parse::<u32>().ok();
    let folders = fs::read_dir(cache::folder()).into_iter().flatten().flatten();
    let present = folders.filter_map(|folder| folder.file_name().into_string().ok());
    let name = match present.filter(|name| number(name).is_some()).max_by_key(|name| number(name)) {
        Some(name) => name,
        None => apt::names_like(start)?
            .into_iter()
            .filter(|name| number(name).is_some())
            .max_by_key(|name| number(name))
            .with_context(|| {
                format!("apt knows no package {start}N{end}: this takes Debian 12's package lists")
            })?,
    };
    package(&name)
}

/// Fetches and unpacks `packages` into the folder `name`, unless it is there.
fn unpack(name: &str, packages: impl FnOnce() -> Result<Vec<String>>) -> Result<PathBuf> {
    let folder = cache::folder().join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    ensure!(apt::is_here(), "{name} is fetched with apt-get, which is not here");
    let packages = packages()?;
    println!("setup: will unpack into {} the Debian packages {}", folder.display(), packages.join(", "));
    fs::create_dir_all(cache::folder())?;
    let scratch = TempDir::with_prefix_in(".unpack-", cache::folder())?;
    let (files, root) = (scratch.path().join("files"), scratch.path().join("root"));
    fs::create_dir(&files)?;
    apt::download(&packages, &files)?;
    for file in fs::read_dir(&files)? {
        process::output(Command::new("dpkg-deb").arg("-x").arg(file?.path()).arg(&root))?;
    }
    // Whole or not at all, whatever interrupts this.
    fs::rename(&root, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
