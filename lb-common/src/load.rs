//! What the benchmarks' generator and sink agree on with the programs of `lb-ebpf/src/bin/load.rs`: the maps, the end of
//! every message, and the scale on which latencies are counted.
//!
//! Nothing of this is in the load balancer; it is here because both sides compile this crate.

use core::mem::size_of;

/// Longest frame, in bytes.
pub const FRAME_MAX: usize = 1_024;

/// Messages that take turns, by the lowest bits of their numbers.
pub const TEMPLATES: u32 = 16;

/// Addresses that frames are for.
pub const DESTINATIONS_LIMIT: u32 = 16;

/// Users whose server is remembered. Users beyond are not.
pub const USERS_LIMIT: u32 = 1 << 14;

/// Numbers that can be given out before the generator has to be loaded anew: the sink has a bit for each.
pub const NUMBERS_LIMIT: u64 = 1 << 29;

/// How the generator makes frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Setup {
    /// Index of the interface that frames leave by.
    pub interface: u32,
    /// Of every frame: the same for all templates.
    pub frame_bytes: u32,
    /// How many users there are: from 0 on.
    pub users: u32,
    /// How many servers messages of a dialog can name.
    pub servers: u32,
    /// How many of the destinations there are; users share them out.
    pub destinations: u32,
    /// Lowest source port: users have one each, as far as ports go.
    pub port: u16,
    /// How many source ports there are.
    pub ports: u16,
}

/// When frames are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pace {
    /// Between two frames, in nanoseconds and 1/256 of them; 0 for none.
    pub interval: u64,
    /// So many frames are made at once: as many as the kernel hands out before it sends them.
    pub burst: u64,
    /// When the next burst is due, in nanoseconds, by the clock of `bpf_ktime_get_ns`; 0 before the first.
    pub due_ns: u64,
    /// When the first frame was made.
    pub first_ns: u64,
    /// When the last one was.
    pub last_ns: u64,
    /// When the last burst began.
    pub burst_ns: u64,
    /// How long the generator's CPU was busy with what it made and what came of that on the same CPU, from the beginning of
    /// a burst to that of waiting for the next.
    pub busy_ns: u64,
    /// Frames of the bursts in `busy_ns`: all but those after which somebody else had the CPU.
    pub busy_frames: u64,
    /// How long somebody else had it.
    pub stolen_ns: u64,
    /// No frame is made so long after the first, in nanoseconds.
    pub limit_ns: u64,
    /// Frames made.
    pub made: u64,
    /// The number that the first frame has.
    pub number: u64,
}

impl Pace {
    /// A generator that is late by more than so many bursts lets them go: made up for all at once, they would measure the
    /// receiver's ring.
    pub const LATE_BURSTS: u64 = 2;

    /// No burst keeps its CPU busy for so long, in nanoseconds: 50 µs, and 5 for each frame. When that much passes, another
    /// process or the hypervisor had the CPU, and the burst doesn't count.
    #[inline(always)]
    pub const fn longest_ns(&self) -> u64 {
        50_000 + 5_000 * self.burst
    }

    /// When the next burst after one that was due at `due_ns` is, if that was made at `now_ns`.
    #[inline(always)]
    pub const fn next_ns(&self, due_ns: u64, now_ns: u64) -> u64 {
        let period = (self.interval * self.burst) >> 8;
        let next = due_ns + period;
        if now_ns > next + Self::LATE_BURSTS * period { now_ns } else { next }
    }
}

/// A message with the headers of its frame. What changes from frame to frame is written over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Template {
    /// The frame, from its Ethernet header on.
    pub frame: [u8; FRAME_MAX],
    /// Where the user's name goes, [`name`]: offsets into the frame, 0 for none.
    pub user_at: [u32; 3],
    /// Where the digit of the server goes that a message of a dialog names; 0 for none.
    pub server_at: u32,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Destination {
    /// The IPv4 address, as it lies in the packet.
    pub address: [u8; 4],
    /// Sum of the IP header's 16-bit words with this address, without its id and its checksum.
    pub sum: u32,
}

/// The last bytes of every datagram. They are at its end because a proxy puts headers in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Trailer {
    /// When the frame was made, by the clock of `bpf_ktime_get_ns`.
    pub made_ns: u64,
    /// Number of the frame.
    pub number: u64,
    /// Whom it is for.
    pub user: u32,
    /// The server that the message names, counted from 1; 0 when the user decides.
    pub server: u32,
    /// [`Trailer::MARK`].
    pub mark: u64,
}

impl Trailer {
    /// Tells numbered messages from others.
    pub const MARK: u64 = u64::from_le_bytes(*b"\nnumber\n");
    /// Bytes of a trailer.
    pub const BYTES: usize = size_of::<Self>();
}

