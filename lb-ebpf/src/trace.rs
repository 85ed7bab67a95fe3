//! What `explain` is told. The live program says nothing: user space sets [`TRACE_ON`] in the instances that it loads for
//! `explain`, and from the others the verifier removes all that depends on it.

use crate::maps::TRACE;
use lb_common::layout::Trace;

/// Is this an instance for `explain`?
#[unsafe(no_mangle)]
static TRACE_ON: u32 = 0;

/// Is this an instance that reads the state of the live program, and must leave no traces in it?
#[unsafe(no_mangle)]
static OBSERVER: u32 = 0;

/// May the instance write what the next packet will be judged by?
#[inline(always)]
pub(crate) fn may_record() -> bool {
    // SAFETY: as below.
    unsafe { core::ptr::read_volatile(&OBSERVER) == 0 }
}

/// Lets `write` say something about the packet, if anybody listens.
#[inline(always)]
pub(crate) fn trace(write: impl FnOnce(&mut Trace)) {
    // SAFETY: a plain read of a constant, volatile since the loader and not the compiler sets it.
    if unsafe { core::ptr::read_volatile(&TRACE_ON) } != 0
        && let Some(entry) = TRACE.get_ptr_mut(0)
    {
        // SAFETY: one packet at a time is explained.
        write(unsafe { &mut *entry });
    }
}
