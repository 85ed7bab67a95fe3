//! Which XDP program an interface carries, by the kernel's own word (rtnetlink, `IFLA_XDP`).

use std::{fmt, io, path::Path};

use aya::programs::{ProgramInfo, loaded_programs};
use futures::TryStreamExt;
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp, XdpAttached};

use super::{attach::Mode, pins};

/// A program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The kernel's id of it.
    pub id: u32,
    /// How it is attached, if in one of our modes.
    pub mode: Option<Mode>,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = loaded_programs().flatten().find(|program| program.id() == self.id);
        let name = name.as_ref().and_then(|program| program.name_as_str()).filter(|name| !name.is_empty());
        write!(f, "{} (id {})", name.unwrap_or("without a name"), self.id)
    }
}

/// What an interface carries, seen from those who pin below one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// No XDP program.
    Nothing,
    /// The program that is pinned there.
    Ours(Option<Mode>),
    /// Another program.
    Other(Program),
}

/// What the interface with this index carries.
///
/// # Errors
/// When the kernel can't be asked, or the pins may not be looked at.
pub fn carried(pin_dir: &Path, index: u32) -> io::Result<Carried> {
    let Some(program) = xdp_on(index)? else { return Ok(Carried::Nothing) };
    let pin = pins::program(&pins::folder(pin_dir));
    if !pin.try_exists()? {
        return Ok(Carried::Other(program));
    }
    let pinned = ProgramInfo::from_pin(pin).map_err(io::Error::other)?;
    Ok(if pinned.id() == program.id { Carried::Ours(program.mode) } else { Carried::Other(program) })
}

/// The program on the interface with this index.
pub(super) fn xdp_on(index: u32) -> io::Result<Option<Program>> {
    // The caller may be inside an asynchronous runtime, where another can't be entered: a thread of its own can.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(ask(index))
    })
    .join()
    .map_err(|_| io::Error::other("the asking thread died"))?
}

async fn ask(index: u32) -> io::Result<Option<Program>> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let link = handle.link().get().match_index(index).execute().try_next().await.map_err(io::Error::other)?;
    connection.abort();
    let attributes = link.map(|link| link.attributes).unwrap_or_default();
    Ok(attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(parts) => program(parts),
        _ => None,
    }))
}

fn program(parts: &[LinkXdp]) -> Option<Program> {
    let id = parts.iter().find_map(|part| match part {
        LinkXdp::ProgId(id) if *id != 0 => Some(*id),
        _ => None,
    })?;
    let mode = parts.iter().find_map(|part| match part {
        LinkXdp::Attached(XdpAttached::Driver) => Some(Mode::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(Mode::Generic),
        _ => None,
    });
    Some(Program { id, mode })
}
