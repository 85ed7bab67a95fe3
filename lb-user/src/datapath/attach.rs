//! Interfaces: attach by a pinned link, find again, detach.

use std::{
    fmt, fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use aya::programs::{ProgramError, Xdp, XdpMode, links::FdLink};
use nix::net::if_::if_nametoindex;

use super::{
    Datapath,
    error::{AttachError, DatapathError, Doing},
    object::{self, Code},
    open::read_dir,
    pins,
    xdp_on::{Program, xdp_on},
};

/// Where in the receive path the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before the kernel makes a socket buffer.
    Native,
    /// In the network stack: for drivers that can't do better.
    Generic,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// How an interface came to carry the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// It carried it already.
    Found,
    /// Now.
    Now,
}

impl Datapath {
    /// Attaches to an interface in the mode asked for, or says why not; there is no fallback to another mode.
    ///
    /// # Errors
    /// When there is no such interface, another program is on it, or its driver can't do the mode.
    pub fn attach(&mut self, interface: &str, mode: Mode) -> Result<Attached, AttachError> {
        let index = if_nametoindex(interface)
            .map_err(|_| AttachError::NoInterface { interface: interface.into() })?;
        let on = xdp_on(index).doing("ask which XDP program an interface carries")?;
        let pin = pins::link(&self.folder, interface);
        if pin.exists() {
            if on.as_ref().is_some_and(|on| on.mode == Some(mode) && self.is_ours(on)) {
                self.permit(index)?;
                return Ok(Attached::Found);
            }
            // The pin of an interface that is gone, or of another mode.
            fs::remove_file(&pin).doing("remove an old pin")?;
            if let Some(on) = on.filter(|on| self.is_ours(on)) {
                wait_for_release(index, &on)?;
            }
        }
        let program = object::program(&mut self.object, Code::siplb().program)?;
        let link = link(program, interface, index, mode)?;
        link.pin(&pin).doing("pin a link")?;
        self.permit(index)?;
        Ok(Attached::Now)
    }

    /// Is the program on an interface the pinned one?
    fn is_ours(&self, on: &Program) -> bool {
        let pinned = aya::programs::ProgramInfo::from_pin(pins::program(&self.folder));
        pinned.is_ok_and(|pinned| pinned.id() == on.id)
    }
}

/// How long a link may outlive its pin.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);

/// Waits until an interface has let go of a program whose pinned link was just removed: the kernel takes a moment, and
/// refuses another mode meanwhile. One that stays longer is held by somebody else, whom the refusal then names.
pub(super) fn wait_for_release(index: u32, program: &Program) -> Result<(), DatapathError> {
    let started = Instant::now();
    while started.elapsed() < RELEASE_LIMIT {
        let on = xdp_on(index).doing("ask which XDP program an interface carries")?;
        if on.is_none_or(|on| on.id != program.id) {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Puts a loaded program on an interface, by a link that can be pinned.
pub(super) fn link(
    program: &mut Xdp,
    interface: &str,
    index: u32,
    mode: Mode,
) -> Result<FdLink, AttachError> {
    let flags = match mode {
        Mode::Native => XdpMode::Driver,
        Mode::Generic => XdpMode::Skb,
    };
    let id = match program.attach_to_if_index(index, flags) {
        Ok(id) => id,
        Err(ProgramError::SyscallError(error)) => {
            return Err(refusal(interface, index, mode, error.io_error));
        }
        Err(error) => return Err(DatapathError::new("attach the program", error).into()),
    };
    let link = program.take_link(id).doing("attach the program")?;
    // The library falls back on an attachment by netlink, which ends with the process. Dropping it takes it off again.
    FdLink::try_from(link).map_err(|_| AttachError::NoLink { interface: interface.into() })
}

/// The sentence for the kernel's refusal of a link.
fn refusal(interface: &str, index: u32, mode: Mode, source: io::Error) -> AttachError {
    let interface = interface.to_owned();
    let busy = matches!(source.raw_os_error(), Some(libc::EBUSY | libc::EEXIST));
    if let (true, Ok(Some(program))) = (busy, xdp_on(index)) {
        return AttachError::Occupied { interface, program };
    }
    let mend = match mode {
        Mode::Native => {
            "ask for xdp-mode generic, or see the driver's needs (MTU, queues, LRO and GRO_HW off)"
        }
        Mode::Generic => "see the kernel's log",
    };
    AttachError::Mode { interface, mode, source, mend }
}

/// Takes the program off all interfaces and removes the pins, those of other layouts as well; traffic then meets the network
/// stack alone. Returns the interfaces. Works without a daemon.
///
/// # Errors
/// When a pin can't be removed.
pub fn detach(pin_dir: &Path) -> Result<Vec<String>, DatapathError> {
    let mut interfaces = Vec::new();
    for (_, folder) in pins::layouts(pin_dir)? {
        interfaces.extend(remove(&folder)?);
    }
    Ok(interfaces)
}

/// Removes what is pinned in the folder of one layout, links first, and returns their interfaces.
pub(super) fn remove(folder: &Path) -> Result<Vec<String>, DatapathError> {
    let mut interfaces = Vec::new();
    for link in read_dir(&pins::links(folder))? {
        fs::remove_file(&link).doing("remove the pin of a link")?;
        interfaces.push(pins::interface_of(&link));
    }
    for file in read_dir(&folder.join("maps"))? {
        fs::remove_file(&file).doing("remove the pin of a map")?;
    }
    for (path, is_folder) in [
        (pins::program(folder), false),
        (folder.join("maps"), true),
        (pins::links(folder), true),
        (folder.to_owned(), true),
    ] {
        let removed = if is_folder { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).doing("remove the pins")?,
            _ => {}
        }
    }
    Ok(interfaces)
}
