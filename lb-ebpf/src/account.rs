//! `account -> verdict`: the one exit. Every packet is counted here under its reason.

use crate::maps::{BACKEND_COUNTERS, COUNTERS, TRACE};
use aya_ebpf::bindings::xdp_action;
use lb_common::{
    layout::{Counter, Trace},
    reason::{REASON_NUMBERS, Reason, Verdict},
};

/// Set by user space in the instances that it loads for `explain`: the verifier removes what depends on it elsewhere.
#[unsafe(no_mangle)]
static TRACE_ON: u32 = 0;

/// What became of a packet.
pub(crate) struct Outcome {
    /// Number of a [`Reason`].
    pub(crate) reason: u8,
    /// What to return when the verdict is to forward.
    pub(crate) action: u32,
    pub(crate) trace: Trace,
}

impl Outcome {
    /// Nothing known but the reason.
    #[inline(always)]
    pub(crate) fn new(reason: u8) -> Self {
        // SAFETY: all zeroes is a valid trace; a literal would be built field by field.
        Self { reason, action: xdp_action::XDP_PASS, trace: unsafe { core::mem::zeroed() } }
    }
}

/// Is this an instance for `explain`?
#[inline(always)]
fn is_traced() -> bool {
    // SAFETY: a plain read of a constant, volatile since the loader and not the compiler sets it.
    unsafe { core::ptr::read_volatile(&TRACE_ON) != 0 }
}

/// Counts a packet and turns its outcome into the XDP return code.
#[inline(always)]
pub(crate) fn account(bytes: u64, outcome: &Outcome) -> u32 {
    let reason = outcome.reason;
    let index = outcome.trace.vip * REASON_NUMBERS as u32 + reason as u32;
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the entry belongs to this CPU, and programs on one CPU do not interrupt each other.
        count(unsafe { &mut *counter }, bytes);
    }
    let verdict = Verdict::of(reason);
    if matches!(verdict, Verdict::Forward)
        && let Some(counter) = BACKEND_COUNTERS.get_ptr_mut(outcome.trace.backend)
    {
        // SAFETY: as above.
        let counter = unsafe { &mut *counter };
        count(
            if reason == Reason::Replied as u8 { &mut counter.replies } else { &mut counter.requests },
            bytes,
        );
    }
    if is_traced()
        && let Some(trace) = TRACE.get_ptr_mut(0)
    {
        // SAFETY: one packet at a time is explained.
        unsafe { *trace = Trace { reason, ..outcome.trace } };
    }
    match verdict {
        Verdict::Forward => outcome.action,
        Verdict::Drop => xdp_action::XDP_DROP,
        Verdict::Pass => xdp_action::XDP_PASS,
    }
}

#[inline(always)]
fn count(counter: &mut Counter, bytes: u64) {
    counter.packets += 1;
    counter.bytes += bytes;
}
