//! Hash tables with open addressing in array maps: *probed arrays*.
//!
//! A look-up in one of the kernel's hash maps is a call, and the hash of the key another within it; a look-up in an array map
//! is a few instructions in place. So what user space writes and packets only read lies in arrays: a key is hashed to a place,
//! and stands there or at one of the next [`PROBES`] - 1. User space leaves enough of them empty (`lb-user/src/datapath/
//! probed.rs`), and writes the whole of a half that no packet reads, so that nothing is ever moved under a packet.

/// At how many places a key may stand. Most keys stand at the first; with an array that is half full, one in 100,000 needs more
/// than 50 (for linear probing the number falls off as `exp(-0.19 n)`).
pub const PROBES: u32 = 64;

/// A key of a probed array. All zeroes is none.
pub trait ProbeKey: Copy + Ord {
    /// All its bytes.
    fn words(&self) -> [u64; 3];
}

/// An entry of a probed array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Probed<K, V> {
    /// The key.
    pub key: K,
    /// What it stands for.
    pub value: V,
}

/// The place at which the search for a key begins in a half of `places` places, a power of two, and the one that is looked at
/// after `probe` others.
#[inline(always)]
pub const fn place(hash: u32, probe: u32, places: u32) -> u32 {
    hash.wrapping_add(probe) & (places - 1)
}

/// The hash of a key. It needs no secret: whoever chose keys that meet would still be found by [`PROBES`] probes.
#[inline(always)]
pub const fn place_hash(words: [u64; 3]) -> u32 {
    const A: u64 = 0x9E37_79B9_7F4A_7C15;
    const B: u64 = 0xD6E8_FEB8_6659_FD93;
    const C: u64 = 0xA076_1D64_78BD_642F;
    // The upper half of a product has something of every bit, the lower has not.
    let mixed = words[0].wrapping_mul(A) ^ words[1].wrapping_mul(B) ^ words[2].wrapping_mul(C);
    ((mixed ^ mixed >> 32).wrapping_mul(A) >> 32) as u32
}