/// What the sink has to know of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Run {
    /// First number of this run: lower ones are late.
    pub first: u64,
    /// Whether a message for a server that it names has to arrive there, and a user always at the same.
    pub has_owners: u64,
}

/// What the sink has counted, on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Arrived {
    /// Numbers that arrived for the first time.
    pub first: u64,
    /// Numbers that had arrived already.
    pub again: u64,
    /// Numbers of an earlier run.
    pub late: u64,
    /// Messages of a dialog at another server than the one that they name.
    pub misplaced: u64,
    /// Messages for a user at another server than the user's first.
    pub moved: u64,
    /// Frames without a number, which went on to the stack.
    pub foreign: u64,
}

/// Buckets of the latencies.
pub const BUCKETS: u32 = 640;

/// Buckets that share an octave, as a power of two: a bucket is at most 1/16 wide.
const OCTAVE_BITS: u32 = 4;

/// The bucket that counts a latency: exact below 32 ns, then 16 of them for each power of two.
#[inline(always)]
pub const fn bucket(latency_ns: u64) -> u32 {
    let octave = 63 - (latency_ns | 1).leading_zeros();
    if octave < OCTAVE_BITS {
        return latency_ns as u32;
    }
    let steps = (latency_ns >> (octave - OCTAVE_BITS)) as u32 & 15;
    let bucket = ((octave - OCTAVE_BITS + 1) << OCTAVE_BITS) + steps;
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// The shortest latency of a bucket, in nanoseconds.
pub const fn floor_ns(bucket: u32) -> u64 {
    let octave = bucket >> OCTAVE_BITS;
    if octave == 0 {
        return bucket as u64;
    }
    (16 + (bucket as u64 & 15)) << (octave - 1)
}

/// A user's name, as it lies in a message: `u` and seven digits.
#[inline(always)]
pub const fn name(user: u32) -> [u8; 8] {
    let mut name = *b"u0000000";
    let mut left = user;
    let mut place = 7;
    while place > 0 {
        name[place] = b'0' + (left % 10) as u8;
        left /= 10;
        place -= 1;
    }
    name
}

/// The user that a number is for: all of them come, in no order.
#[inline(always)]
pub const fn user(number: u64, users: u32) -> u32 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((mixed >> 32) * users as u64) >> 32) as u32
}

const _: () = assert!(size_of::<Setup>() == 24);
const _: () = assert!(size_of::<Pace>() == 96);
const _: () = assert!(size_of::<Template>() == FRAME_MAX + 16);
const _: () = assert!(size_of::<Destination>() == 8);
const _: () = assert!(size_of::<Trailer>() == 32);
const _: () = assert!(size_of::<Run>() == 16);
const _: () = assert!(size_of::<Arrived>() == 48);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_in_the_bucket_that_begins_at_or_below_it() {
        for latency in
            (0..100_000).chain((17..40).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]))
        {
            let bucket = bucket(latency);
            assert!(floor_ns(bucket) <= latency, "{latency} is below bucket {bucket}");
            if bucket + 1 < BUCKETS {
                assert!(latency < floor_ns(bucket + 1), "{latency} is above bucket {bucket}");
            }
        }
    }

    #[test]
    fn no_bucket_is_wider_than_a_sixteenth() {
        for bucket in 16..BUCKETS - 1 {
            let (from, to) = (floor_ns(bucket), floor_ns(bucket + 1));
            assert!((to - from) * 16 <= from, "bucket {bucket} is {from}..{to}");
        }
    }

    #[test]
    fn what_takes_longer_than_all_buckets_is_in_the_last() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn bursts_are_due_evenly_and_what_is_far_too_late_is_let_go() {
        let pace = Pace { interval: 1_000 << 8, burst: 4, ..Pace::default() };
        assert_eq!(pace.next_ns(10_000, 10_100), 14_000);
        assert_eq!(pace.next_ns(10_000, 15_000), 14_000);
        assert_eq!(pace.next_ns(10_000, 90_000), 90_000);
        assert_eq!(pace.longest_ns(), 70_000);
    }

    #[test]
    fn names_are_numbers_of_seven_digits() {
        assert_eq!((&name(0), &name(4_711), &name(9_999_999)), (b"u0000000", b"u0004711", b"u9999999"));
    }

    #[test]
    fn all_users_come() {
        let mut seen = [0_u32; 100];
        (0..10_000).for_each(|number| seen[user(number, 100) as usize] += 1);
        assert!(seen.iter().all(|&times| (50..200).contains(&times)), "{seen:?}");
    }
}
