//! `cargo xtask bench datapath`: nanoseconds a packet pays, by the kernel's own clock (`BPF_PROG_TEST_RUN`).
//!
//! Every case runs in every round, one after the other, so that a noisy moment hits all alike; what is compared is compared
//! within each round, and the median over the rounds counts. One packet is repeated: caches are hot and branches predicted.
//! It runs on one CPU, in a network namespace of its own, which ends with the process.

mod cases;
mod lab;
mod report;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use lb_user::datapath::{Code, Explainer};
use siplb_figures::{Arguments, progress};

use cases::{Case, Program};

/// Rounds, and packets a case is given in each.
const ROUNDS: usize = 31;
const PACKETS: u32 = 100_000;

fn main() -> Result<()> {
    let arguments = Arguments::of_process();
    let rounds = arguments.rounds_or(ROUNDS);
    ensure!(nix::unistd::Uid::effective().is_root(), "the benchmark loads BPF programs: run it as root");
    let lab = lab::enter()?;
    let image = cases::image(&lab);
    let sizes = cases::SIZES;
    let mut programs = BTreeMap::new();
    for program in Program::ALL {
        let object = lab::object(program.object())?;
        let code = Code { object: object.bytes(), program: program.entry() };
        let mut instance = Explainer::untraced(code, &sizes, &image)?;
        let verified = instance.verified_instructions()?;
        programs.insert(program, (instance, verified));
    }
    let cases = cases::all();
    let mut samples = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..rounds {
        for (case, samples) in cases.iter().zip(&mut samples) {
            samples.push(f64::from(run(case, &mut programs, lab.interface)?));
        }
        progress("datapath", round + 1, rounds, "every case");
    }
    let verified = programs.iter().map(|(program, (_, verified))| (*program, *verified)).collect();
    Ok(arguments.deliver(&report::of(&cases, &samples, &verified, PACKETS)?)?)
}

/// Nanoseconds a packet of the case, after a check that it takes the way that it is meant to.
fn run(case: &Case, programs: &mut BTreeMap<Program, (Explainer, u32)>, interface: u32) -> Result<u32> {
    let (instance, _) = programs.get_mut(&case.program).context("every program is loaded")?;
    let result = instance.repeat(&case.frame, Some(interface), PACKETS)?;
    ensure!(
        result.action == case.action && case.program.leaves_alone(&case.frame, &result.frame),
        "{}: the program answered {}, not {}",
        case.name,
        result.action,
        case.action
    );
    Ok(result.duration_ns)
}
