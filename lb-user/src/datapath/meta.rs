//! The mapped `META` map: the one store that makes a new state live.

use std::{
    os::fd::{AsFd, AsRawFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use aya::maps::{Map, MapData};
use lb_common::layout::Meta;

use super::error::{DatapathError, Doing};

/// The map's one value, shared with the kernel program.
pub(super) struct MappedMeta {
    meta: NonNull<Meta>,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is accessed by atomic operations.
unsafe impl Send for MappedMeta {}

impl MappedMeta {
    /// Maps the value.
    pub(super) fn new(map: &Map) -> Result<Self, DatapathError> {
        let Map::Array(data) = map else { return Err(DatapathError::new("map META", "it is not an array")) };
        let data: &MapData = data;
        // SAFETY: a fresh shared mapping of a map that was made with BPF_F_MMAPABLE; a page holds the value.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Meta>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                data.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()).doing("map META");
        }
        let meta = NonNull::new(address.cast()).ok_or("the kernel mapped nothing").doing("map META")?;
        Ok(Self { meta })
    }

    fn generation_cell(&self) -> &AtomicU32 {
        // SAFETY: the mapping lives as long as `self`, and an aligned `u32` may be used as an atomic one.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.meta.as_ptr()).generation) }
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
        unsafe { AtomicU32::from_ptr(&raw mut (*self.meta.as_ptr()).fingerprint) }
            .store(fingerprint, Ordering::Relaxed);
    }
}

impl Drop for MappedMeta {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `new` mapped.
        unsafe { libc::munmap(self.meta.as_ptr().cast(), size_of::<Meta>()) };
    }
}
