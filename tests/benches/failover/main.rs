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
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rand::{SeedableRng as _, rngs::StdRng};
use siplb_figures::{Arguments, progress};
use siplb_lab::{interrupt, outage::Outage};

use faults::{Fault, Kind, PLANS, Plan};
use node::Nodes;
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
    let binary = binary()?;
    let done = AtomicUsize::new(0);
    let all = runs * (1 + PLANS.iter().map(|plan| plan.faults.len()).sum::<usize>());
    let told = |what: &str| progress(BENCH, done.fetch_add(1, Ordering::Relaxed) + 1, all, what);
    let outages = thread::scope(|scope| {
        let mut threads: Vec<_> =
            PLANS.iter().map(|plan| scope.spawn(|| carry_out(plan, runs, binary.clone(), &told))).collect();
        threads.push(scope.spawn(|| let_nodes_die(runs, &binary, &told)));
        let mut outages = BTreeMap::new();
        for thread in threads {
            outages.extend(thread.join().map_err(|_| anyhow!("a lab panicked"))??);
        }
        Ok::<_, anyhow::Error>(outages)
    })?;
    Ok(arguments.deliver(&report::of(runs, &outages))?)
}

/// All runs of one lab: the kinds by turns.
fn carry_out(
    plan: &Plan,
    runs: usize,
    binary: PathBuf,
    told: &(impl Fn(&str) + Sync),
) -> Result<BTreeMap<Kind, Vec<Outage>>> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut outages = BTreeMap::<Kind, Vec<Outage>>::new();
    let mut stage = Stage::set(plan.lab, plan.has_standbys, binary)?;
    for _ in 0..runs {
        for fault in plan.faults {
            let kind = Kind { fault: *fault, has_standby: plan.has_standbys };
            let outage = stage.run(*fault, &mut random).with_context(|| kind.name())?;
            outages.entry(kind).or_default().push(outage);
            told(&kind.name());
        }
    }
    Ok(outages)
}

/// All runs of the lab with two nodes.
fn let_nodes_die(
    runs: usize,
    binary: &Path,
    told: &(impl Fn(&str) + Sync),
) -> Result<BTreeMap<Kind, Vec<Outage>>> {
    let kind = Kind { fault: Fault::Node, has_standby: false };
    let mut random = StdRng::seed_from_u64(SEED);
    let mut nodes = Nodes::set(binary)?;
    let mut outages = Vec::new();
    for _ in 0..runs {
        outages.push(nodes.run(&mut random).with_context(|| kind.name())?);
        told(&kind.name());
    }
    Ok([(kind, outages)].into())
}

fn binary() -> Result<PathBuf> {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/siplb");
    ensure!(binary.is_file(), "there is no {}: run `cargo xtask build`", binary.display());
    Ok(binary.canonicalize()?)
}
