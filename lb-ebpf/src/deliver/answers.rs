//! What the kernel's routing and neighbour tables have just said of a client.
//!
//! To ask them costs as much as all else that a reply pays, and the replies of a call follow each other within moments. So
//! each CPU remembers the last answers, one line for all clients of one hash, and uses them for [`FRESH_TICKS`]: it is the
//! kernel's clock that ends this and not the daemon, whose death must not leave packets on an old way for ever.

use crate::{
    maps::ANSWERS,
    packet::{Packet, opaque},
};
use aya_ebpf::helpers::generated::bpf_jiffies64;
use lb_common::layout::Address;

/// How long an answer is used again, in ticks of the kernel's clock: 0.13 seconds where it has 1,000 of them a second
/// (`CONFIG_HZ`), 0.5 with 250, 1.3 with 100. Until then a changed route or neighbour is not noticed.
const FRESH_TICKS: u64 = 128;

/// How many answers a CPU remembers, a power of two: as many as lie in a cache of its own.
pub(crate) const LINES: u32 = 4_096;

/// An answer, with all of the question that it depends on.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Answer {
    from: Address,
    to: Address,
    /// Interface that the packet came in by: routes may depend on it.
    ingress: u32,
    /// Interface of the way out.
    pub(super) interface: u32,
    /// When it was given.
    ticks: u64,
    pub(super) destination_mac: [u8; 6],
    pub(super) source_mac: [u8; 6],
    pad: u32,
}

impl Answer {
    /// What was just answered for packets between these two.
    #[inline(always)]
    pub(super) fn remembered(packet: Packet, from: &Address, to: &Address) -> Option<&'static Self> {
        let answer = Self::line(to)?;
        let differs =
            differ(&answer.from, from) | differ(&answer.to, to) | (answer.ingress ^ packet.ingress()) as u64;
        // The compiler would make a branch of each.
        if opaque(differs) == 0 && now() - answer.ticks < FRESH_TICKS { Some(answer) } else { None }
    }

    /// The line for packets between these two, for an answer that is given now.
    #[inline(always)]
    pub(super) fn remember(packet: Packet, from: Address, to: Address) -> Option<&'static mut Self> {
        let answer = Self::line(&to)?;
        (answer.from, answer.to) = (from, to);
        (answer.ingress, answer.ticks) = (packet.ingress(), now());
        Some(answer)
    }

    #[inline(always)]
    fn line(to: &Address) -> Option<&'static mut Self> {
        let [a, b, c, d] = to.words;
        let hash = (a ^ b ^ c ^ d).wrapping_mul(0x9E37_79B1) >> (32 - LINES.ilog2());
        // SAFETY: the entry is this CPU's, and programs on one CPU do not interrupt each other.
        ANSWERS.get_ptr_mut(hash).map(|answer| unsafe { &mut *answer })
    }
}

/// 0 when two addresses are one.
#[inline(always)]
fn differ(a: &Address, b: &Address) -> u64 {
    let [a, b] = [a.words, b.words];
    ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) as u64
}

/// The kernel's clock in ticks; the JIT reads it in place (Linux 5.6).
#[inline(always)]
fn now() -> u64 {
    // SAFETY: takes nothing and reads a counter.
    unsafe { bpf_jiffies64() }
}
