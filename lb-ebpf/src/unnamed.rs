//! Servers that advertise themselves wrongly: what should name a backend and does not is kept with its text, so that
//! `siplb doctor` can say which server to mend.
//!
//! The map takes no more when it is full, so that a flood of invented names costs no more than its packets; who was shown it
//! empties it.

use crate::{
    maps::UNNAMED,
    notes::Notes,
    packet::{Packet, Payload, opaque},
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    layout::{Unnamed, UnnamedKey},
    reason::Reason,
    sip::Message,
};

/// Takes a note where nobody was named.
#[inline(always)]
pub(crate) fn note(packet: Packet, reason: u8) {
    if reason == Reason::ResponseUnnamed as u8 || reason == Reason::DialogUnnamed as u8 {
        note_unnamed(packet.ctx);
    }
}

/// A function of its own, since few packets come by here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn note_unnamed(ctx: *mut xdp_md) -> u64 {
    // Asked for, and not handed over: to kernels before 6.2, what a global function is handed is plain memory, and they take
    // none as a map's key or value.
    let Some(notes) = Notes::of_this_cpu() else { return 0 };
    let packet = Packet { ctx };
    let (source, at, end) = notes.decided.unnamed();
    let (at, end) = (opaque(at), opaque(end));
    // A trailing dot is no part of the name.
    let has_dot = end > at && packet.read::<u8>(notes.datagram.payload() + end - 1) == Some(b'.');
    let end = if has_dot { end - 1 } else { end };
    let payload = Payload::new(packet, notes.datagram.payload(), notes.length, notes.length, notes.zero);
    let key =
        UnnamedKey { host: payload.text_hash(at, end, 0), vip: notes.vip as u32, source: source as u32 };
    if let Some(known) = UNNAMED.get_ptr_mut(key) {
        // SAFETY: the entry stays as long as the program runs; two CPUs may lose a count to each other.
        let known = unsafe { &mut *known };
        known.packets += 1;
        known.from = notes.datagram.source;
        return 0;
    }
    let length = if end - at > 64 { 64 } else { end - at };
    let offset = notes.datagram.payload() + at;
    let entry = &mut notes.unnamed;
    (entry.packets, entry.from, entry.length) = (1, notes.datagram.source, end - at);
    entry.text = [0; 64];
    if length == 0 || packet.copy(offset, length, &mut entry.text) {
        // By reference: the stack has no room for a copy.
        let entry: &Unnamed = entry;
        let _ = UNNAMED.insert(key, entry, 0);
    }
    0
}
