//! What one stage leaves for the next: one entry for each CPU, of the packet under way.
//!
//! It is not on the stack, which has 512 bytes for all functions under way. And the verifier forgets what it knew of a
//! number that was written here: the many ways by which a packet comes to a stage look the same behind it.

use crate::{
    frame::Datagram,
    maps::NOTES,
    packet::{Packet, Payload},
};
use lb_common::{
    decide::{Decision, Found, Known, Source},
    layout::{Trace, Unnamed},
    sip::start_line::StartLine,
};

/// The notes about one packet.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Notes {
    /// Written by [`crate::frame`].
    pub(crate) datagram: Datagram,
    /// What the rules know until they decide.
    pub(crate) known: Known,
    /// Written by the rules.
    pub(crate) decided: Decided,
    /// Number of the VIP that the packet came to.
    pub(crate) vip: u64,
    /// The generation that was read.
    pub(crate) generation: u64,
    /// Bytes of the message that can be read.
    pub(crate) length: u64,
    /// Zero, which the verifier can't know.
    pub(crate) zero: u64,
    /// Offset of the ICMP header, while that of the UDP header is the quoted one's.
    pub(crate) quoted: u64,
    /// Room for [`crate::unnamed`].
    pub(crate) unnamed: Unnamed,
}

/// A [`Decision`] in numbers.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Decided {
    /// Hash of the key; 0 is none.
    pub(crate) hash: u64,
    /// Number of a reason.
    pub(crate) reason: u64,
    /// Id of the backend that was named, or that a [`crate::change`] found; 0 is none, and the owner of the key serves.
    pub(crate) backend: u64,
    /// Number of a key source.
    pub(crate) source: u64,
    at: u64,
    end: u64,
    start: u64,
    passed: u64,
    unnamed: u64,
}

impl Notes {
    /// Those of this CPU.
    #[inline(always)]
    pub(crate) fn of_this_cpu() -> Option<&'static mut Self> {
        // SAFETY: the entry is this CPU's, and programs on one CPU do not interrupt each other.
        NOTES.get_ptr_mut(0).map(|notes| unsafe { &mut *notes })
    }

    /// What a global function was handed: the verifier wants to see it compared.
    #[inline(always)]
    pub(crate) fn handed(notes: *mut Self) -> Option<&'static mut Self> {
        // SAFETY: callers hand over the entry of this CPU.
        unsafe { notes.as_mut() }
    }

    /// Where the packet came from.
    #[inline(always)]
    pub(crate) fn source(&self) -> Source {
        Source { address: self.datagram.source, port: self.datagram.source_port }
    }

    /// The message in the packet.
    #[inline(always)]
    pub(crate) fn message(&self, packet: Packet) -> Payload {
        let datagram = &self.datagram;
        Payload::new(packet, datagram.payload(), self.length, datagram.announced, self.zero)
    }

    /// Takes a decision down.
    #[inline(always)]
    pub(crate) fn decide(&mut self, decision: Decision) {
        self.decided = Decided {
            hash: decision.key.hash,
            reason: decision.reason as u64,
            backend: decision.named as u64,
            source: decision.key.source as u64,
            at: decision.key.at,
            end: decision.key.end,
            start: decision.start.0,
            passed: decision.passed.0 as u64,
            unnamed: decision.unnamed.0,
        };
    }
}

impl Decided {
    /// The text that should have named a backend: where it stands, and the offset behind it.
    #[inline(always)]
    pub(crate) fn unnamed(&self) -> (u64, u64, u64) {
        let found = Found(self.unnamed);
        let (at, end) = found.text();
        (found.source() as u64, at, end)
    }

    /// The kind of the message, and where its method lies.
    #[inline(always)]
    pub(crate) fn start(&self) -> StartLine {
        StartLine(self.start)
    }

    /// Tells `explain` what was decided.
    #[inline(always)]
    pub(crate) fn tell(&self, trace: &mut Trace) {
        let start = self.start();
        trace.hash = self.hash;
        trace.source = self.source as u8;
        trace.passed = self.passed as u32;
        (trace.key_at, trace.key_end) = (self.at as u16, self.end as u16);
        (trace.method_at, trace.method_end) = (start.method() as u16, start.method_end() as u16);
    }
}
