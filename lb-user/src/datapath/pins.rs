//! Where things are pinned: `PIN-DIR/v<ABI>/{maps/NAME, program, links/INTERFACE}`, and what `siplb decap` leaves:
//! `PIN-DIR/decap-v<ABI>/INTERFACE/{NAME, program, link}`, with a number of its own.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lb_common::{decap, layout::ABI};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::{
    error::{DatapathError, OpenError},
    open::read_dir,
};

/// The folder of this layout.
pub(super) fn folder(pin_dir: &Path) -> PathBuf {
    pin_dir.join(format!("v{ABI}"))
}

/// The folders of all layouts that are there, with their numbers.
pub(super) fn layouts(pin_dir: &Path) -> Result<Vec<(u32, PathBuf)>, DatapathError> {
    let number = |folder: &Path| folder.file_name()?.to_str()?.strip_prefix('v')?.parse().ok();
    let folders = read_dir(pin_dir)?.into_iter();
    Ok(folders.filter_map(|folder| Some((number(&folder)?, folder))).collect())
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

/// The link of an interface.
pub(super) fn link(folder: &Path, interface: &str) -> PathBuf {
    links(folder).join(file(interface))
}

/// An interface as a file name: it may hold dots (`eth0.100`), a name on bpffs may not.
fn file(interface: &str) -> String {
    interface.replace('%', "%25").replace('.', "%2e")
}

/// The interface of a link's file name.
fn interface(file: &str) -> String {
    file.replace("%2e", ".").replace("%25", "%")
}

/// The interface of a link's pin.
pub(super) fn interface_of(link: &Path) -> String {
    interface(&link.file_name().unwrap_or_default().to_string_lossy())
}

/// The folder of what `siplb decap` attached to an interface.
pub(super) fn decap(pin_dir: &Path, interface: &str) -> PathBuf {
    pin_dir.join(format!("decap-v{}", decap::ABI)).join(file(interface))
}

/// A map in that folder.
pub(super) fn decap_map(folder: &Path, name: &str) -> PathBuf {
    folder.join(name.to_lowercase())
}

/// The program in that folder.
pub(super) fn decap_program(folder: &Path) -> PathBuf {
    folder.join("program")
}

/// The link in that folder.
pub(super) fn decap_link(folder: &Path) -> PathBuf {
    folder.join("link")
}

/// Makes that folder, as [`prepare`] does.
pub(super) fn prepare_decap(pin_dir: &Path, interface: &str) -> Result<PathBuf, OpenError> {
    require_bpffs(pin_dir)?;
    let path = decap(pin_dir, interface);
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(OpenError::Unwritable { path, source }),
    }
}

/// Makes the folders, on a BPF file system only.
pub(super) fn prepare(pin_dir: &Path) -> Result<PathBuf, OpenError> {
    require_bpffs(pin_dir)?;
    let folder = folder(pin_dir);
    for path in [folder.join("maps"), links(&folder)] {
        fs::create_dir_all(&path).map_err(|source| OpenError::Unwritable { path, source })?;
    }
    Ok(folder)
}

/// Elsewhere a pin would fail with an error that explains nothing.
fn require_bpffs(pin_dir: &Path) -> Result<(), OpenError> {
    match is_on_bpffs(pin_dir) {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::NotBpffs { path: pin_dir.into() }),
        Err(source) => Err(OpenError::Unwritable { path: pin_dir.into(), source }),
    }
}

/// Is the folder, or the place where it would be made, on a BPF file system?
///
/// # Errors
/// When the place can't be looked at.
pub fn is_on_bpffs(pin_dir: &Path) -> io::Result<bool> {
    let existing = pin_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    Ok(statfs(existing)?.filesystem_type() == BPF_FS_MAGIC)
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
