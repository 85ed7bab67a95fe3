//! Waiting until no packet reads the old half any more.
//!
//! XDP programs run inside an RCU read-side critical section, and `membarrier(MEMBARRIER_CMD_GLOBAL)` returns after a
//! grace period (membarrier(2); kernel/sched/membarrier.c calls `synchronize_rcu`). That takes some 10 ms, so it runs beside
//! the daemon: the next publish waits for it, this one does not.

use std::{io, thread::JoinHandle};

use super::error::{DatapathError, Doing};

const MEMBARRIER_CMD_QUERY: libc::c_int = 0;
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;

/// Does the kernel let us wait? It does not with `nohz_full`.
///
/// # Errors
/// When the kernel has no membarrier(2), or a filter of system calls forbids it.
pub fn can_wait() -> io::Result<bool> {
    // SAFETY: the call takes numbers only.
    let commands = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) };
    if commands < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(commands & libc::c_long::from(MEMBARRIER_CMD_GLOBAL) != 0)
}

/// A grace period that has begun.
pub(super) struct Grace(JoinHandle<io::Result<()>>);

impl Grace {
    /// Begins one now.
    pub(super) fn begin() -> Self {
        Self(std::thread::spawn(wait))
    }

    /// Returns when it is over.
    pub(super) fn wait(self) -> Result<(), DatapathError> {
        const WHAT: &str =
            "wait until packets have let go of the old tables (membarrier; not available with nohz_full)";
        self.0.join().map_err(|_| "the waiting thread died").doing(WHAT)?.doing(WHAT)
    }
}

fn wait() -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
