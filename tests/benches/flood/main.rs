//! `cargo xtask bench flood`: real calls through siplb to real servers, while what nobody wants comes as fast as it can be made.
//!
//! [`scene`] is what stands: a client, a node with siplb, two Kamailio registrars, sipp as callers and phones. [`kind`] is
//! what comes, [`measure`] what became of the calls and where siplb counted the rest, [`report`] what is said of it.

mod kind;
mod measure;
mod report;
mod scene;

use anyhow::{Context as _, Result, ensure};
use siplb_figures::{Arguments, progress};

use kind::Flood;
use measure::Outcome;
use scene::Scene;

/// Where the flood is made, and, as veth has it, where siplb's program meets it.
const FLOOD_CPU: usize = 0;
/// Everything else: siplb's daemon, the servers, sipp.
const OTHERS_CPU: usize = 1;
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let arguments = Arguments::of_process();
    let rounds = arguments.rounds_or(ROUNDS);
    ensure!(
        nix::unistd::Uid::effective().is_root(),
        "the benchmark makes network namespaces: run it as root"
    );
    let cpus = std::thread::available_parallelism()?.get();
    ensure!(cpus > OTHERS_CPU, "the flood and the servers need a CPU each, and there is {cpus}");
    siplb_lab::interrupt::install()?;
    let report = report::of(&run(rounds)?, rounds);
    arguments.deliver(&report)?;
    Ok(())
}

/// Outcomes by kind of flood, a list of rounds each.
fn run(rounds: usize) -> Result<Vec<(Flood, Vec<Outcome>)>> {
    // Whatever is started from here on inherits it.
    siplb_load::bind(OTHERS_CPU)?;
    let floods = Flood::all();
    let steps = floods.len() * rounds + 1;
    progress("flood", 0, steps, "starting two registrars, siplb and the phones");
    let mut scene = Scene::set()?;
    let mut all: Vec<(Flood, Vec<Outcome>)> = floods.into_iter().map(|flood| (flood, Vec::new())).collect();
    for round in 0..rounds {
        let count = all.len();
        for (place, (flood, outcomes)) in all.iter_mut().enumerate() {
            let what = format!("round {} of {rounds}: {}", round + 1, flood.name());
            progress("flood", round * count + place + 1, steps, &what);
            let outcome = measure::calls_during(&mut scene, *flood);
            outcomes.push(outcome.with_context(|| format!("cannot measure {}", flood.name()))?);
        }
    }
    progress("flood", steps, steps, "done");
    Ok(all)
}
