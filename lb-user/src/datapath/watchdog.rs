//! The daemon's heartbeat, kept where the packets' state is: whoever may read the pins can tell for how long no daemon has
//! been there, and what was forwarded meanwhile.
//!
//! The daemon beats once a second and leaves the time and the sum of what was forwarded. Packets do nothing for it: what
//! passed while nobody beat is the difference of two sums, which is as exact as a second.
//!
//! Invariant: a heartbeat is written by the daemon's one task, so that a daemon that hangs is silent like one that is dead.

use std::{path::Path, time::Duration};

use lb_common::layout::Meta;
use nix::time::{ClockId, clock_gettime};

use super::{
    DatapathError,
    counters::CounterMaps,
    error::Doing,
    open::{pinned_meta, read_dir},
    pins,
};

/// A daemon that has been silent for longer than this has left the datapath alone.
pub const SILENCE: Duration = Duration::from_secs(3);

/// What a heartbeat leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// When it was, on the clock since boot; 0 before the first.
    pub heartbeat_ns: u64,
    /// Packets forwarded until then.
    pub heartbeat_packets: u64,
    /// For how long the datapath was alone, all times before that together.
    pub alone_ns: u64,
    /// Packets forwarded in those times.
    pub alone_packets: u64,
}

impl Vitals {
    /// For how long nobody has beaten; `None` before the first beat.
    pub fn silence(&self, now_ns: u64) -> Option<Duration> {
        (self.heartbeat_ns != 0).then(|| Duration::from_nanos(now_ns.saturating_sub(self.heartbeat_ns)))
    }

    /// What a heartbeat leaves that comes now, when so many packets have been forwarded. A silence that ends with it is added
    /// to the times alone.
    pub fn beaten(self, now_ns: u64, packets: u64) -> Self {
        let alone = self.silence(now_ns).filter(|silence| *silence > SILENCE);
        let alone_ns = alone.map_or(0, |silence| silence.as_nanos() as u64);
        let alone_packets = alone.map_or(0, |_| packets.saturating_sub(self.heartbeat_packets));
        Self {
            heartbeat_ns: now_ns,
            heartbeat_packets: packets,
            alone_ns: self.alone_ns.saturating_add(alone_ns),
            alone_packets: self.alone_packets.saturating_add(alone_packets),
        }
    }
}

impl From<Meta> for Vitals {
    fn from(meta: Meta) -> Self {
        let Meta { heartbeat_ns, heartbeat_packets, alone_ns, alone_packets, .. } = meta;
        Self { heartbeat_ns, heartbeat_packets, alone_ns, alone_packets }
    }
}

/// The clock of heartbeats: nanoseconds since boot, suspension included.
pub fn boot_time_ns() -> u64 {
    // It fails for clocks that don't exist alone.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    time.as_nanos() as u64
}

/// A datapath seen from outside, by its pins: what there is to know without its daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Pinned {
    /// Number of the live state; 0 when nothing was published yet.
    pub generation: u32,
    /// Fingerprint of the hash key.
    pub fingerprint: u32,
    /// For how long its daemon has been silent; `None` when none ever beat.
    pub silence: Option<Duration>,
    /// Packets forwarded since it fell silent.
    pub packets_since: u64,
    /// What the last heartbeat left.
    pub vitals: Vitals,
    /// The interfaces that it was attached to.
    pub interfaces: Vec<String>,
}

impl Pinned {
    /// Reads what is pinned below `pin_dir` in this siplb's layout; `None` where nothing is.
    ///
    /// # Errors
    /// When the pins may not be read.
    pub fn read(pin_dir: &Path) -> Result<Option<Self>, DatapathError> {
        let folder = pins::folder(pin_dir);
        let meta = pinned_meta(&folder).doing("read the pins")?;
        let Some(meta) = meta.filter(|meta| meta.abi != 0) else { return Ok(None) };
        let vitals = Vitals::from(meta);
        let forwarded = CounterMaps::pinned(&folder)?.read()?.forwarded();
        Ok(Some(Self {
            generation: meta.generation,
            fingerprint: meta.fingerprint,
            silence: vitals.silence(boot_time_ns()),
            packets_since: forwarded.saturating_sub(vitals.heartbeat_packets),
            vitals,
            interfaces: read_dir(&pins::links(&folder))?
                .iter()
                .map(|link| pins::interface_of(link))
                .collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_silence_is_counted_once_with_what_passed_in_it() {
        let first = Vitals::default().beaten(10 * SECOND, 500);
        assert_eq!((first.alone_ns, first.alone_packets), (0, 0), "nobody was expected before");
        let next = first.beaten(11 * SECOND, 700);
        assert_eq!((next.alone_ns, next.alone_packets), (0, 0), "in time");
        assert_eq!(next.silence(46 * SECOND), Some(Duration::from_secs(35)));
        let back = next.beaten(46 * SECOND, 1_700);
        assert_eq!((back.alone_ns, back.alone_packets), (35 * SECOND, 1_000));
        let later = back.beaten(47 * SECOND, 9_000).beaten(57 * SECOND, 9_001);
        assert_eq!((later.alone_ns, later.alone_packets), (45 * SECOND, 1_001), "several add up");
        assert_eq!(Vitals::default().silence(5), None);
    }

    #[test]
    fn counters_that_were_cleared_take_nothing_away() {
        let beaten = Vitals { heartbeat_ns: SECOND, heartbeat_packets: 100, ..Vitals::default() };
        assert_eq!(beaten.beaten(60 * SECOND, 7).alone_packets, 0);
        assert_eq!(beaten.silence(0), Some(Duration::ZERO), "a clock that goes back is no silence");
    }
}
