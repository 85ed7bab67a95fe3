//! The program of `siplb decap` on an interface of this machine: attach, ask, detach. A machine that runs it is a backend;
//! nothing here has to do with the load balancer's own datapath.
//!
//! Pinned per interface: `PIN-DIR/decap-v<ABI>/INTERFACE/{addresses, outcomes, program, link}`, so that it stays when the
//! command ends. A command that comes again finds the pins: it writes the addresses anew, and replaces the program in place
//! where its own differs.

mod maps;
mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use aya::{EbpfLoader, programs::ProgramInfo};
use lb_common::decap::Outcome;
use nix::net::if_::if_nametoindex;

use super::{
    attach::{self, Attached, Mode},
    error::{AttachError, DatapathError, DecapError, Doing},
    object::{self, Code},
    open::{pin_program, replace_under},
    pins,
    xdp_on::{Program, xdp_on},
};
use maps::DecapMaps;
pub use trial::Trial;

/// Which destinations the two headers may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The outer one: this machine's own addresses.
    pub outer: BTreeSet<IpAddr>,
    /// The inner one: the VIPs that may come out.
    pub inner: BTreeSet<IpAddr>,
}

/// What an attached program does and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where in the receive path it runs.
    pub mode: Option<Mode>,
    /// What it takes for its own, and what it lets out.
    pub addresses: Addresses,
    /// Packets since it was first attached.
    pub packets: BTreeMap<Outcome, u64>,
}

/// Attaches the program to an interface, or gives other addresses to the one that is there.
///
/// # Errors
/// When there is no such interface, another program is on it, its driver can't do the mode, or the kernel refuses.
pub fn attach(
    pin_dir: &Path,
    interface: &str,
    mode: Mode,
    addresses: &Addresses,
) -> Result<Attached, DecapError> {
    let index =
        if_nametoindex(interface).map_err(|_| DecapError::NoInterface { interface: interface.to_owned() })?;
    let folder = pins::prepare_decap(pin_dir, interface)?;
    let attached = attach_in(&folder, interface, index, mode, addresses);
    if attached.is_err() && !pins::decap_link(&folder).exists() {
        // Half of what never was. The error that counts is the one at hand.
        let _ = remove(&folder);
    }
    attached
}

fn attach_in(
    folder: &Path,
    interface: &str,
    index: u32,
    mode: Mode,
    addresses: &Addresses,
) -> Result<Attached, DecapError> {
    let mut loader = EbpfLoader::new();
    for name in maps::NAMES {
        loader.map_pin_path(name, pins::decap_map(folder, name));
    }
    let mut object = loader.load(Code::DECAP.object).map_err(object::refusal)?;
    let program = object::program(&mut object, Code::DECAP.program)?;
    program.load().map_err(|error| object::refusal(error.into()))?;
    let ours = program.info().doing("ask about the program")?;

    let link = pins::decap_link(folder);
    let found = on_interface(folder, index)?;
    let is_found = found.as_ref().is_some_and(|found| found.mode == Some(mode));
    let pinned = ProgramInfo::from_pin(pins::decap_program(folder));
    DecapMaps::take(&mut object)?.set_addresses(addresses)?;
    let program = object::program(&mut object, Code::DECAP.program)?;
    if is_found {
        if !pinned.is_ok_and(|pinned| pinned.tag() == ours.tag()) {
            replace_under(program, &link)?;
            pin_program(program, &pins::decap_program(folder))?;
        }
        return Ok(Attached::Found);
    }
    // The pin of an interface that is gone, or of another mode.
    remove_if_there(&link)?;
    if let Some(found) = found {
        attach::wait_for_release(index, &found)?;
    }
    let fresh = attach::link(program, interface, index, mode)?;
    // Before the link, so that one that is pinned always has its program beside it.
    pin_program(program, &pins::decap_program(folder))?;
    fresh.pin(&link).doing("pin a link")?;
    Ok(Attached::Now)
}

/// What the program on an interface does; `None` when it doesn't carry ours.
///
/// # Errors
/// When there is no such interface, or the pins can't be read.
pub fn status(pin_dir: &Path, interface: &str) -> Result<Option<Status>, DecapError> {
    let index =
        if_nametoindex(interface).map_err(|_| DecapError::NoInterface { interface: interface.to_owned() })?;
    let folder = pins::decap(pin_dir, interface);
    let Some(program) = on_interface(&folder, index)? else { return Ok(None) };
    let maps = DecapMaps::of_pins(&folder)?;
    Ok(Some(Status { mode: program.mode, addresses: maps.addresses()?, packets: maps.packets()? }))
}

/// Takes the program off an interface and removes its pins; returns whether there were any.
///
/// # Errors
/// When a pin can't be removed.
pub fn detach(pin_dir: &Path, interface: &str) -> Result<bool, DecapError> {
    let folder = pins::decap(pin_dir, interface);
    if !folder.exists() {
        return Ok(false);
    }
    let index = if_nametoindex(interface).ok();
    let found = index.map(|index| on_interface(&folder, index)).transpose()?.flatten();
    remove(&folder)?;
    if let (Some(index), Some(found)) = (index, found) {
        attach::wait_for_release(index, &found)?;
    }
    Ok(true)
}

/// The pinned program, if it is what the interface carries.
fn on_interface(folder: &Path, index: u32) -> Result<Option<Program>, DatapathError> {
    let Ok(pinned) = ProgramInfo::from_pin(pins::decap_program(folder)) else { return Ok(None) };
    let on = xdp_on(index).doing("ask which XDP program an interface carries")?;
    Ok(on.filter(|on| on.id == pinned.id() && pins::decap_link(folder).exists()))
}

/// Removes an interface's pins, the link first, and the folders that are empty then.
fn remove(folder: &Path) -> Result<(), DatapathError> {
    let pins: [PathBuf; 2] = [pins::decap_link(folder), pins::decap_program(folder)];
    for pin in pins.into_iter().chain(maps::NAMES.map(|name| pins::decap_map(folder, name))) {
        remove_if_there(&pin)?;
    }
    fs::remove_dir(folder).doing("remove the pins")?;
    // It stays while other interfaces have pins in it.
    if let Some(above) = folder.parent() {
        let _ = fs::remove_dir(above);
    }
    Ok(())
}

fn remove_if_there(pin: &Path) -> Result<(), DatapathError> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).doing("remove a pin"),
        _ => Ok(()),
    }
}

impl From<DatapathError> for DecapError {
    fn from(error: DatapathError) -> Self {
        Self::Attach(AttachError::Other(error))
    }
}
