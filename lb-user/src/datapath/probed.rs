//! Probed arrays, as user space writes them: see `lb_common::layout::Probed` for what packets make of them.
//!
//! A half is laid out anew from its keys, in their order, so that the same keys lie alike wherever they were known from; what
//! then differs from what the map holds is stored. A half is at most half full at the limits of the configuration.

use std::collections::BTreeMap;

use aya::{Ebpf, Pod};
use lb_common::layout::{PROBES, ProbeKey, Probed, place, place_hash};

use super::{
    error::{DatapathError, Doing},
    mapping::Mapping,
    maps::As,
};

/// How many places one half has for so many keys: a power of two, of which they fill a half at most.
pub(super) const fn places(keys: u32) -> u32 {
    (2 * keys).next_power_of_two()
}

/// A mapped probed array.
pub(super) struct ProbedArray<K, V> {
    name: &'static str,
    entries: Mapping<Probed<K, V>>,
    places: u32,
}

impl<K, V> ProbedArray<K, V>
where
    K: ProbeKey + Default,
    V: Copy + Default + PartialEq,
    As<Probed<K, V>>: Pod,
{
    /// Takes the map out of a loaded object.
    pub(super) fn take(object: &mut Ebpf, name: &'static str, places: u32) -> Result<Self, DatapathError> {
        let map = object.take_map(name).ok_or("the eBPF object has no such map").doing(name)?;
        Ok(Self { name, entries: Mapping::new(&map, 2 * places as usize, name)?, places })
    }

    /// What a half holds.
    pub(super) fn read(&self, half: u32) -> BTreeMap<K, V> {
        let entries = (0..self.places).map(|place| {
            // SAFETY: the place is in the mapping; this process alone writes it.
            unsafe { self.entry(half, place).read_volatile() }
        });
        entries.filter(|entry| entry.key != K::default()).map(|entry| (entry.key, entry.value)).collect()
    }

    /// Makes a half that no packet reads hold these and no others.
    pub(super) fn write(&mut self, half: u32, to: &BTreeMap<K, V>) -> Result<(), DatapathError> {
        let Some(wanted) = laid_out(to, self.places) else {
            return Err("there is no room; raise [limits]").doing(self.name);
        };
        for (place, wanted) in (0..).zip(wanted) {
            let entry = self.entry(half, place);
            // SAFETY: as in `read`; packets read the other half.
            unsafe {
                if entry.read_volatile() != wanted {
                    entry.write_volatile(wanted);
                }
            }
        }
        Ok(())
    }

    fn entry(&self, half: u32, place: u32) -> *mut Probed<K, V> {
        debug_assert!(half < 2 && place < self.places);
        // SAFETY: the mapping holds both halves.
        unsafe { self.entries.first().as_ptr().add(half as usize * self.places as usize + place as usize) }
    }
}

/// Each key at the first of its places that is free. `None` when one has none.
fn laid_out<K: ProbeKey + Default, V: Copy + Default>(
    keys: &BTreeMap<K, V>,
    places: u32,
) -> Option<Vec<Probed<K, V>>> {
    let mut entries = vec![Probed::<K, V>::default(); places as usize];
    for (&key, &value) in keys {
        let hash = place_hash(key.words());
        let free = (0..PROBES)
            .map(|probe| place(hash, probe, places) as usize)
            .find(|&place| entries[place].key == K::default())?;
        entries[free] = Probed { key, value };
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_common::layout::{Address, Endpoint, EndpointKey, EndpointKind, Port};
    use proptest::prelude::*;

    /// How packets look for a key.
    fn find(entries: &[Probed<EndpointKey, Endpoint>], key: EndpointKey) -> Option<u32> {
        for probe in 0..PROBES {
            let entry = entries[place(place_hash(key.words()), probe, entries.len() as u32) as usize];
            if entry.key == key {
                return Some(entry.value.means);
            }
            if entry.key == EndpointKey::default() {
                return None;
            }
        }
        None
    }

    fn key(number: u32) -> EndpointKey {
        EndpointKey::udp(EndpointKind::Backend, Address::v4(number.to_be()), Port::new(5060))
    }

    fn laid_out_of(
        keys: impl IntoIterator<Item = EndpointKey>,
        places: u32,
    ) -> Option<Vec<Probed<EndpointKey, Endpoint>>> {
        let keys = keys.into_iter().zip(1..).map(|(key, means)| (key, Endpoint { means, pad: 0 })).collect();
        laid_out(&keys, places)
    }

    proptest! {
        #[test]
        fn packets_find_what_is_there_and_nothing_else(numbers in prop::collection::btree_set(any::<u32>(), 1..300)) {
            let entries = laid_out_of(numbers.iter().map(|&number| key(number)), places(300)).unwrap();
            for (&number, means) in numbers.iter().zip(1..) {
                prop_assert_eq!(find(&entries, key(number)), Some(means));
                let other = EndpointKey { kind: EndpointKind::Vip as u8, ..key(number) };
                prop_assert_eq!(find(&entries, other), None);
            }
        }
    }

    /// Addresses in a row are the rule in a data centre, and as many as the configuration allows must find room.
    #[test]
    fn there_is_room_for_all_that_the_limits_allow() {
        for count in [1, 8, 1_000, 17_000, 65_536] {
            for step in [1, 256, 65_536] {
                let keys = (0..count).map(|i| key(0x0a00_0000_u32.wrapping_add(i * step)));
                assert!(laid_out_of(keys, places(count)).is_some(), "{count} keys, {step} apart");
            }
        }
    }

    #[test]
    fn what_finds_no_room_is_said() {
        assert!(laid_out_of((0..9).map(key), 8).is_none());
    }
}
