//! Planned changes by chance: what an operator might ask for next, and when. Pure; the seed decides.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::siplb::POOL;
use crate::topology::{Host, SIP_PORT};

/// Weights that are asked for, and that of a backend for which none was.
const WEIGHTS: [u32; 4] = [50, 75, 150, 200];
const WEIGHT: u32 = 100;
/// So many backends take new users at all times: one could move nobody anywhere.
const SERVING_MIN: usize = 2;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// No new users.
    Drain,
    /// Users as before.
    Ready,
    /// Another share of the users.
    Weight(u32),
    /// Gone.
    Remove,
    /// There, at this address.
    Add(SocketAddr),
}

/// One change that an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub verb: Verb,
    /// Of which backend.
    pub backend: String,
}

impl Change {
    /// What `siplb` is called with.
    pub fn arguments(&self) -> Vec<String> {
        let (verb, arguments) = match self.verb {
            Verb::Drain => ("drain", vec![self.backend.clone()]),
            Verb::Ready => ("ready", vec![self.backend.clone()]),
            Verb::Weight(weight) => ("weight", vec![self.backend.clone(), weight.to_string()]),
            Verb::Remove => ("remove", vec![self.backend.clone()]),
            Verb::Add(socket) => ("add", vec![POOL.to_owned(), self.backend.clone(), socket.to_string()]),
        };
        ["backend", verb].map(str::to_owned).into_iter().chain(arguments).collect()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verb {
            Verb::Drain => write!(f, "drain {}", self.backend),
            Verb::Ready => write!(f, "ready {}", self.backend),
            Verb::Weight(weight) => write!(f, "weight {} {weight}", self.backend),
            Verb::Remove => write!(f, "remove {}", self.backend),
            Verb::Add(_) => write!(f, "add {}", self.backend),
        }
    }
}

/// One change after the other, each possible after those before it; never ends.
#[derive(Debug)]
pub struct Changes {
    backends: Vec<Wanted>,
    random: StdRng,
}

#[derive(Debug)]
struct Wanted {
    name: String,
    socket: SocketAddr,
    is_there: bool,
    is_draining: bool,
    weight: u32,
}

impl Wanted {
    fn is_serving(&self) -> bool {
        self.is_there && !self.is_draining
    }
}

impl Changes {
    /// Of these backends, all of which are there and serve.
    pub fn new(hosts: &[Host], seed: u64) -> Self {
        Self::of(hosts.iter().map(|host| (host.name.clone(), (host.address, SIP_PORT).into())), seed)
    }

    fn of(backends: impl Iterator<Item = (String, SocketAddr)>, seed: u64) -> Self {
        let wanted =
            |(name, socket)| Wanted { name, socket, is_there: true, is_draining: false, weight: WEIGHT };
        Self { backends: backends.map(wanted).collect(), random: StdRng::seed_from_u64(seed) }
    }

    /// All that can be asked for now, by verb.
    fn possible(&self) -> [Vec<(usize, Verb)>; 5] {
        let mut possible: [Vec<_>; 5] = Default::default();
        let can_spare = self.backends.iter().filter(|backend| backend.is_serving()).count() > SERVING_MIN;
        for (place, backend) in self.backends.iter().enumerate() {
            let [drain, ready, weight, remove, add] = &mut possible;
            if !backend.is_there {
                add.push((place, Verb::Add(backend.socket)));
                continue;
            }
            if backend.is_draining {
                ready.push((place, Verb::Ready));
                remove.push((place, Verb::Remove));
                continue;
            }
            let others = WEIGHTS.into_iter().filter(|&other| other != backend.weight);
            weight.extend(others.map(|other| (place, Verb::Weight(other))));
            if can_spare {
                drain.push((place, Verb::Drain));
                remove.push((place, Verb::Remove));
            }
        }
        possible
    }
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        let possible: Vec<_> = self.possible().into_iter().filter(|verbs| !verbs.is_empty()).collect();
        // The verb first, or changes of weights would be most of them.
        let &(place, verb) = possible.choose(&mut self.random)?.choose(&mut self.random)?;
        let backend = &mut self.backends[place];
        match verb {
            Verb::Drain => backend.is_draining = true,
            Verb::Ready => backend.is_draining = false,
            Verb::Weight(weight) => backend.weight = weight,
            Verb::Remove => backend.is_there = false,
            Verb::Add(_) => (backend.is_there, backend.is_draining, backend.weight) = (true, false, WEIGHT),
        }
        Some(Change { verb, backend: backend.name.clone() })
    }
}

/// `count` moments between `from` and `to`, by chance, in order.
pub fn moments(seed: u64, count: usize, from: Duration, to: Duration) -> Vec<Duration> {
    let mut random = StdRng::seed_from_u64(!seed);
    let mut moments: Vec<_> = (0..count).map(|_| random.random_range(from..=to.max(from))).collect();
    moments.sort_unstable();
    moments
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn changes(seed: u64) -> Changes {
        let socket = SocketAddr::from(([10, 0, 0, 11], SIP_PORT));
        Changes::of((1..=4).map(|number| (format!("b{number}"), socket)), seed)
    }

    #[test]
    fn two_backends_serve_at_all_times_and_every_verb_comes() {
        for seed in 0..20 {
            let mut changes = changes(seed);
            let mut verbs = BTreeSet::new();
            for _ in 0..200 {
                let change = changes.next().unwrap();
                verbs.insert(change.arguments()[1].clone());
                let serving = changes.backends.iter().filter(|backend| backend.is_serving()).count();
                assert!(serving >= SERVING_MIN, "{serving} after {change}, seed {seed}");
            }
            assert_eq!(verbs.len(), 5, "{verbs:?}, seed {seed}");
        }
    }

    #[test]
    fn the_seed_decides() {
        let ten = |seed| changes(seed).take(10).collect::<Vec<_>>();
        assert_eq!(ten(7), ten(7));
        assert_ne!(ten(7), ten(8));
    }

    #[test]
    fn moments_are_in_order_and_within() {
        let (from, to) = (Duration::from_secs(5), Duration::from_secs(300));
        let moments = moments(1, 10, from, to);
        assert!(moments.is_sorted() && moments.len() == 10);
        assert!(moments.iter().all(|moment| (from..=to).contains(moment)));
    }
}
