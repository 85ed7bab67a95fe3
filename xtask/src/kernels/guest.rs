//! The file system that the machine boots with: an archive in the form that the kernel unpacks into memory.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::{NamedTempFile, TempDir};

use super::packages::Packages;
use crate::process;

/// What the machine does: it is its first process.
const INIT: &str = include_str!("init.sh");

/// Writes the archive: busybox, `ip`, the tests, `siplb`, the libraries of all, and the modules that tests need.
pub(super) fn image(packages: &Packages, tests: &[PathBuf]) -> Result<NamedTempFile> {
    let staging = TempDir::new()?;
    let root = staging.path();
    for folder in ["dev", "proc", "sys", "tmp", "run", "bin", "tests", "modules"] {
        fs::create_dir(root.join(folder))?;
    }
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    copy(&packages.busybox(), &root.join("bin/busybox"))?;
    copy(&packages.driver("net/veth.ko")?, &root.join("modules/veth.ko"))?;

    let ip = process::find_program("ip").context("the tests need `ip`: install iproute2")?;
    copy(&ip, &root.join("bin/ip"))?;
    let siplb = process::target_dir().join("release/siplb");
    strip(&siplb, &root.join("bin/siplb"))?;
    for test in tests {
        // Cargo adds a hash to the name.
        let name = test.file_stem().and_then(|name| name.to_str()).context("a test without a name")?;
        strip(test, &root.join("tests").join(name.rsplit_once('-').map_or(name, |(name, _)| name)))?;
    }
    for library in libraries(tests.iter().map(PathBuf::as_path).chain([ip.as_path(), siplb.as_path()]))? {
        let to = root.join(library.strip_prefix("/")?);
        fs::create_dir_all(to.parent().context("a library is in a folder")?)?;
        copy(&library, &to)?;
    }
    archive(packages, root)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Copies a program without what debuggers read, which is nine tenths of it.
fn strip(from: &Path, to: &Path) -> Result<()> {
    process::output(Command::new("strip").arg("-o").arg(to).arg(from))?;
    Ok(())
}

/// The libraries that programs are linked to, and their loader.
fn libraries<'a>(programs: impl Iterator<Item = &'a Path>) -> Result<BTreeSet<PathBuf>> {
    let mut libraries = BTreeSet::new();
    for program in programs {
        let listed = process::output(Command::new("ldd").arg(program))?;
        // Such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f..)`.
        let words =
            listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
        libraries.extend(words.map(PathBuf::from));
    }
    Ok(libraries)
}

/// Packs a folder.
fn archive(packages: &Packages, root: &Path) -> Result<NamedTempFile> {
    let names = process::output(Command::new("find").arg(".").current_dir(root))?;
    let list = root.with_extension("list");
    fs::write(&list, names)?;
    let image = NamedTempFile::new()?;
    let status = Command::new(packages.busybox())
        .args(["cpio", "-o", "-H", "newc"])
        .current_dir(root)
        .stdin(fs::File::open(&list)?)
        .stdout(image.reopen()?)
        .stderr(Stdio::null())
        .status()
        .context("cannot start busybox")?;
    fs::remove_file(&list)?;
    ensure!(status.success(), "busybox cpio ended with {status}");
    Ok(image)
}
