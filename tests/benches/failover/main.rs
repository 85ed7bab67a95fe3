//! `cargo xtask bench failover`: from a fault to the last request that went wrong by it, as a distribution.
//!
//! The real siplb, with its times as they are by default, in front of servers in network namespaces that do nothing but
//! answer; a client sends numbered requests at a steady rate. Kinds of faults have labs of their own, which run at one time:
//! nearly all of it is waiting.

mod faults;
mod node;
mod report;
mod stage;
mod traffic;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rand::{SeedableRng as _, rngs::StdRng};
use siplb_figures::{Arguments, progress};
use siplb_lab::interrupt;

use faults::{Fault, Kind, PLANS, Plan};
use node::Nodes;
use report::Outages;
use stage::Stage;

const BENCH: &str = "failover";
/// The first argument of this program as a server.
pub(crate) const SERVE: &str = "serve";
const RUNS: usize = 30;
/// Of the times at which faults come.
const SEED: u64 = 0x5eed;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == SERVE) {
        return traffic::serve_for_ever(&words[1..]);
    }
    let arguments = Arguments::of_process();
    let runs = arguments.rounds_or(RUNS);
    ensure!(
        nix::unistd::Uid::effective().is_root(),
        "the benchmark makes network namespaces: run it as root"
    );
    interrupt::install()?;
    let course = Course {
        runs,
        all: runs * (1 + PLANS.iter().map(|plan| plan.faults.len()).sum::<usize>()),
        binary: siplb_tests::daemon::binary()?.canonicalize()?,
        done: AtomicUsize::new(0),
        has_failed: AtomicBool::new(false),
    };
    let outages = thread::scope(|scope| {
        let course = &course;
        let mut threads: Vec<_> =
            PLANS.iter().map(|plan| scope.spawn(|| course.watched(|| servers_fail(plan, course)))).collect();
        threads.push(scope.spawn(|| course.watched(|| nodes_die(course))));
        let mut outages = Outages::new();
        for thread in threads {
            outages.extend(thread.join().map_err(|_| anyhow!("a lab panicked"))??);
        }
        Ok::<_, anyhow::Error>(outages)
    })?;
    Ok(arguments.deliver(&report::of(runs, &outages))?)
}

/// What all labs share.
struct Course {
    /// Of each kind.
    runs: usize,
    all: usize,
    binary: PathBuf,
    done: AtomicUsize,
    /// One lab has failed: the others need not go on.
    has_failed: AtomicBool,
}

impl Course {
    /// Does the work of a lab, and lets the others end when it fails.
    fn watched(&self, work: impl FnOnce() -> Result<Outages>) -> Result<Outages> {
        work().inspect_err(|_| self.has_failed.store(true, Ordering::Relaxed))
    }

    fn goes_on(&self) -> bool {
        !self.has_failed.load(Ordering::Relaxed)
    }

    fn tell(&self, kind: Kind) {
        progress(BENCH, self.done.fetch_add(1, Ordering::Relaxed) + 1, self.all, &kind.name());
    }
}

/// All runs of a lab with one node: the kinds by turns.
fn servers_fail(plan: &Plan, course: &Course) -> Result<Outages> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut outages = Outages::new();
    let mut stage = Stage::set(plan.lab, plan.has_standbys, course.binary.clone())?;
    for _ in 0..course.runs {
        for fault in plan.faults {
            if !course.goes_on() {
                return Ok(outages);
            }
            let kind = Kind { fault: *fault, has_standby: plan.has_standbys };
            let outage = stage.run(*fault, &mut random).with_context(|| kind.name())?;
            outages.entry(kind).or_default().push(outage);
            course.tell(kind);
        }
    }
    Ok(outages)
}

/// All runs of the lab with two nodes.
fn nodes_die(course: &Course) -> Result<Outages> {
    let kind = Kind { fault: Fault::Node, has_standby: false };
    let mut random = StdRng::seed_from_u64(SEED);
    let mut nodes = Nodes::set(&course.binary)?;
    let mut outages = Vec::new();
    while outages.len() < course.runs && course.goes_on() {
        outages.push(nodes.run(&mut random).with_context(|| kind.name())?);
        course.tell(kind);
    }
    Ok([(kind, outages)].into())
}
