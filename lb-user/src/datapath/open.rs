//! The live datapath: opened, or adopted from whoever left it.

use std::{
    collections::BTreeMap,
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::{
        ProgramInfo, Xdp,
        links::{FdLink, PinnedLink},
        xdp::XdpLink,
    },
};
use lb_common::layout::{ABI, BackendCounter, Meta};
use nix::fcntl::Flock;

use super::{
    Counters, Events, Image, Sizes, Unnamed,
    attach::remove,
    counters::CounterMaps,
    elders::Elder,
    error::{DatapathError, Doing, OpenError},
    held::{Held, Pins},
    maps::{As, StateMaps},
    object::{self, Code, Maps},
    pins,
    publish::Publisher,
    transactions::Transactions,
    unnamed::UnnamedMap,
    watchdog::{Vitals, boot_time_ns},
};

/// What was found where the pins belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// Nothing: maps and program are new.
    Fresh,
    /// This very program, which goes on.
    Same,
    /// Another one, which was replaced in place.
    Replaced,
    /// A datapath of the layout with this number, whose place [`Datapath::replace_elders`] takes.
    Elder(u32),
}

impl std::fmt::Display for Adopted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fresh => f.write_str("made anew"),
            Self::Same => f.write_str("adopted"),
            Self::Replaced => f.write_str("adopted, program replaced"),
            Self::Elder(abi) => write!(f, "made anew, to take the place of the one of layout {abi}"),
        }
    }
}

/// The live datapath. Dropping it changes nothing: everything is pinned.
pub struct Datapath {
    pub(super) object: Ebpf,
    pub(super) folder: PathBuf,
    publisher: Publisher,
    transactions: Transactions,
    counters: CounterMaps,
    unnamed: UnnamedMap,
    /// Numbers of VIPs that may have been counted for.
    counted: BTreeSet<u32>,
    held: Held,
    /// Datapaths of other layouts, whose place this one is to take.
    pub(super) elders: Vec<Elder>,
    /// Nobody else publishes while this is held.
    lock: Flock<fs::File>,
}

impl Datapath {
    /// Opens what is pinned below `pin_dir`, or makes it.
    ///
    /// # Errors
    /// Says what stands in the way: permissions, the file system, the kernel, or pins that do not fit.
    pub fn open(pin_dir: &Path, sizes: &Sizes) -> Result<(Self, Adopted), OpenError> {
        let folder = pins::prepare(pin_dir)?;
        let lock = pins::lock(&folder)?;
        let pinned = pinned_meta(&folder)?.filter(|meta| meta.abi != 0);
        if let Some(meta) = &pinned {
            compare(meta, sizes)?;
        }
        let elders = Elder::all(pin_dir)?;
        let elder = elders.first().map(|elder| Adopted::Elder(elder.abi));
        let opened = Self::open_locked(folder.clone(), lock, sizes, pinned.is_none());
        if opened.is_err() && pinned.is_none() {
            // Half of a datapath that never was: nobody is to adopt that. The error that counts is the one at hand.
            let _ = remove(&folder);
        }
        let (datapath, adopted) = opened?;
        let adopted = if adopted == Adopted::Fresh { elder.unwrap_or(adopted) } else { adopted };
        Ok((Self { elders, ..datapath }, adopted))
    }

    fn open_locked(
        folder: PathBuf,
        lock: Flock<fs::File>,
        sizes: &Sizes,
        is_fresh: bool,
    ) -> Result<(Self, Adopted), OpenError> {
        let mut object = object::load(Code::siplb(), sizes, Maps::Pinned(&folder), false)?;
        #[cfg(feature = "log")]
        super::kernel_log::follow(&mut object)?;
        let state = StateMaps::take(&mut object, sizes, is_fresh)?;
        state.meta.set_fingerprint(sizes.fingerprint);
        let counters = CounterMaps::take(&mut object)?;
        let unnamed = UnnamedMap::take(&mut object)?;
        let transactions = Transactions::take(&mut object)?;
        let publisher = Publisher::new(state)?;
        let counted = counters.read()?.vips.into_keys().collect();
        let mut datapath = Self {
            object,
            folder,
            publisher,
            transactions,
            counters,
            unnamed,
            counted,
            held: Held::default(),
            elders: Vec::new(),
            lock,
        };
        let adopted = datapath.take_over()?;
        Ok((datapath, adopted))
    }

