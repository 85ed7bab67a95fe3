//! The network together with its folder, its pins and its lock; and the removal of all of these by name.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::unistd::geteuid;

use crate::netns::Netns;
use crate::topology::{Shape, Topology};

const BPF_FOLDER: &str = "/sys/fs/bpf";

/// A network that stands until it is dropped.
///
/// Servers and clients inside hold [`Process`](crate::Process)es: drop them first, so that they end in order.
#[derive(Debug)]
pub struct Lab {
    name: String,
    topology: Topology,
    _lock: File,
}

impl Lab {
    /// Removes what an earlier run under this name left, and builds anew.
    ///
    /// # Errors
    /// When not root, when another run under this name is alive, or when a step fails; what was already made
    /// is removed again.
    pub fn create(name: &str, shape: impl Into<Shape>) -> Result<Self> {
        ensure!(geteuid().is_root(), "network namespaces and XDP need root: run this as root");
        let lock = lock(name)?;
        clean(name)?;
        let topology = make(name, shape.into()).inspect_err(|_| report(clean(name)))?;
        Ok(Self { name: name.to_owned(), topology, _lock: lock })
    }

    /// Namespaces and addresses.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// For logs, sockets, lists of users: gone with the lab.
    pub fn folder(&self) -> PathBuf {
        folder(&self.name)
    }

    /// Where this lab's siplb pins, apart from a siplb that serves this machine.
    pub fn pin_dir(&self) -> PathBuf {
        pin_dir(&self.name)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        report(clean(&self.name));
    }
}

/// Removes whatever a lab of this name has left: processes, namespaces, pins, folder.
///
/// # Errors
/// With the first thing that could not be removed, after trying all.
pub fn clean(name: &str) -> Result<()> {
    let mut results = Vec::new();
    let prefix = format!("{name}-");
    for netns in Netns::existing(&prefix)? {
        // `a-b1` is of the lab `a`; `a-x-b1` is of another, `a-x`, whose run may be alive.
        if !netns.name()[prefix.len()..].contains('-') {
            results.push(netns.delete());
        }
    }
    for folder in [pin_dir(name), folder(name)] {
        if folder.exists() {
            let removed = fs::remove_dir_all(&folder);
            results.push(removed.with_context(|| format!("cannot remove {}", folder.display())));
        }
    }
    results.into_iter().collect()
}

fn make(name: &str, shape: Shape) -> Result<Topology> {
    let folder = folder(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    mount_bpffs()?;
    Topology::create(name, shape)
}

/// Mounts the BPF file system where everything expects it, if nobody has yet.
fn mount_bpffs() -> Result<()> {
    if statfs(BPF_FOLDER).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC) {
        return Ok(());
    }
    mount(Some("bpf"), BPF_FOLDER, Some("bpf"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot mount a BPF file system on {BPF_FOLDER}"))
}

/// Held for the life of the lab, and by the kernel's doing not a moment longer than its process.
fn lock(name: &str) -> Result<File> {
    let path = format!("/run/{name}-lab.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {path}"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another run of the lab `{name}` is alive (it holds {path})"),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {path}")),
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new("/run").join(format!("{name}-lab"))
}

fn pin_dir(name: &str) -> PathBuf {
    Path::new(BPF_FOLDER).join(format!("{name}-lab"))
}

fn report(result: Result<()>) {
    if let Err(error) = result {
        eprintln!("cleaning up: {error:#}");
    }
}
