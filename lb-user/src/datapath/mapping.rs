//! Array maps that the kernel lets us map into memory (`BPF_F_MMAPABLE`): what is stored there is there for packets, without
//! a system call.

use std::{
    os::fd::{AsFd, AsRawFd},
    ptr::NonNull,
};

use aya::maps::{Map, MapData};

use super::error::{DatapathError, Doing};

/// The values of a mapped array, one behind the other, shared with the kernel program.
pub(super) struct Mapping<T> {
    first: NonNull<T>,
    bytes: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl<T: Send> Send for Mapping<T> {}

impl<T> Mapping<T> {
    /// Maps so many values of an array map.
    pub(super) fn new(map: &Map, values: usize, name: &'static str) -> Result<Self, DatapathError> {
        // The kernel puts values at multiples of eight bytes.
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let Map::Array(data) = map else { return Err("it is not an array").doing(name) };
        let data: &MapData = data;
        let bytes = values * size_of::<T>();
        // SAFETY: a fresh shared mapping of a map that was made with BPF_F_MMAPABLE.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                data.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()).doing(name);
        }
        let first = NonNull::new(address.cast()).ok_or("the kernel mapped nothing").doing(name)?;
        Ok(Self { first, bytes })
    }

    /// The first value.
    pub(super) fn first(&self) -> NonNull<T> {
        self.first
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `new` mapped.
        unsafe { libc::munmap(self.first.as_ptr().cast(), self.bytes) };
    }
}
