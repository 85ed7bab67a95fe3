//! One number for a lookup table, by which nodes can be compared: equal digests, equal tables.
//!
//! Ids differ between nodes, so that names are what is hashed: the groups of the pool in alphabetical order, then for
//! each slot the place of its group among them.

use std::collections::BTreeMap;

use xxhash_rust::xxh64::Xxh64;

use super::PoolPlan;

/// The digest of a pool's table, as it is now.
pub fn digest(pool: &PoolPlan) -> u64 {
    let by_name: BTreeMap<&str, u32> =
        pool.groups.iter().map(|group| (group.name.as_str(), group.id)).collect();
    let mut hash = Xxh64::new(0);
    for text in [pool.name.as_str()].into_iter().chain(by_name.keys().copied()) {
        hash.update(text.as_bytes());
        hash.update(&[0]);
    }
    let places: BTreeMap<u32, u16> = by_name.values().copied().zip(1..).collect();
    for id in pool.slots.iter() {
        let place = places.get(&u32::from(*id)).copied().unwrap_or(0);
        hash.update(&place.to_le_bytes());
    }
    hash.digest()
}
