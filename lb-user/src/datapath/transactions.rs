//! Transactions that the program recorded while a planned change was in progress. Once it is over nobody asks for them any
//! more: entries name the change that they belong to, and those of another are taken for none.
//!
//! They may be a hundred thousand, and the daemon waits for this: they are read and removed by the thousand (Linux 5.6),
//! which aya has no API for. One by one they took seconds.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use lb_common::layout::Transaction;

use super::error::{DatapathError, Doing};

/// How many are read or removed at once.
const AT_ONCE: usize = 4_096;

/// The map of them, by their ids.
pub(super) struct Transactions(MapData);

impl Transactions {
    /// Takes the map out of a loaded object.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, DatapathError> {
        const NAME: &str = "TRANSACTIONS";
        match object.take_map(NAME).ok_or("the eBPF object has no such map").doing(NAME)? {
            Map::HashMap(map) => Ok(Self(map)),
            _ => Err(DatapathError::new(NAME, "it is not a hash map")),
        }
    }

    /// Forgets those of a change, so that there is room for the next.
    pub(super) fn forget(&mut self, change: u32) -> Result<(), DatapathError> {
        const WHAT: &str = "forget the transactions of a change";
        let mut ids = vec![0; AT_ONCE];
        let mut values = vec![0; AT_ONCE];
        let mut place = None;
        loop {
            let (count, next) = self.read(place, &mut ids, &mut values).doing(WHAT)?;
            let of_change = ids[..count].iter().zip(&values);
            let gone: Vec<u64> = of_change
                .filter(|(_, value)| Transaction(**value).change() == change)
                .map(|(&id, _)| id)
                .collect();
            self.remove(&gone).doing(WHAT)?;
            place = next;
            if place.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads on from a place, or from the beginning. How many were read, and the place behind them; `None` is the end. What is
    /// removed meanwhile does not move a place.
    fn read(
        &self,
        from: Option<u32>,
        ids: &mut [u64],
        values: &mut [u64],
    ) -> io::Result<(usize, Option<u32>)> {
        const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;
        let mut next = 0_u32;
        let mut batch = Batch {
            from: from.as_ref().map_or(0, |from| &raw const *from as u64),
            next: &raw mut next as u64,
            ids: ids.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: ids.len().min(values.len()) as u32,
            ..self.batch()
        };
        // SAFETY: the places are of the `u32` that a hash map has for them; `ids` and `values` have room for `count` keys and
        // values of eight bytes, which those of this map are, and nobody else has them meanwhile.
        match unsafe { batch.call(BPF_MAP_LOOKUP_BATCH) } {
            Ok(()) => Ok((batch.count as usize, Some(next))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((batch.count as usize, None)),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, mut ids: &[u64]) -> io::Result<()> {
        const BPF_MAP_DELETE_BATCH: libc::c_int = 27;
        while !ids.is_empty() {
            let mut batch = Batch { ids: ids.as_ptr() as u64, count: ids.len() as u32, ..self.batch() };
            // SAFETY: the kernel reads `count` keys of eight bytes.
            match unsafe { batch.call(BPF_MAP_DELETE_BATCH) } {
                Ok(()) => return Ok(()),
                // One that is gone already ends it, and the others are still to be removed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    ids = ids.get(batch.count as usize + 1..).unwrap_or_default();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn batch(&self) -> Batch {
        Batch { map: self.0.fd().as_fd().as_raw_fd() as u32, ..Batch::default() }
    }
}

/// What the commands take that read or remove many entries: the member `batch` of `union bpf_attr` of linux/bpf.h.
#[derive(Default)]
#[repr(C)]
struct Batch {
    /// Address of the place to begin at; 0 is the beginning.
    from: u64,
    /// Address to which the place behind the last one is written.
    next: u64,
    /// Address of the keys.
    ids: u64,
    /// Address of the values.
    values: u64,
    /// How many there is room for; afterwards, how many it was.
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

impl Batch {
    /// Asks the kernel.
    ///
    /// # Safety
    /// The addresses must be of as much memory as the command reads or writes there.
    unsafe fn call(&mut self, command: libc::c_int) -> io::Result<()> {
        // SAFETY: the kernel reads and writes this value, whose size is given, and what it points to, as the caller promises.
        let done = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *self, size_of::<Self>()) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
