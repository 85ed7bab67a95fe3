//! `key -> backend` while a planned change of the pool is in progress: a transaction stays where it began.
//!
//! A change moves keys from one owner to another, and runs in two phases (docs/sip-behaviour.md). At first the owners from
//! before it serve, and what they are sent is recorded; then those from after it do, for all that is new. In both, a
//! transaction that is recorded goes where it went before, and one that is not is recorded where it goes. Called by
//! [`crate::vip`], behind the rules; when no change is in progress, a packet pays for one comparison.

use crate::{
    maps::{BACKENDS, CHANGES, TRANSACTIONS},
    notes::Notes,
    packet::Packet,
    state::State,
    trace::{may_record, trace},
    vip::group,
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    decide::{follows_invite, is_request, transaction_id},
    layout::{Course, Transaction, Vip},
    slot::slot,
};

/// Finds the backend of a request whose key moves, and leaves it in [`Decided::backend`](crate::notes::Decided::backend).
#[inline(always)]
pub(crate) fn settle(packet: Packet, notes: &mut Notes, vip: &Vip) {
    if vip.change != 0 {
        change_settle(packet.ctx, notes, vip);
    }
}

/// A function of its own: the rules have used the stack before it, and delivery will after it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn change_settle(ctx: *mut xdp_md, notes: *mut Notes, vip: *const Vip) -> u64 {
    // SAFETY: callers hand over an entry of the live half.
    let (Some(notes), Some(vip)) = (Notes::handed(notes), unsafe { vip.as_ref() }) else { return 0 };
    let Some(state) = State::of(notes) else { return 0 };
    let (key, start) = (notes.decided.hash, notes.decided.start());
    if notes.decided.backend != 0 || key == 0 || !is_request(start) {
        return 0;
    }
    let Some(owners) = Owners::of(&state, vip, slot(key)) else {
        trace(|trace| trace.course = Course::NotMoving as u8);
        return 0;
    };
    let message = notes.message(Packet { ctx });
    let id = transaction_id(message, start, key, vip.id);
    let (backend, course) = if id == 0 {
        (owners.now, Course::Unreadable)
    } else {
        course(&state, vip, &owners, id, follows_invite(message, start))
    };
    notes.decided.backend = backend as u64;
    count(vip.id, course);
    trace(|trace| {
        (trace.transaction, trace.course, trace.slot) = (id, course as u8, slot(key));
        trace.group = if backend == owners.now { owners.group } else { 0 };
    });
    0
}

/// Who serves a key that moves.
struct Owners {
    /// Now.
    now: u32,
    /// Its group.
    group: u32,
    /// In the other state of the change.
    other: u32,
}

impl Owners {
    /// `None` for a key that stays, or has nobody to move from or to.
    #[inline(always)]
    fn of(state: &State, vip: &Vip, slot: u32) -> Option<Self> {
        let (id, now) = group(state, vip.table, slot)?;
        let (_, other) = group(state, vip.other_table, slot)?;
        let (now, other) = (now.active, other.other);
        if now == 0 || other == 0 || now == other { None } else { Some(Self { now, group: id, other }) }
    }
}

/// Where a transaction goes, and why; records it if it is new.
#[inline(always)]
fn course(state: &State, vip: &Vip, owners: &Owners, id: u64, follows_invite: bool) -> (u32, Course) {
    // SAFETY: one number, which is read whole; entries of other changes, which may be removed meanwhile, are not looked at.
    let known = unsafe { TRANSACTIONS.get(id) }.copied().filter(|known| known.change() == vip.change);
    match known {
        Some(known) if is_up(state, known.backend()) => return (known.backend(), Course::Followed),
        // Its server is gone, and what follows it may as well be answered by the owner.
        Some(_) => {}
        None if follows_invite => {
            let before = if vip.is_switched != 0 { owners.other } else { owners.now };
            return (if is_up(state, before) { before } else { owners.now }, Course::Older);
        }
        None => {}
    }
    let is_recorded =
        !may_record() || TRANSACTIONS.insert(id, Transaction::new(owners.now, vip.change), 0).is_ok();
    (owners.now, if is_recorded { Course::Recorded } else { Course::Full })
}

#[inline(always)]
fn is_up(state: &State, backend: u32) -> bool {
    state.entry(&BACKENDS, state.meta.backends, backend).is_some_and(|backend| backend.is_up != 0)
}

/// Counts a request at its VIP.
#[inline(always)]
fn count(vip: u32, course: Course) {
    let Some(counter) = CHANGES.get_ptr_mut(vip) else { return };
    // SAFETY: the entry is this CPU's, and programs on one CPU do not interrupt each other.
    let counter = unsafe { &mut *counter };
    match course {
        Course::Recorded => counter.recorded += 1,
        Course::Followed => counter.followed += 1,
        Course::Older => counter.older += 1,
        Course::Unreadable => counter.unreadable += 1,
        Course::Full => counter.full += 1,
        Course::None | Course::NotMoving => {}
    }
}