    /// Puts our program in the place of the pinned one, under every link, unless it is the same.
    fn take_over(&mut self) -> Result<Adopted, OpenError> {
        let path = pins::program(&self.folder);
        let program = object::program(&mut self.object, Code::siplb().program)?;
        let ours = program.info().doing("ask about the program")?;
        let adopted = match ProgramInfo::from_pin(&path) {
            Ok(pinned) if pinned.tag() == ours.tag() => return Ok(Adopted::Same),
            Ok(_) => Adopted::Replaced,
            Err(_) => Adopted::Fresh,
        };
        for file in read_dir(&pins::links(&self.folder))? {
            replace_under(program, &file)?;
        }
        pin_program(program, &path)?;
        Ok(adopted)
    }

    /// Makes an image live and returns its generation: packets see the state before it or all of it.
    ///
    /// # Errors
    /// When the kernel refuses a write; what is live stays live.
    pub fn publish(&mut self, image: &Image) -> Result<u32, DatapathError> {
        self.counted.extend(image.vips.keys());
        self.publisher.publish(image)
    }

    /// Leaves a heartbeat in the datapath.
    ///
    /// # Errors
    /// When the counters can't be read.
    pub fn beat(&mut self) -> Result<(), DatapathError> {
        let forwarded = self.counters.forwarded(self.counted.iter().copied())?;
        let meta = &self.publisher.maps.meta;
        meta.set_vitals(meta.vitals().beaten(boot_time_ns(), forwarded));
        Ok(())
    }

    /// What the last heartbeat left.
    pub fn vitals(&self) -> Vitals {
        self.publisher.maps.meta.vitals()
    }

    /// Holds what is pinned now; to be called again when that changes.
    ///
    /// # Errors
    /// When a pin can't be opened.
    pub fn hold(&mut self) -> Result<(), DatapathError> {
        self.held = Held::open(&self.folder)?;
        Ok(())
    }

    /// Sees to it that the pins are there.
    pub fn keep_pins(&mut self) -> Pins {
        let pins = self.folder.parent().map_or(Pins::Kept, |pin_dir| self.held.keep(pin_dir));
        // What was locked is a folder that nobody finds any more.
        if let (Pins::Mended, Ok(lock)) = (&pins, pins::lock(&self.folder)) {
            self.lock = lock;
        }
        pins
    }

    /// The live generation; 0 before the first.
    pub fn generation(&self) -> u32 {
        self.publisher.maps.meta.generation()
    }

    /// All counters, summed over the CPUs.
    ///
    /// # Errors
    /// When the maps can't be read.
    pub fn counters(&self) -> Result<Counters, DatapathError> {
        self.counters.read()
    }

    /// What was counted of these backends, by id.
    ///
    /// # Errors
    /// When the map can't be read.
    pub fn traffic(&self, ids: &[u32]) -> Result<BTreeMap<u32, BackendCounter>, DatapathError> {
        self.counters.of_backends(ids)
    }

    /// Which hosts were noted that should have named a backend and named nobody.
    ///
    /// # Errors
    /// When the map can't be read.
    pub fn unnamed(&self) -> Result<Vec<Unnamed>, DatapathError> {
        self.unnamed.read()
    }

    /// Sets the counters of a backend to zero, before its id is given to another.
    ///
    /// # Errors
    /// When the map can't be written.
    pub fn reset_backend(&mut self, id: u32) -> Result<(), DatapathError> {
        self.counters.reset_backend(id)
    }

    /// Forgets the hosts that named nobody, so that those are noted that come from now on.
    ///
    /// # Errors
    /// When the map can't be written.
    pub fn forget_unnamed(&mut self) -> Result<(), DatapathError> {
        self.unnamed.forget(None)
    }

