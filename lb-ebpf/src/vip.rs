//! `vip -> sip -> key -> slot -> group -> backend -> rewrite`: a packet to a VIP.

use crate::{
    account::Outcome,
    deliver::{
        nat::{self, End},
        next_hop,
    },
    frame::{Datagram, Family},
    maps::{BACKENDS, GROUPS, TABLES},
    packet::{Packet, Payload},
    state::State,
};
use lb_common::{
    decide::{Decision, Source},
    layout::{Backend, Rules, Vip},
    limits::SCAN_LIMIT,
    reason::{Reason, Verdict},
    slot::{SLOTS, slot},
};

/// Lets `judge` decide about a packet to a VIP, and sends it to the backend that owns its key.
#[inline(always)]
pub(crate) fn to_vip(
    packet: Packet,
    state: &State,
    datagram: &Datagram,
    vip: &Vip,
    judge: impl FnOnce(Payload, &Rules, &Source) -> Decision,
) -> Outcome {
    let mut outcome = Outcome::new(Reason::Foreign as u8);
    outcome.trace.vip = vip.id;
    outcome.trace.generation = state.generation;
    outcome.trace.payload = datagram.payload() as u16;
    outcome.reason = match forward(packet, state, datagram, vip, judge, &mut outcome) {
        Ok(reason) | Err(reason) => reason,
    };
    outcome
}

#[inline(always)]
fn forward(
    packet: Packet,
    state: &State,
    datagram: &Datagram,
    vip: &Vip,
    judge: impl FnOnce(Payload, &Rules, &Source) -> Decision,
    outcome: &mut Outcome,
) -> Result<u8, u8> {
    if datagram.family == Family::V6 {
        return Err(Reason::Ipv6 as u8);
    }
    if datagram.is_fragment {
        return Err(Reason::Fragment as u8);
    }
    let length = readable(packet, datagram)?;
    let payload = Payload::new(packet, datagram.payload(), length, state.zero);
    let source = Source { address: datagram.source, port: datagram.source_port };
    let decision = judge(payload, &vip.rules, &source);
    let reason = state.hide(decision.reason as u64) as u8;
    note(state, outcome, &decision);
    if !matches!(Verdict::of(reason), Verdict::Forward) {
        return Err(reason);
    }
    let backend = owner(state, vip, outcome)?;
    let rewritten = (&backend.address, backend.port);
    nat::rewrite(packet, &datagram.layers, End::Destination, (&vip.sums, &backend.sums), rewritten)?;
    outcome.action = match state.next_hop(backend.next_hop) {
        Some(hop) => next_hop::send(packet, datagram, hop)?,
        None => next_hop::route(packet, datagram)?,
    };
    Ok(reason)
}

/// How many bytes of the payload can be read: what the UDP header announces, as far as it lies in the frame.
#[inline(always)]
fn readable(packet: Packet, datagram: &Datagram) -> Result<u64, u8> {
    let announced = datagram.announced.ok_or(Reason::Truncated as u8)?;
    let there = packet.linear_bytes() - datagram.payload();
    if announced > there && !packet.has_fragments() {
        return Err(Reason::Truncated as u8);
    }
    let length = if announced < there { announced } else { there };
    Ok(if length > SCAN_LIMIT { SCAN_LIMIT } else { length })
}

/// `key -> slot -> group -> backend`.
#[inline(always)]
fn owner(state: &State, vip: &Vip, outcome: &mut Outcome) -> Result<&'static Backend, u8> {
    let slot = slot(outcome.trace.hash) as usize;
    outcome.trace.slot = slot as u32;
    let table = state.entry(&TABLES, state.meta.tables, vip.table).ok_or(Reason::NoTable as u8)?;
    if slot >= SLOTS {
        return Err(Reason::NoTable as u8);
    }
    let group = table.groups[slot] as u32;
    outcome.trace.group = group;
    let active = state.entry(&GROUPS, state.meta.groups, group).ok_or(Reason::NoTable as u8)?.active;
    outcome.trace.backend = active;
    state.entry(&BACKENDS, state.meta.backends, active).ok_or(Reason::GroupDown as u8)
}

/// Keeps the key, and what `explain` wants to know. Hidden, the many ways to a decision look the same to the verifier.
#[inline(always)]
fn note(state: &State, outcome: &mut Outcome, decision: &Decision) {
    let trace = &mut outcome.trace;
    trace.hash = state.hide(decision.key.hash);
    trace.source = state.hide(decision.key.source as u64) as u8;
    trace.key_at = state.hide(decision.key.at) as u16;
    trace.key_end = state.hide(decision.key.end) as u16;
    trace.method_at = decision.start.method() as u16;
    trace.method_end = decision.start.method_end() as u16;
}
