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
    pub(crate) const fn new(reason: u8) -> Self {
        Self { reason, vip: 0, backend: 0, action: xdp_action::XDP_PASS }
    }
}

impl Outcome {
    /// In one number, as a global function can return it.
    #[inline(always)]
    pub(crate) fn pack(self) -> u64 {
        self.reason as u64
            | (self.action as u64 & 0xff) << 8
            | (self.vip as u64 & 0xffff) << 16
            | (self.backend as u64) << 32
    }

    /// From that number.
    #[inline(always)]
    pub(crate) fn unpack(packed: u64) -> Self {
        Self {
            reason: packed as u8,
            action: (packed >> 8) as u32 & 0xff,
            vip: (packed >> 16) as u32 & 0xffff,
            backend: (packed >> 32) as u32,
        }
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
        // The frame is not what came any more, but the ICMP message that says so.
        Verdict::Drop if reason == Reason::TooBig as u8 => xdp_action::XDP_TX,
        Verdict::Drop => xdp_action::XDP_DROP,
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Forward => {
            if let Some(counter) = BACKEND_COUNTERS.get_ptr_mut(backend) {
                // SAFETY: as above.
                let counter = unsafe { &mut *counter };
                let is_reply = reason == Reason::Replied as u8 || reason == Reason::FragmentReplied as u8;
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
