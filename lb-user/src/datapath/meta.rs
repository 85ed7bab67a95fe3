//! The mapped `META` map: the one store that makes a new state live, and the daemon's heartbeat.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aya::maps::Map;
use lb_common::layout::Meta;

use super::{error::DatapathError, mapping::Mapping, watchdog::Vitals};

/// The map's one value, shared with the kernel program. It is accessed by atomic operations.
pub(super) struct MappedMeta(Mapping<Meta>);

impl MappedMeta {
    /// Maps the value.
    pub(super) fn new(map: &Map) -> Result<Self, DatapathError> {
        Mapping::new(map, 1, "map META").map(Self)
    }

    fn meta(&self) -> *mut Meta {
        self.0.first().as_ptr()
    }

    fn generation_cell(&self) -> &AtomicU32 {
        // SAFETY: the mapping lives as long as `self`, and an aligned `u32` may be used as an atomic one.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.meta()).generation) }
    }

    /// The live generation.
    pub(super) fn generation(&self) -> u32 {
        self.generation_cell().load(Ordering::Acquire)
    }

    /// Makes a generation live: packets that come after this read its half.
    pub(super) fn flip(&self, generation: u32) {
        self.generation_cell().store(generation, Ordering::Release);
    }

    /// Keeps the fingerprint of the hash key that the tables are made with.
    pub(super) fn set_fingerprint(&self, fingerprint: u32) {
        // SAFETY: as for the generation.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.meta()).fingerprint) }
            .store(fingerprint, Ordering::Relaxed);
    }

    /// The cells of the heartbeat, in the order of [`Vitals`]' fields.
    fn vital_cells(&self) -> [&AtomicU64; 4] {
        let meta = self.meta();
        // SAFETY: as for the generation; the fields are aligned, since `Meta` is `repr(C)` and the mapping begins a page.
        unsafe {
            [
                AtomicU64::from_ptr(&raw mut (*meta).heartbeat_ns),
                AtomicU64::from_ptr(&raw mut (*meta).heartbeat_packets),
                AtomicU64::from_ptr(&raw mut (*meta).alone_ns),
                AtomicU64::from_ptr(&raw mut (*meta).alone_packets),
            ]
        }
    }

    /// What the last heartbeat left.
    pub(super) fn vitals(&self) -> Vitals {
        let [heartbeat_ns, heartbeat_packets, alone_ns, alone_packets] =
            self.vital_cells().map(|cell| cell.load(Ordering::Acquire));
        Vitals { heartbeat_ns, heartbeat_packets, alone_ns, alone_packets }
    }

    /// Leaves a heartbeat.
    pub(super) fn set_vitals(&self, vitals: Vitals) {
        let Vitals { heartbeat_ns, heartbeat_packets, alone_ns, alone_packets } = vitals;
        let values = [heartbeat_ns, heartbeat_packets, alone_ns, alone_packets];
        // The time last, so that nobody reads it with older counts.
        for (cell, value) in self.vital_cells().into_iter().zip(values).rev() {
            cell.store(value, Ordering::Release);
        }
    }
}
