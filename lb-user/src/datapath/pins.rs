//! Where things are pinned: `PIN-DIR/v<ABI>/{maps/NAME, program, links/INTERFACE}`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lb_common::layout::ABI;
use nix::{
    fcntl::{Flock, FlockArg},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::error::OpenError;

/// The folder of this layout.
pub(super) fn folder(pin_dir: &Path) -> PathBuf {
    pin_dir.join(format!("v{ABI}"))
}

/// A map. Dots are not allowed in names on bpffs; none of ours has one.
pub(super) fn map(folder: &Path, name: &str) -> PathBuf {
    folder.join("maps").join(name.to_lowercase())
}

/// The program.
pub(super) fn program(folder: &Path) -> PathBuf {
    folder.join("program")
}

/// The links.
pub(super) fn links(folder: &Path) -> PathBuf {
    folder.join("links")
}

/// The link of an interface. An interface name may hold dots (`eth0.100`), a name on bpffs may not.
pub(super) fn link(folder: &Path, interface: &str) -> PathBuf {
    links(folder).join(interface.replace('%', "%25").replace('.', "%2e"))
}

/// The interface of a link's file name.
pub(super) fn interface(file: &str) -> String {
    file.replace("%2e", ".").replace("%25", "%")
}

/// Makes the folders, on a BPF file system only: elsewhere a pin would fail with an error that explains nothing.
pub(super) fn prepare(pin_dir: &Path) -> Result<PathBuf, OpenError> {
    let existing = pin_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let kind = statfs(existing)
        .map_err(|errno| OpenError::Unwritable { path: existing.into(), source: io::Error::from(errno) })?;
    if kind.filesystem_type() != BPF_FS_MAGIC {
        return Err(OpenError::NotBpffs { path: pin_dir.into() });
    }
    let folder = folder(pin_dir);
    for path in [folder.join("maps"), links(&folder)] {
        fs::create_dir_all(&path).map_err(|source| OpenError::Unwritable { path, source })?;
    }
    Ok(folder)
}

/// Keeps the folder for one daemon, until what is returned is dropped or the process ends: two would write each other's
/// halves.
pub(super) fn lock(folder: &Path) -> Result<Flock<fs::File>, OpenError> {
    let file =
        fs::File::open(folder).map_err(|source| OpenError::Unwritable { path: folder.into(), source })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => OpenError::InUse { path: folder.into() },
        errno => OpenError::Unwritable { path: folder.into(), source: io::Error::from(errno) },
    })
}
