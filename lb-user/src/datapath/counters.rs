//! The counters, read from their per-CPU maps and summed.

use std::{collections::BTreeMap, path::Path};

use aya::{
    Ebpf,
    maps::{Map, MapData, PerCpuArray, PerCpuValues},
    util::nr_cpus,
};
use lb_common::{
    layout::{BackendCounter, ChangeCounter, Counter},
    reason::{REASON_NUMBERS, Reason, Verdict},
};

use super::{
    error::{DatapathError, Doing},
    maps::{As, take},
    pins,
};

/// All counters at one time. What was never counted is not in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// By number of the VIP (0: to or from none) and reason.
    pub vips: BTreeMap<u32, BTreeMap<u8, Counter>>,
    /// By backend id.
    pub backends: BTreeMap<u32, BackendCounter>,
    /// Requests of keys that a change in progress moves, by number of the VIP.
    pub changes: BTreeMap<u32, ChangeCounter>,
}

impl Counters {
    /// How many packets were forwarded.
    pub fn forwarded(&self) -> u64 {
        let all = self.vips.values().flatten();
        let is_forward = |number: u8| {
            Reason::from_number(number).is_some_and(|reason| reason.verdict() == Verdict::Forward)
        };
        let forwarded = all.filter(|(number, _)| is_forward(**number));
        forwarded.map(|(_, counter)| counter.packets).sum()
    }
}

/// The maps of counters.
pub(super) struct CounterMaps {
    vips: PerCpuArray<MapData, As<Counter>>,
    backends: PerCpuArray<MapData, As<BackendCounter>>,
    changes: PerCpuArray<MapData, As<ChangeCounter>>,
}

impl CounterMaps {
    /// Takes the maps out of a loaded object.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, DatapathError> {
        Ok(Self {
            vips: take(object, "COUNTERS")?,
            backends: take(object, "BACKEND_COUNTERS")?,
            changes: take(object, "CHANGES")?,
        })
    }

    /// Opens the pinned maps.
    pub(super) fn pinned(folder: &Path) -> Result<Self, DatapathError> {
        const WHAT: &str = "open the pinned counters";
        let open = |name| MapData::from_pin(pins::map(folder, name)).map(Map::PerCpuArray);
        let vips = open("COUNTERS").doing(WHAT)?;
        let backends = open("BACKEND_COUNTERS").doing(WHAT)?;
        let changes = open("CHANGES").doing(WHAT)?;
        Ok(Self {
            vips: PerCpuArray::try_from(vips).doing(WHAT)?,
            backends: PerCpuArray::try_from(backends).doing(WHAT)?,
            changes: PerCpuArray::try_from(changes).doing(WHAT)?,
        })
    }

    /// Reads and sums everything.
    pub(super) fn read(&self) -> Result<Counters, DatapathError> {
        const WHAT: &str = "read the counters";
        let mut counters = Counters::default();
        for (index, values) in self.vips.iter().enumerate() {
            let sum = values.doing(WHAT)?.iter().fold(Counter::default(), |sum, value| add(sum, value.0));
            if sum.packets != 0 {
                let (vip, reason) = (index / REASON_NUMBERS, index % REASON_NUMBERS);
                counters.vips.entry(vip as u32).or_default().insert(reason as u8, sum);
            }
        }
        for (id, values) in self.backends.iter().enumerate() {
            let sum = of_backend(&values.doing(WHAT)?);
            if sum != BackendCounter::default() {
                counters.backends.insert(id as u32, sum);
            }
        }
        for (vip, values) in self.changes.iter().enumerate() {
            let sum = values.doing(WHAT)?.iter().fold(ChangeCounter::default(), |sum, value| {
                let ChangeCounter { recorded, followed, older, unreadable, full } = value.0;
                ChangeCounter {
                    recorded: sum.recorded + recorded,
                    followed: sum.followed + followed,
                    older: sum.older + older,
                    unreadable: sum.unreadable + unreadable,
                    full: sum.full + full,
                }
            });
            if sum != ChangeCounter::default() {
                counters.changes.insert(vip as u32, sum);
            }
        }
        Ok(counters)
    }

    /// Reads and sums those of these backends: for a look several times a second, which all of them would be too much for.
    pub(super) fn of_backends(&self, ids: &[u32]) -> Result<BTreeMap<u32, BackendCounter>, DatapathError> {
        let read = |id: &u32| {
            let values = self.backends.get(id, 0).doing("read the counters of a backend")?;
            Ok((*id, of_backend(&values)))
        };
        ids.iter().map(read).collect()
    }

    /// How many packets were forwarded to and from these VIPs.
    pub(super) fn forwarded(&self, vips: impl IntoIterator<Item = u32>) -> Result<u64, DatapathError> {
        let mut packets = 0;
        for vip in vips {
            for reason in Reason::ALL.iter().filter(|reason| reason.verdict() == Verdict::Forward) {
                let index = vip * REASON_NUMBERS as u32 + u32::from(*reason as u8);
                let values = self.vips.get(&index, 0).doing("read the counters")?;
                packets += values.iter().map(|value| value.0.packets).sum::<u64>();
            }
        }
        Ok(packets)
    }

    /// Sets a backend's counters to zero.
    pub(super) fn reset_backend(&mut self, id: u32) -> Result<(), DatapathError> {
        self.backends.set(id, zeroes()?, 0).doing("reset a counter")
    }

    /// Sets a VIP's counters to zero.
    pub(super) fn reset_vip(&mut self, number: u32) -> Result<(), DatapathError> {
        self.changes.set(number, zeroes()?, 0).doing("reset a counter")?;
        for reason in 0..REASON_NUMBERS as u32 {
            self.vips.set(number * REASON_NUMBERS as u32 + reason, zeroes()?, 0).doing("reset a counter")?;
        }
        Ok(())
    }
}

fn of_backend(values: &PerCpuValues<As<BackendCounter>>) -> BackendCounter {
    values.iter().fold(BackendCounter::default(), |sum, As(value)| BackendCounter {
        requests: add(sum.requests, value.requests),
        replies: add(sum.replies, value.replies),
    })
}

fn add(a: Counter, b: Counter) -> Counter {
    Counter { packets: a.packets + b.packets, bytes: a.bytes + b.bytes }
}

/// A zero for every CPU.
fn zeroes<T: Copy + Default + 'static>() -> Result<PerCpuValues<As<T>>, DatapathError> {
    let cpus = nr_cpus().map_err(|(path, error)| DatapathError::new(path, error))?;
    PerCpuValues::try_from(vec![As(T::default()); cpus]).doing("count the CPUs")
}
