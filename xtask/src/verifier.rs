//! `verifier`: loads every eBPF program without attaching it, and prints what the kernel's verifier had to do for it.
//!
//! The verifier gives up at 1,000,000 instructions, and its count moves with every kernel and compiler: hence a budget far
//! below, and a snapshot of the counts of one kernel, which shows a change that makes the verifier work harder. One program
//! is there to be refused: a gate that lets it pass tests nothing.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{EbpfLoader, VerifierLogLevel, programs::Program, programs::ProgramError};

use crate::{
    build, process,
    setup::{self, Need},
};

/// The most instructions that the verifier may look at for one program.
const BUDGET: u32 = 200_000;

/// How far a count may be from the snapshot, in percent: compilers differ in their last digits.
const SLACK: u32 = 10;

/// Name of the program that must be refused.
const REFUSED: &str = "refused";

const INSTRUCTION_BYTES: u32 = 8;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the counts to lb-ebpf/verified.txt, for later runs to be compared with
    #[arg(long)]
    record: bool,
}

/// What the verifier had to do for one program.
#[derive(Debug, PartialEq)]
struct Count {
    program: String,
    verified: u32,
}

/// Builds and loads all programs.
pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(process::is_root(), "loading programs takes root: use `sudo -E cargo xtask verifier`");
    let toolchain = setup::ensure(Need::Toolchain)?;
    let mut counts = vec![];
    println!("{:36} {:>12} {:>12} {:>12}", "program", "verified", "translated", "jited bytes");
    for object in build::objects(&toolchain)? {
        counts.extend(load(&object)?);
    }
    let most = counts.iter().max_by_key(|count| count.verified).context("there is no program")?;
    ensure!(most.verified <= BUDGET, "{} is over the budget of {BUDGET} verified instructions", most.program);
    let snapshot = process::workspace().join("lb-ebpf/verified.txt");
    let kernel = kernel()?;
    if args.record {
        return Ok(fs::write(&snapshot, written(&kernel, &counts))?);
    }
    let recorded = fs::read_to_string(&snapshot).with_context(|| format!("read {}", snapshot.display()))?;
    match differences(&recorded, &kernel, &counts) {
        None => println!("the snapshot is of another kernel series than {kernel}: not compared"),
        Some(differences) => ensure!(
            differences.is_empty(),
            "{}\nif that is meant, record it: cargo xtask verifier --record",
            differences.join("\n")
        ),
    }
    Ok(())
}

/// Loads the programs of an object; the one that must be refused counts for nothing.
fn load(object: &PathBuf) -> Result<Vec<Count>> {
    let file = object.file_name().context("an object without a name")?.to_string_lossy();
    let mut ebpf = EbpfLoader::new()
        .verifier_log_level(VerifierLogLevel::STATS)
        .load_file(object)
        .with_context(|| format!("cannot load {}", object.display()))?;
    let mut counts = vec![];
    for (name, program) in ebpf.programs_mut() {
        let Program::Xdp(program) = program else { bail!("{file}: {name} is not an XDP program") };
        let is_to_be_refused = name == REFUSED;
        let name = format!("{file}: {name}");
        match program.load() {
            Err(ProgramError::LoadError { .. }) if is_to_be_refused => {
                println!("{name:36} {:>12}", "refused")
            }
            Ok(()) if is_to_be_refused => {
                bail!("the kernel takes {name}, which reads without a bound: its verifier checks nothing")
            }
            outcome => {
                outcome.with_context(|| format!("the verifier refuses {name}"))?;
                let info = program.info()?;
                let verified =
                    info.verified_instruction_count().context("this kernel, before 5.16, doesn't count")?;
                let translated = info.size_translated().unwrap_or(0) / INSTRUCTION_BYTES;
                println!("{name:36} {verified:12} {translated:12} {:12}", info.size_jitted());
                counts.push(Count { program: name, verified });
            }
        }
    }
    Ok(counts)
}

/// Major and minor number of the running kernel.
fn kernel() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("ask for the kernel's release")?;
    Ok(release.split('.').take(2).collect::<Vec<_>>().join("."))
}

fn written(kernel: &str, counts: &[Count]) -> String {
    let mut text = format!("{kernel} is the kernel; `cargo xtask verifier --record` writes this\n");
    let mut sorted: Vec<&Count> = counts.iter().collect();
    sorted.sort_by(|a, b| a.program.cmp(&b.program));
    for count in sorted {
        writeln!(text, "{} {}", count.verified, count.program).expect("a text takes everything");
    }
    text
}

/// What is not as it was recorded, a sentence each; nothing for a snapshot of another kernel.
fn differences(recorded: &str, kernel: &str, counts: &[Count]) -> Option<Vec<String>> {
    let mut lines = recorded.lines();
    if lines.next()?.split(' ').next()? != kernel {
        return None;
    }
    let recorded: Vec<(u32, &str)> = lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(count, program)| Some((count.parse().ok()?, program)))
        .collect();
    let mut sentences = vec![];
    for count in counts {
        match recorded.iter().find(|(_, program)| *program == count.program) {
            None => sentences.push(format!("{} is not in the snapshot", count.program)),
            Some((before, _)) if count.verified.abs_diff(*before) * 100 > before * SLACK => {
                sentences.push(format!(
                    "{}: {} verified instructions, recorded were {before}",
                    count.program, count.verified
                ))
            }
            Some(_) => {}
        }
    }
    for (_, program) in recorded {
        if counts.iter().all(|count| count.program != program) {
            sentences.push(format!("{program} is in the snapshot, and not built any more"));
        }
    }
    Some(sentences)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u32)]) -> Vec<Count> {
        of.iter()
            .map(|(program, verified)| Count { program: (*program).into(), verified: *verified })
            .collect()
    }

    #[test]
    fn what_is_recorded_agrees_with_itself() {
        let all = counts(&[("b: x", 1_000), ("a: y", 2)]);
        assert_eq!(differences(&written("6.18", &all), "6.18", &all), Some(vec![]));
        assert_eq!(differences(&written("6.18", &all), "6.1", &all), None);
    }

    #[test]
    fn what_grew_came_or_went_is_told() {
        let recorded = written("6.18", &counts(&[("a: x", 1_000), ("a: y", 1_000), ("a: z", 1_000)]));
        let now = counts(&[("a: x", 1_100), ("a: y", 1_101), ("a: new", 1)]);
        let told = differences(&recorded, "6.18", &now).unwrap();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("a: y") && told[1].starts_with("a: new") && told[2].starts_with("a: z"));
    }
}
