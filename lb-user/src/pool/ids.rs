//! The numbers by which the datapath knows VIPs, tables, groups and backends.
//!
//! A name keeps its number as long as it is there, over restarts too ([`Ids`] is stored): counters belong to numbers. The
//! number of a name that left goes to another name only when all others were given out, the longest unused one first;
//! a name that comes back before that has its number again. Numbers start at 1: 0 is none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::Limits;

/// All numbers that are given out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ids {
    /// VIPs, by socket and transport.
    pub vips: Numbers,
    /// Lookup tables, by pool.
    pub tables: Numbers,
    /// Groups, by path.
    pub groups: Numbers,
    /// Backends, by path.
    pub backends: Numbers,
}

impl Ids {
    /// Takes the sizes of the maps. What lies beyond a new limit is forgotten.
    pub fn limit(&mut self, limits: &Limits) {
        self.vips.limit(limits.vips);
        self.tables.limit(limits.pools);
        self.groups.limit(limits.groups);
        self.backends.limit(limits.backends);
    }

    /// Has every number one name? Otherwise these are not ids that this module made.
    pub fn is_sound(&self) -> bool {
        [&self.vips, &self.tables, &self.groups, &self.backends].into_iter().all(Numbers::is_sound)
    }
}

/// The numbers of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Numbers {
    /// The highest that may be given out.
    limit: u32,
    /// How many were ever given out: the highest in use, or released.
    given: u32,
    /// By name.
    taken: BTreeMap<String, u32>,
    /// Released numbers with their last names, the longest unused first.
    released: VecDeque<(String, u32)>,
}

impl Numbers {
    fn limit(&mut self, limit: u32) {
        self.limit = limit;
        self.given = self.given.min(limit);
        self.taken.retain(|_, number| *number <= limit);
        self.released.retain(|(_, number)| *number <= limit);
    }

    fn is_sound(&self) -> bool {
        let numbers = self.taken.values().chain(self.released.iter().map(|(_, number)| number));
        let (count, different) = (numbers.clone().count(), numbers.copied().collect::<BTreeSet<u32>>());
        count == different.len()
            && different.first().is_none_or(|first| *first == 1)
            && different.last().copied().unwrap_or(0) == self.given
            && self.given as usize == count
            && self.given <= self.limit
    }

    /// The number of a name, if it has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.taken.get(name).copied()
    }

    /// Gives each of `names` its number, and releases those of all other names. Returns the numbers that have another
    /// name than the last time, or a first one: nothing that was counted under them counts any more.
    ///
    /// # Panics
    /// With more names than the limit; `contradictions` has refused such a configuration.
    pub fn assign<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Vec<u32> {
        let names: BTreeSet<&str> = names.into_iter().collect();
        assert!(names.len() <= self.limit as usize, "{} names for {} numbers", names.len(), self.limit);
        let gone = |name: &String, _: &mut u32| !names.contains(name.as_str());
        self.released.extend(self.taken.extract_if(.., gone));
        let (back, new): (Vec<&str>, Vec<&str>) = names
            .into_iter()
            .filter(|name| !self.taken.contains_key(*name))
            .partition(|name| self.released.iter().any(|(last, _)| last == name));
        for name in back {
            let place = self.released.iter().position(|(last, _)| last == name);
            let (name, number) =
                place.and_then(|place| self.released.remove(place)).expect("it was released");
            self.taken.insert(name, number);
        }
        new.into_iter().map(|name| self.give(name)).collect()
    }

    /// A number for a name that has none yet.
    fn give(&mut self, name: &str) -> u32 {
        let number = if self.given < self.limit {
            self.given += 1;
            self.given
        } else {
            self.released.pop_front().expect("fewer names than numbers").1
        };
        self.taken.insert(name.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(limit: u32) -> Numbers {
        Numbers { limit, ..Numbers::default() }
    }

    #[test]
    fn a_number_stays_with_its_name_and_comes_back_to_it() {
        let mut ids = numbers(4);
        assert_eq!(ids.assign(["b", "a"]), [1, 2]);
        assert_eq!((ids.get("a"), ids.get("b")), (Some(1), Some(2)));
        assert_eq!(ids.assign(["b", "c"]), [3]);
        assert_eq!((ids.get("a"), ids.get("b")), (None, Some(2)));
        assert!(ids.assign(["a", "b", "c"]).is_empty());
        assert_eq!(ids.get("a"), Some(1));
    }

    #[test]
    fn the_longest_unused_is_reused_first_and_only_when_it_must() {
        let mut ids = numbers(3);
        ids.assign(["a", "b"]);
        ids.assign(["b"]);
        ids.assign([]);
        assert_eq!(ids.assign(["c"]), [3]);
        assert_eq!(ids.assign(["c", "d"]), [1], "a's, the first to leave");
        assert_eq!(ids.assign(["a", "c", "d"]), [2]);
    }

    #[test]
    fn survives_a_new_limit_and_storage() {
        let mut ids = numbers(8);
        ids.assign(["a", "b", "c", "d"]);
        ids.assign(["a", "d"]);
        let stored = serde_json::to_string(&ids).unwrap();
        assert_eq!(serde_json::from_str::<Numbers>(&stored).unwrap(), ids);
        ids.limit(2);
        assert!(ids.is_sound());
        assert_eq!((ids.get("a"), ids.get("d")), (Some(1), None));
        assert_eq!(ids.assign(["a", "d"]), [2]);
    }

    proptest! {
        #[test]
        fn numbers_are_unique_and_in_range(steps in prop::collection::vec(prop::collection::btree_set("[a-h]", 0..5), 1..30)) {
            let mut ids = numbers(5);
            for names in steps {
                let before = ids.clone();
                let fresh = ids.assign(names.iter().map(String::as_str));
                prop_assert!(ids.is_sound());
                let given: BTreeSet<u32> = names.iter().map(|name| ids.get(name).unwrap()).collect();
                prop_assert_eq!(given.len(), names.len());
                prop_assert!(given.iter().all(|number| (1..=5).contains(number)));
                for name in &names {
                    if let Some(number) = before.get(name) {
                        prop_assert_eq!(ids.get(name), Some(number));
                        prop_assert!(!fresh.contains(&number));
                    }
                }
            }
        }
    }
}
