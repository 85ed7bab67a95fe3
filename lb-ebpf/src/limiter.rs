//! How many ICMP messages the program may send, so that nobody can make it a source of floods (RFC 1812 section 4.3.2.8,
//! RFC 4443 section 2.4 f).

use crate::maps::LIMITER;
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;

/// One more message is allowed after this time.
const REFILL_NS: u64 = 10_000_000;
/// So many can be sent at once.
const BURST: u64 = 10;

/// What one CPU has left.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Limiter {
    /// When the last one was counted.
    at_ns: u64,
    left: u64,
}

/// May one more be sent?
#[inline(always)]
pub(crate) fn allows_one() -> bool {
    let Some(limiter) = LIMITER.get_ptr_mut(0) else { return false };
    // SAFETY: the entry is this CPU's, and programs on one CPU do not interrupt each other.
    let limiter = unsafe { &mut *limiter };
    // SAFETY: takes nothing and reads a clock.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let refills = (now - limiter.at_ns) / REFILL_NS;
    if refills > 0 {
        limiter.left = if refills + limiter.left > BURST { BURST } else { refills + limiter.left };
        limiter.at_ns = now;
    }
    if limiter.left == 0 {
        return false;
    }
    limiter.left -= 1;
    true
}
