//! What the daemon needs of a datapath: the live one, or one in memory that takes note, for tests of the daemon's logic.

use std::collections::BTreeMap;

use anyhow::Result;
use lb_common::layout::BackendCounter;

use crate::datapath::image::Image;
use crate::datapath::{Counters, Datapath, Pins, ScanLoop, Unnamed, Vitals, boot_time_ns};

/// A datapath that is live.
pub trait Live: Send + 'static {
    /// Makes an image live, and returns its generation.
    ///
    /// # Errors
    /// When it can't; what was live is live still.
    fn publish(&mut self, image: &Image) -> Result<u32>;

    /// Number of what is live; 0 before the first.
    fn generation(&self) -> u32;

    /// How the program's scanning loops turn.
    fn scan_loop(&self) -> ScanLoop;

    /// All that was counted.
    ///
    /// # Errors
    /// When it can't be read.
    fn counters(&self) -> Result<Counters>;

    /// What was counted of these backends, by id.
    ///
    /// # Errors
    /// When it can't be read.
    fn traffic(&self, ids: &[u32]) -> Result<BTreeMap<u32, BackendCounter>>;

    /// Hosts that should have named a backend and named nobody.
    ///
    /// # Errors
    /// When they can't be read.
    fn unnamed(&self) -> Result<Vec<Unnamed>>;

    /// Forgets them.
    ///
    /// # Errors
    /// When they can't be written.
    fn forget_unnamed(&mut self) -> Result<()>;

    /// Clears the counters of a backend's id, which goes to another backend.
    ///
    /// # Errors
    /// When they can't be written.
    fn reset_backend(&mut self, id: u32) -> Result<()>;

    /// Clears the counters of a VIP's number, which goes to another VIP.
    ///
    /// # Errors
    /// When they can't be written.
    fn reset_vip(&mut self, number: u32) -> Result<()>;

    /// Leaves a heartbeat.
    ///
    /// # Errors
    /// When it can't be written.
    fn beat(&mut self) -> Result<()>;

    /// What the last heartbeat left.
    fn vitals(&self) -> Vitals;

    /// Sees to it that what must outlive the daemon does.
    fn keep_pins(&mut self) -> Pins;

    /// Forgets the transactions that were recorded while this change was in progress.
    ///
    /// # Errors
    /// When they can't be removed.
    fn forget_transactions(&mut self, change: u32) -> Result<()>;
}

impl Live for Datapath {
    fn publish(&mut self, image: &Image) -> Result<u32> {
        Ok(self.publish(image)?)
    }

    fn generation(&self) -> u32 {
        self.generation()
    }

    fn scan_loop(&self) -> ScanLoop {
        ScanLoop::of_kernel()
    }

    fn counters(&self) -> Result<Counters> {
        Ok(self.counters()?)
    }

    fn traffic(&self, ids: &[u32]) -> Result<BTreeMap<u32, BackendCounter>> {
        Ok(self.traffic(ids)?)
    }

    fn unnamed(&self) -> Result<Vec<Unnamed>> {
        Ok(self.unnamed()?)
    }

    fn forget_unnamed(&mut self) -> Result<()> {
        Ok(self.forget_unnamed()?)
    }

    fn reset_backend(&mut self, id: u32) -> Result<()> {
        Ok(self.reset_backend(id)?)
    }

    fn reset_vip(&mut self, number: u32) -> Result<()> {
        Ok(self.reset_vip(number)?)
    }

    fn beat(&mut self) -> Result<()> {
        Ok(self.beat()?)
    }

    fn vitals(&self) -> Vitals {
        self.vitals()
    }

    fn keep_pins(&mut self) -> Pins {
        self.keep_pins()
    }

    fn forget_transactions(&mut self, change: u32) -> Result<()> {
        Ok(self.forget_transactions(change)?)
    }
}

/// A datapath in memory: it forwards nothing, and remembers what it was told.
#[derive(Debug, Default)]
pub struct InMemory {
    /// What is live.
    pub image: Image,
    /// Its number.
    pub generation: u32,
    /// What was counted.
    pub counters: Counters,
    /// What named nobody.
    pub unnamed: Vec<Unnamed>,
    /// The changes whose transactions it was told to forget, in that order.
    pub forgotten_changes: Vec<u32>,
    /// Does it refuse to publish?
    pub is_broken: bool,
    /// What the last heartbeat left.
    pub vitals: Vitals,
    /// What is to be said of the pins.
    pub pins: Pins,
}

impl Live for InMemory {
    fn publish(&mut self, image: &Image) -> Result<u32> {
        anyhow::ensure!(!self.is_broken, "the datapath is broken");
        if self.generation == 0 || self.image != *image {
            self.image = image.clone();
            self.generation += 1;
        }
        Ok(self.generation)
    }

    fn generation(&self) -> u32 {
        self.generation
    }

    fn scan_loop(&self) -> ScanLoop {
        ScanLoop::MayGoto
    }

    fn counters(&self) -> Result<Counters> {
        Ok(self.counters.clone())
    }

    fn traffic(&self, ids: &[u32]) -> Result<BTreeMap<u32, BackendCounter>> {
        let counted = |id: &u32| (*id, self.counters.backends.get(id).copied().unwrap_or_default());
        Ok(ids.iter().map(counted).collect())
    }

    fn unnamed(&self) -> Result<Vec<Unnamed>> {
        Ok(self.unnamed.clone())
    }

    fn forget_unnamed(&mut self) -> Result<()> {
        self.unnamed.clear();
        Ok(())
    }

    fn reset_backend(&mut self, id: u32) -> Result<()> {
        self.counters.backends.remove(&id);
        Ok(())
    }

    fn reset_vip(&mut self, number: u32) -> Result<()> {
        self.counters.vips.remove(&number);
        self.counters.changes.remove(&number);
        self.unnamed.retain(|unnamed| unnamed.vip != number);
        Ok(())
    }

    fn beat(&mut self) -> Result<()> {
        self.vitals = self.vitals.beaten(boot_time_ns(), self.counters.forwarded());
        Ok(())
    }

    fn vitals(&self) -> Vitals {
        self.vitals
    }

    fn keep_pins(&mut self) -> Pins {
        self.pins.clone()
    }

    fn forget_transactions(&mut self, change: u32) -> Result<()> {
        self.forgotten_changes.push(change);
        Ok(())
    }
}