    /// Sets the counters of a VIP to zero and forgets who named nobody there, before its number is given to another.
    ///
    /// # Errors
    /// When the maps can't be written.
    pub fn reset_vip(&mut self, number: u32) -> Result<(), DatapathError> {
        self.unnamed.forget(Some(number))?;
        self.counters.reset_vip(number)
    }

    /// Forgets the transactions that were recorded while this change was in progress.
    ///
    /// # Errors
    /// When the map can't be written.
    pub fn forget_transactions(&mut self, change: u32) -> Result<(), DatapathError> {
        self.transactions.forget(change)
    }

    /// What the program tells at once. There is one, for whoever asks first; must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it was taken already, or the kernel does not let us wait for it.
    pub fn events(&mut self) -> Result<Events, DatapathError> {
        Events::take(&mut self.object)
    }

    /// Lets packets be redirected to an interface.
    pub(super) fn permit(&mut self, index: u32) -> Result<(), DatapathError> {
        self.publisher.maps.interfaces.insert(index, index, None, 0).doing("permit an interface")
    }
}

/// Puts a loaded program in the place of the one that a pinned link holds, unless its interface is gone.
pub(super) fn replace_under(program: &mut Xdp, link: &Path) -> Result<bool, DatapathError> {
    let link = PinnedLink::from_pin(link).doing("open a pinned link")?;
    // A link whose interface went away can't be updated; `attach` makes it anew.
    let link = XdpLink::try_from(FdLink::from(link)).doing("open a pinned link")?;
    let Ok(id) = program.attach_to_link(link) else { return Ok(false) };
    // The pin keeps the link; dropping the descriptor does not end it.
    drop(program.take_link(id).doing("let go of a link")?);
    Ok(true)
}

/// Pins a loaded program where another one may be pinned already.
pub(super) fn pin_program(program: &mut Xdp, path: &Path) -> Result<(), DatapathError> {
    // A pin can't be overwritten, so the new one moves over the old one.
    let fresh = path.with_file_name("program-new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).doing("remove an old pin")?,
        _ => program.pin(&fresh).doing("pin the program")?,
    }
    fs::rename(&fresh, path).doing("pin the program")
}

/// The pinned `META`, if there is one.
pub(super) fn pinned_meta(folder: &Path) -> Result<Option<Meta>, OpenError> {
    let path = pins::map(folder, "META");
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(source) => return Err(OpenError::Unwritable { path, source }),
    }
    let map = MapData::from_pin(&path).doing("open the pinned maps")?;
    let map: Array<MapData, As<Meta>> =
        Array::try_from(aya::maps::Map::Array(map)).doing("open the pinned maps")?;
    Ok(Some(map.get(&0, 0).doing("read the pinned maps")?.0))
}

/// Refuses pins that our program would misread: the kernel hands out a pinned map whatever its size.
fn compare(meta: &Meta, sizes: &Sizes) -> Result<(), OpenError> {
    if meta.abi != ABI {
        return Err(OpenError::Abi { pinned: meta.abi, wanted: ABI });
    }
    let ids = |entries: u32| entries.saturating_sub(Sizes::entries(0));
    let limits = [
        ("pools", ids(meta.tables) / 2, sizes.pools),
        ("groups", ids(meta.groups), sizes.groups),
        ("backends", ids(meta.backends), sizes.backends),
        ("vips", ids(meta.vips), sizes.vips),
        ("names", meta.names, sizes.names),
        ("fragments", meta.fragments, sizes.fragments),
        ("transactions", meta.transactions, sizes.transactions),
    ];
    for (what, pinned, wanted) in limits {
        if pinned != wanted {
            return Err(OpenError::Sizes { what, pinned, wanted });
        }
    }
    Ok(())
}

/// The files in a folder.
pub(super) fn read_dir(folder: &Path) -> Result<Vec<PathBuf>, DatapathError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing("read the pin folder")?,
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.doing("read the pin folder")?.path());
    }
    files.sort();
    Ok(files)
}
