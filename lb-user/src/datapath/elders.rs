//! Datapaths of other layouts that are pinned below the same folder, and how ours takes their place.
//!
//! Another layout's maps can't be read, but they need not be: ours has maps of its own, and once a state is published there
//! the old links get our program, each in one step of the kernel's (`BPF_LINK_UPDATE`). A packet meets the old program with
//! the old state or ours with ours. This works in both directions, so that going back to an older siplb is the same.
//!
//! Invariant: an elder's links are touched only after ours has published, and its maps only after all of its links.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::{fcntl::Flock, net::if_::if_nametoindex};

use super::{
    Datapath,
    attach::remove,
    error::{DatapathError, Doing, OpenError},
    object::{self, Code},
    open::{read_dir, replace_under},
    pins,
};

/// A datapath of another layout, which no daemon has open while this lives.
pub(super) struct Elder {
    /// Number of its layout.
    pub(super) abi: u32,
    folder: PathBuf,
    _lock: Flock<fs::File>,
}

impl Elder {
    /// All that are pinned below a folder.
    ///
    /// # Errors
    /// When one is in use by a daemon of its own, or can't be looked at.
    pub(super) fn all(pin_dir: &Path) -> Result<Vec<Self>, OpenError> {
        let ours = pins::folder(pin_dir);
        let others = pins::layouts(pin_dir)?.into_iter().filter(|(_, folder)| *folder != ours);
        others.map(|(abi, folder)| Ok(Self { abi, _lock: pins::lock(&folder)?, folder })).collect()
    }
}

impl Datapath {
    /// Takes the place of the datapaths of other layouts. To be called once a state is published. Returns the interfaces.
    ///
    /// # Errors
    /// When the kernel refuses; what was taken over is ours, and the rest goes on as it was.
    pub fn replace_elders(&mut self) -> Result<Vec<String>, DatapathError> {
        let mut interfaces = Vec::new();
        for elder in std::mem::take(&mut self.elders) {
            let links = read_dir(&pins::links(&elder.folder))?;
            let names = links.iter().map(|link| pins::interface_of(link));
            // Before the first of them, since a packet that comes in by one may leave by any.
            for index in names.clone().filter_map(|name| if_nametoindex(name.as_str()).ok()) {
                self.permit(index)?;
            }
            interfaces.extend(names);
            for link in &links {
                self.replace_elder(link)?;
            }
            remove(&elder.folder)?;
        }
        Ok(interfaces)
    }

    /// Puts our program under an elder's link, and the link among ours.
    fn replace_elder(&mut self, link: &Path) -> Result<(), DatapathError> {
        let program = object::program(&mut self.object, Code::siplb().program)?;
        if !replace_under(program, link)? {
            // Its interface is gone, and with it what the link was for.
            return fs::remove_file(link).doing("remove an old pin");
        }
        let place = pins::links(&self.folder).join(link.file_name().unwrap_or_default());
        fs::rename(link, place).doing("move the pin of a link")
    }
}
