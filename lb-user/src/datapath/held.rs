//! What is pinned, held open as well: pins that somebody removes, or whose file system goes away, take nothing with them
//! while the daemon lives, and are made again as soon as they can be.
//!
//! Called by [`super::Datapath`]. Map, program and link are alike here: a descriptor of an object that has a name on a BPF
//! file system (`BPF_OBJ_GET` and `BPF_OBJ_PIN` of bpf(2)).

use std::{
    collections::BTreeMap,
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use super::{error::DatapathError, open::read_dir, pins};

/// Are the pins where they belong?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pins {
    /// They are.
    #[default]
    Kept,
    /// They were gone, and are back.
    Mended,
    /// They are gone, and could not be made again: why, and the mend.
    Lost(String),
}

/// The objects by their places.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<PathBuf, OwnedFd>);

impl Held {
    /// Opens everything that is pinned in a folder.
    pub(super) fn open(folder: &Path) -> Result<Self, DatapathError> {
        let mut files = read_dir(&folder.join("maps"))?;
        files.extend(read_dir(&pins::links(folder))?);
        files.push(pins::program(folder));
        let open = |path: PathBuf| {
            let object = get(&path)
                .map_err(|error| DatapathError::new(format!("open the pin {}", path.display()), error))?;
            Ok((path, object))
        };
        files.into_iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Makes the pins again that are missing.
    pub(super) fn keep(&self, pin_dir: &Path) -> Pins {
        let missing: Vec<_> = self.0.iter().filter(|(path, _)| !path.exists()).collect();
        if missing.is_empty() {
            return Pins::Kept;
        }
        let folder = match pins::prepare(pin_dir) {
            Ok(folder) => folder,
            Err(error) => return Pins::Lost(error.to_string()),
        };
        for (path, object) in &missing {
            if let Err(error) = pin(object, path) {
                let what = format!("{} can't be pinned again: {error}; run as root", path.display());
                return Pins::Lost(what);
            }
        }
        log::warn!("{} pins below {} were gone, and are made again", missing.len(), folder.display());
        Pins::Mended
    }
}

/// The first fields of what `BPF_OBJ_GET` and `BPF_OBJ_PIN` take, a part of `union bpf_attr` of linux/bpf.h.
#[repr(C)]
struct Pin {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// Opens a pinned object.
fn get(path: &Path) -> io::Result<OwnedFd> {
    const BPF_OBJ_GET: libc::c_int = 7;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let descriptor = bpf(BPF_OBJ_GET, &Pin { path: path.as_ptr() as u64, descriptor: 0, flags: 0 })?;
    // SAFETY: the kernel made this descriptor just now, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Pins an object.
fn pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    const BPF_OBJ_PIN: libc::c_int = 6;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let descriptor = object.as_raw_fd().cast_unsigned();
    bpf(BPF_OBJ_PIN, &Pin { path: path.as_ptr() as u64, descriptor, flags: 0 }).map(drop)
}

fn bpf(command: libc::c_int, attributes: &Pin) -> io::Result<i32> {
    // SAFETY: the kernel reads the attributes, whose size is given, and the path, which ends with a NUL and outlives the
    // call.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<Pin>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as i32) }
}
