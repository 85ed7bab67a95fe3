//! What the machine is made of: Debian's packages of a kernel, of QEMU and of busybox, unpacked and not installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{process, setup::unpacked};

/// The kernel, by the beginning and the end of its packages' names. The build for clouds is a quarter of the size of the
/// other, and has what is needed.
const KERNEL: (&str, &str) = ("linux-image-6.1.0-", "-cloud-amd64");
const QEMU: &str = "qemu-system-x86";
const QEMU_PROGRAM: &str = "qemu-system-x86_64";
const BUSYBOX: &str = "busybox-static";

/// Where the packages were unpacked.
pub(super) struct Packages {
    kernel: PathBuf,
    busybox: PathBuf,
    /// None where the system has a QEMU of its own.
    qemu: Option<PathBuf>,
}

impl Packages {
    /// Fetches what is not there yet.
    pub(super) fn fetch() -> Result<Self> {
        let kernel = unpacked::newest(KERNEL.0, KERNEL.1)?;
        let busybox = unpacked::package(BUSYBOX)?;
        let qemu = match process::find_program(QEMU_PROGRAM) {
            Some(_) => None,
            None => Some(unpacked::with_dependencies(QEMU)?),
        };
        Ok(Self { kernel, busybox, qemu })
    }

    /// The kernel's package.
    pub(super) fn kernel_name(&self) -> String {
        self.kernel.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The kernel itself.
    pub(super) fn kernel(&self) -> Result<PathBuf> {
        let folder = self.kernel.join("boot");
        let is_kernel = |path: &PathBuf| file_name(path).starts_with("vmlinuz-");
        files(&folder)?
            .into_iter()
            .find(is_kernel)
            .with_context(|| format!("no kernel in {}", folder.display()))
    }

    /// A module of the kernel, such as `net/veth.ko` below its drivers.
    pub(super) fn driver(&self, path: &str) -> Result<PathBuf> {
        let folder = self.kernel.join("lib/modules");
        let release = files(&folder)?.into_iter().next().context("the kernel's package has no modules")?;
        Ok(release.join("kernel/drivers").join(path))
    }

    /// A busybox that needs no libraries.
    pub(super) fn busybox(&self) -> PathBuf {
        self.busybox.join("bin/busybox")
    }

    /// The QEMU that was unpacked, as a folder that stands for `/`; none where the system's own is to be taken.
    pub(super) fn qemu(&self) -> (PathBuf, Option<&Path>) {
        match &self.qemu {
            Some(root) => (root.join("usr/bin").join(QEMU_PROGRAM), Some(root)),
            None => (QEMU_PROGRAM.into(), None),
        }
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>();
    read().with_context(|| format!("cannot read {}", folder.display()))
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
