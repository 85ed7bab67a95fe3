//! `vip -> sip -> key -> slot -> group -> backend -> rewrite`: a packet to a VIP.

use crate::{
    account::Outcome,
    deliver::{
        nat::{self, End},
        next_hop,
    },
    frame::{Datagram, Family},
    maps::{BACKENDS, GROUPS, TABLES},
    packet::{Packet, Payload, opaque},
    state::State,
    trace::trace,
};
use lb_common::{
    decide::Decision,
    layout::{Backend, Rules, Vip},
    limits::SCAN_LIMIT,
    reason::{Reason, Verdict},
    slot::slot,
};

/// Lets `judge` decide about a packet to a VIP, and sends it to the backend that owns its key.
#[inline(always)]
pub(crate) fn to_vip(
    packet: Packet,
    state: &State,
    datagram: &Datagram,
    vip: &Vip,
    judge: impl Fn(Payload, &Rules, &Datagram) -> Decision,
) -> Outcome {
    let mut outcome = Outcome { vip: vip.id, ..Outcome::new(Reason::Foreign as u8) };
    trace(|trace| (trace.generation, trace.payload) = (state.generation, datagram.payload() as u16));
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
    judge: impl Fn(Payload, &Rules, &Datagram) -> Decision,
    outcome: &mut Outcome,
) -> Result<u8, u8> {
    if datagram.family == Family::V6 {
        return Err(Reason::Ipv6 as u8);
    }
    if datagram.is_fragment {
        return Err(Reason::Fragment as u8);
    }
    let announced = datagram.announced.ok_or(Reason::Truncated as u8)?;
    let length = readable(packet, datagram, announced)?;
    let payload = Payload::new(packet, datagram.payload(), length, announced, state.zero);
    let decision = judge(payload, &vip.rules, datagram);
    tell(&decision);
    // Hidden, the many ways to a decision look the same to the verifier.
    let reason = state.hide(decision.reason as u64) as u8;
    let hash = state.hide(decision.key.hash);
    if !matches!(Verdict::of(reason), Verdict::Forward) {
        return Err(reason);
    }
    let backend = owner(state, vip, slot(hash), outcome)?;
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
fn readable(packet: Packet, datagram: &Datagram, announced: u64) -> Result<u64, u8> {
    let there = packet.linear_bytes() - datagram.payload();
    if announced > there && !packet.has_fragments() {
        return Err(Reason::Truncated as u8);
    }
    let length = if announced < there { announced } else { there };
    Ok(if length > SCAN_LIMIT { SCAN_LIMIT } else { length })
}

/// `slot -> group -> backend`.
#[inline(always)]
fn owner(state: &State, vip: &Vip, slot: u32, outcome: &mut Outcome) -> Result<&'static Backend, u8> {
    let table = state.entry(&TABLES, state.meta.tables, vip.table).ok_or(Reason::NoTable as u8)?;
    // The compiler knows that a slot is in bounds, the verifier wants to see it compared.
    let slot = opaque(slot as u64) as u32;
    let group = *table.groups.get(slot as usize).ok_or(Reason::NoTable as u8)? as u32;
    let active = state.entry(&GROUPS, state.meta.groups, group).ok_or(Reason::NoTable as u8)?.active;
    trace(|trace| (trace.slot, trace.group) = (slot, group));
    outcome.backend = active;
    state.entry(&BACKENDS, state.meta.backends, active).ok_or(Reason::GroupDown as u8)
}

/// Tells `explain` what was decided.
#[inline(always)]
fn tell(decision: &Decision) {
    trace(|trace| {
        trace.hash = decision.key.hash;
        trace.source = decision.key.source as u8;
        (trace.key_at, trace.key_end) = (decision.key.at as u16, decision.key.end as u16);
        (trace.method_at, trace.method_end) =
            (decision.start.method() as u16, decision.start.method_end() as u16);
    });
}
