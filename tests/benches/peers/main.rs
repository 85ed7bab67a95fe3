//! `cargo xtask bench peers`: the same numbered SIP messages through siplb and through what users would put in its place, in
//! the same network of namespaces: CPU time a request, latency, and the highest rate without loss.
//!
//! [`contender`] is who is measured, [`stand`] what each stands in, [`measure`] how, [`report`] what is said of it. All
//! contenders stand at the same time, each in a lab of its own, and have their turns in every round.

mod contender;
mod measure;
mod report;
mod responder;
mod stand;
mod text;

use anyhow::{Context as _, Result, ensure};
use siplb_figures::{Arguments, progress};
use siplb_load::Programs;

use contender::Contender;
use measure::{Cost, Highest, Steady, Told};
use stand::Stand;

/// Where frames are made.
const GENERATOR_CPU: usize = 0;
/// Where the contenders' processes run, and the thread that polls for them when the highest rate is looked for.
const CONTENDER_CPU: usize = 1;
const ROUNDS: usize = 5;
/// Requests that all of them carry, one by one.
const SLOW: Steady = Steady { per_second: 10_000.0, burst: 1 };
/// Requests that those in the kernel carry.
const FAST: Steady = Steady { per_second: 200_000.0, burst: 16 };

/// What was measured of a contender, round by round.
struct Measured {
    contender: Contender,
    slow: Vec<Cost>,
    fast: Vec<Cost>,
    highest: Vec<Highest>,
    told: Option<Told>,
}

fn main() -> Result<()> {
    let arguments = Arguments::of_process();
    let rounds = arguments.rounds_or(ROUNDS);
    ensure!(
        nix::unistd::Uid::effective().is_root(),
        "the benchmark makes network namespaces: run it as root"
    );
    let cpus = std::thread::available_parallelism()?.get();
    ensure!(cpus > CONTENDER_CPU, "generator and contender need a CPU each, and there is {cpus}");
    siplb_lab::interrupt::install()?;
    let (all, generator) = run(rounds)?;
    let report = report::of(&all, generator, rounds);
    arguments.deliver(&report)?;
    Ok(())
}

/// All contenders' measurements, and how many frames a second the generator makes.
fn run(rounds: usize) -> Result<(Vec<Measured>, f64)> {
    let binary = siplb_tests::daemon::binary()?;
    let mut programs = Programs::load(&siplb_load::programs::objects())?;
    let steps = Contender::ALL.len() * (rounds + 1);
    let mut stands = Vec::new();
    let mut all = Vec::new();
    for contender in Contender::ALL {
        progress("peers", stands.len(), steps, &format!("setting up: {}", contender.name()));
        stands.push(Stand::set(contender, &mut programs, &binary)?);
        all.push(Measured { contender, slow: vec![], fast: vec![], highest: vec![], told: None });
    }
    for round in 0..rounds {
        for (place, (stand, measured)) in stands.iter_mut().zip(&mut all).enumerate() {
            let done = (round + 1) * Contender::ALL.len() + place;
            progress(
                "peers",
                done,
                steps,
                &format!("round {} of {rounds}: {}", round + 1, stand.contender.name()),
            );
            measure_one(stand, &mut programs, measured)
                .with_context(|| format!("cannot measure {}", stand.contender.name()))?;
        }
    }
    let generator = measure::generator(&mut stands[0], &mut programs)?;
    progress("peers", steps, steps, "done");
    Ok((all, generator))
}

/// One contender's turn in a round.
fn measure_one(stand: &mut Stand, programs: &mut Programs, measured: &mut Measured) -> Result<()> {
    measured.slow.push(measure::steady(stand, programs, SLOW)?);
    if measured.slow.len() == 1 {
        stand.ensure_owners(programs)?;
    }
    if stand.contender.is_in_kernel() {
        measured.fast.push(measure::steady(stand, programs, FAST)?);
    } else if measured.told.is_none() {
        measured.told = Some(measure::check(stand, programs, SLOW)?);
    }
    // Where the last round ended, less what noise can be.
    let first = measured.highest.last().map_or(20_000.0, |last| (last.per_second / 1.5).max(5_000.0));
    measured.highest.push(measure::highest(stand, programs, first)?);
    Ok(())
}
