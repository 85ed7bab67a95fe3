//! `vip -> sip -> key -> slot -> group -> backend -> rewrite`: a packet to a VIP.

use crate::{
    account::Outcome,
    change,
    deliver::{self, End, Rewrite},
    fragments,
    frame::{CONTRADICTORY, Part},
    maps::{BACKENDS, GROUPS, TABLES},
    notes::Notes,
    packet::{Packet, opaque},
    state::State,
    trace::trace,
    unnamed,
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    layout::{Group, Vip},
    limits::{MESSAGE_MIN, SCAN_LIMIT},
    reason::{Reason, Verdict},
    slot::slot,
};

/// Lets `judge` decide about a packet to a VIP, and sends it to the backend that is named, or that owns its key.
#[inline(always)]
pub(crate) fn to_vip(
    packet: Packet,
    state: &State,
    notes: &mut Notes,
    vip: &Vip,
    judge: impl Fn(Packet, &mut Notes, &Vip),
) -> Outcome {
    trace(|trace| (trace.generation, trace.payload) = (state.generation, notes.datagram.payload() as u16));
    match readable(packet, notes) {
        Ok(length) => notes.length = length,
        Err(reason) => {
            fragments::forget(notes);
            return Outcome { vip: vip.id, ..Outcome::new(reason) };
        }
    }
    notes.vip = vip.id as u64;
    judge(packet, notes, vip);
    change::settle(packet, notes, vip);
    Outcome::unpack(vip_forward(packet.ctx, notes, vip))
}

/// From a decision to a packet that is on its way. A function of its own, so that the rules have the stack to themselves.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn vip_forward(ctx: *mut xdp_md, notes: *mut Notes, vip: *const Vip) -> u64 {
    // SAFETY: callers hand over an entry of the live half.
    let (Some(notes), Some(vip)) = (Notes::handed(notes), unsafe { vip.as_ref() }) else { return 0 };
    let Some(state) = State::of(notes) else { return 0 };
    let mut outcome = Outcome { vip: vip.id, ..Outcome::new(Reason::Foreign as u8) };
    outcome.reason = match forward(Packet { ctx }, &state, notes, vip, &mut outcome) {
        Ok(reason) => reason,
        Err(reason) => {
            fragments::forget(notes);
            reason
        }
    };
    outcome.pack()
}

#[inline(always)]
fn forward(
    packet: Packet,
    state: &State,
    notes: &mut Notes,
    vip: &Vip,
    outcome: &mut Outcome,
) -> Result<u8, u8> {
    trace(|trace| notes.decided.tell(trace));
    let reason = notes.decided.reason as u8;
    unnamed::note(packet, reason);
    if !matches!(Verdict::of(reason), Verdict::Forward) {
        return Err(reason);
    }
    let known = notes.decided.backend as u32;
    let active = if known != 0 { known } else { owner(state, vip, slot(notes.decided.hash))? };
    outcome.backend = active;
    let backend = state.entry(&BACKENDS, state.meta.backends, active).ok_or(Reason::GroupDown as u8)?;
    // What came to a backend's own port goes to that backend's own socket, so that the answer finds its way back.
    let port = if active == vip.own { backend.own_port } else { backend.port };
    let rewrite = Rewrite {
        end: End::Destination,
        old: vip.sums,
        address: &backend.address,
        new_address: backend.sums.address,
        port,
    };
    outcome.action = deliver::to_backend(packet, state, notes, backend, &rewrite)?;
    if !notes.datagram.is(Part::Whole) {
        fragments::remember_request(notes, active, backend);
    }
    Ok(reason)
}

/// How many bytes of the payload can be read: what the UDP header announces, as far as it lies in the frame.
#[inline(always)]
fn readable(packet: Packet, notes: &Notes) -> Result<u64, u8> {
    let datagram = &notes.datagram;
    if datagram.announced == CONTRADICTORY {
        return Err(Reason::Truncated as u8);
    }
    let linear = packet.linear_bytes() - datagram.payload();
    let mut length = datagram.announced;
    if datagram.is(Part::First) {
        length = if length < datagram.held { length } else { datagram.held };
        if length < MESSAGE_MIN {
            return Err(Reason::FragmentTiny as u8);
        }
    }
    if length > linear {
        if !packet.has_fragments() {
            return Err(Reason::Truncated as u8);
        }
        length = linear;
    }
    Ok(if length > SCAN_LIMIT { SCAN_LIMIT } else { length })
}

/// `slot -> group`: the id of the backend that serves the slot.
#[inline(always)]
fn owner(state: &State, vip: &Vip, slot: u32) -> Result<u32, u8> {
    let (id, group) = group(state, vip.table, slot).ok_or(Reason::NoTable as u8)?;
    trace(|trace| (trace.slot, trace.group) = (slot, id));
    if group.active == 0 { Err(Reason::GroupDown as u8) } else { Ok(group.active) }
}

/// The group of a slot in a lookup table, and its id.
#[inline(always)]
pub(crate) fn group(state: &State, table: u32, slot: u32) -> Option<(u32, &'static Group)> {
    let table = state.entry(&TABLES, state.meta.tables, table)?;
    // The compiler knows that a slot is in bounds, the verifier wants to see it compared.
    let id = *table.groups.get(opaque(slot as u64) as u32 as usize)? as u32;
    Some((id, state.entry(&GROUPS, state.meta.groups, id)?))
}
