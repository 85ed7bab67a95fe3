//! What each CPU had left: a thread on each that runs when nobody else wants to, and notes when it was kept from running.
//!
//! `/proc/stat` is sampled at each clock tick on kernels without `CONFIG_IRQ_TIME_ACCOUNTING`, and the scheduler's own
//! figures charge an interrupt to whomever it interrupted. This thread reads the clock over and over. Two readings that are
//! further apart than a reading takes were parted by somebody else's work: a process, an interrupt, a softirq, or the
//! hypervisor. Invariant: whatever takes longer than [`GAP_NS`] is counted, whoever did it, and counted once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

/// A gap this long between two readings is somebody else's work: a reading takes some 20 ns, and the cheapest interrupt more
/// than ten times that.
const GAP_NS: u64 = 200;

/// The threads; dropped, they end.
#[derive(Debug)]
pub struct Idle {
    stop: Arc<AtomicBool>,
    used_ns: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<()>>,
}

/// What was used of each CPU since the threads began, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used(Vec<u64>);

impl Used {
    /// Of every CPU since `earlier`.
    pub fn since(&self, earlier: &Self) -> Vec<u64> {
        self.0.iter().zip(&earlier.0).map(|(now, then)| now.saturating_sub(*then)).collect()
    }
}

impl Idle {
    /// Starts a thread on each of the first `cpus` CPUs.
    ///
    /// # Errors
    /// When a thread can't be bound to its CPU, or not be made the last to run.
    pub fn watch(cpus: usize) -> Result<Self> {
        let mut idle = Self { stop: Arc::default(), used_ns: Vec::new(), threads: Vec::new() };
        for cpu in 0..cpus {
            let used = Arc::<AtomicU64>::default();
            let (stop, count) = (Arc::clone(&idle.stop), Arc::clone(&used));
            let (tell, told) = std::sync::mpsc::channel();
            let thread = thread::spawn(move || {
                let is_last = bind(cpu).and_then(|()| be_last());
                let goes_on = is_last.is_ok();
                // Whoever waits for it is there, or else has given up all threads.
                let _ = tell.send(is_last);
                if goes_on {
                    note_gaps(&stop, &count);
                }
            });
            idle.threads.push(thread);
            idle.used_ns.push(used);
            told.recv().context("a thread for an idle CPU died")??;
        }
        Ok(idle)
    }

    /// What was used until now. A CPU that is busy this very moment is counted when it has time again.
    pub fn used(&self) -> Used {
        Used(self.used_ns.iter().map(|used| used.load(Ordering::Relaxed)).collect())
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic has told its reason already.
            let _ = thread.join();
        }
    }
}

fn note_gaps(stop: &AtomicBool, used_ns: &AtomicU64) {
    let begun = Instant::now();
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        let now = begun.elapsed().as_nanos() as u64;
        if now - last > GAP_NS {
            used_ns.fetch_add(now - last, Ordering::Relaxed);
        }
        last = now;
    }
}

/// Binds the calling thread to a CPU.
///
/// # Errors
/// When there is no such CPU, or this process may not run there.
pub fn bind(cpu: usize) -> Result<()> {
    bind_thread(Pid::from_raw(0), cpu)
}

/// Binds a thread or a process without threads to a CPU.
///
/// # Errors
/// As [`bind`], or when it is gone.
pub fn bind_thread(thread: Pid, cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(thread, &set).with_context(|| format!("cannot bind {thread} to CPU {cpu}"))
}

/// Lets a thread run before all ordinary ones: what the rest of the machine does is not to decide how fast it is.
///
/// # Errors
/// When it is gone, or this process may not.
pub fn put_first(thread: Pid) -> Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter outlives the call, which changes this one thread's scheduling.
    let is_first =
        unsafe { libc::sched_setscheduler(thread.as_raw(), libc::SCHED_FIFO, &raw const lowest) } == 0;
    ensure!(is_first, "cannot let {thread} run as SCHED_FIFO: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Lets the calling thread run only when its CPU has nothing else to do, and makes its time show as nice in `/proc/stat`.
fn be_last() -> Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter outlives the call, which changes this thread's own scheduling alone.
    let is_idle = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) } == 0;
    // SAFETY: numbers alone are passed; on Linux it is the calling thread's own nice value.
    let is_nice = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) } == 0;
    ensure!(is_idle && is_nice, "cannot run as SCHED_IDLE: {}", std::io::Error::last_os_error());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_on_a_cpu_is_seen_there() {
        let idle = Idle::watch(1).unwrap();
        thread::sleep(Duration::from_millis(50));
        let before = idle.used();
        let busy = Duration::from_millis(100);
        thread::spawn(move || {
            bind(0).unwrap();
            let begun = Instant::now();
            while begun.elapsed() < busy {}
        })
        .join()
        .unwrap();
        // Where others keep the CPU busy, the thread that notes the gap has to wait for them.
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut used = 0;
        while used < 90_000_000 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
            used = idle.used().since(&before)[0];
        }
        assert!(used >= 90_000_000, "{used} ns of a hundred milliseconds' work");
    }
}
