//! `account -> verdict`: the one exit. Every packet is counted here under its reason.

use crate::{
    maps::{BACKEND_COUNTERS, COUNTERS},
    trace::trace,
};
use aya_ebpf::bindings::xdp_action;
use lb_common::{
    layout::Counter,
    reason::{REASON_NUMBERS, Reason, Verdict},
};

/// What became of a packet.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    /// Number of a [`Reason`].
    pub(crate) reason: u8,
    /// Number of the VIP it came to, or left as; 0 is none.
    pub(crate) vip: u32,
    /// Id of the backend it goes to, or came from; 0 is none.
    pub(crate) backend: u32,
    /// What to return when the verdict is to forward.
    pub(crate) action: u32,
}

impl Outcome {
    /// Nothing known but the reason.
    #[inline(always)]
    pub(crate) fn new(reason: u8) -> Self {
        Self { reason, vip: 0, backend: 0, action: xdp_action::XDP_PASS }
    }
}

/// Counts a packet and turns its outcome into the XDP return code.
#[inline(always)]
pub(crate) fn account(bytes: u64, outcome: Outcome) -> u32 {
    let Outcome { reason, vip, backend, action } = outcome;
    if let Some(counter) = COUNTERS.get_ptr_mut(vip * REASON_NUMBERS as u32 + reason as u32) {
        // SAFETY: the entry belongs to this CPU, and programs on one CPU do not interrupt each other.
        count(unsafe { &mut *counter }, bytes);
    }
    trace(|trace| (trace.reason, trace.vip, trace.backend) = (reason, vip, backend));
    match Verdict::of(reason) {
        Verdict::Drop => xdp_action::XDP_DROP,
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Forward => {
            if let Some(counter) = BACKEND_COUNTERS.get_ptr_mut(backend) {
                // SAFETY: as above.
                let counter = unsafe { &mut *counter };
                let is_reply = reason == Reason::Replied as u8;
                count(if is_reply { &mut counter.replies } else { &mut counter.requests }, bytes);
            }
            action
        }
    }
}

#[inline(always)]
fn count(counter: &mut Counter, bytes: u64) {
    counter.packets += 1;
    counter.bytes += bytes;
}
