//! From the samples to the report: what is compared, and what is said of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};

use crate::cases::{Case, Program};

const QUESTION: &str = "How many nanoseconds does a packet pay for siplb, and how much of that is SIP and how much any balancer's price?";

/// What foreign packets may pay over a header parse, in nanoseconds.
const FOREIGN_AIM_NS: f64 = 5.0;

/// The report of all samples: nanoseconds by case and round.
///
/// # Errors
/// Without a case of the programs that others are compared with.
pub(crate) fn of(
    cases: &[Case],
    samples: &[Vec<f64>],
    verified: &BTreeMap<Program, u32>,
    packets: u32,
) -> Result<Report> {
    let measured = Measured { cases, samples };
    let empty = measured.of(Program::Empty)?;
    let net: Vec<Vec<f64>> = samples.iter().map(|samples| difference(samples, empty)).collect();
    let l4 = difference(measured.of(Program::L4)?, empty);
    let rounds = empty.len();
    let mut report = Report::new("datapath", QUESTION, rounds);
    report.method = method(packets);
    let (loops, newest): (Vec<_>, Vec<_>) =
        (0..cases.len()).partition(|at| cases[*at].program == Program::BpfLoop);
    for (name, title, chosen) in [
        ("packet", "What a packet costs", newest),
        (
            "packet-bpf-loop",
            "What a packet costs on kernels before 6.9 (the object that loops by bpf_loop)",
            loops,
        ),
    ] {
        let run = |at: &usize| Point::new(cases[*at].name, Spread::of(&samples[*at]));
        let net = |at: &usize| Point {
            ratio: Spread::of_ratios(&net[*at], &l4),
            aim: cases[*at].aim,
            ..Point::new(cases[*at].name, Spread::of(&net[*at]))
        };
        let series = vec![
            Series { name: "run".into(), points: chosen.iter().map(run).collect() },
            Series { name: "net".into(), points: chosen.iter().map(net).collect() },
        ];
        let (name, title, unit) = (name.to_owned(), title.to_owned(), "ns".to_owned());
        report.figures.push(Figure { name, title, unit, kind: Kind::Bars, log_y: false, series });
    }
    report.findings = findings(&measured, &report.figures, empty, verified)?;
    Ok(report)
}

/// Samples beside what they are of.
struct Measured<'a> {
    cases: &'a [Case],
    samples: &'a [Vec<f64>],
}

impl Measured<'_> {
    /// The samples of the first case of a program.
    fn of(&self, program: Program) -> Result<&[f64]> {
        let at = self.cases.iter().position(|case| case.program == program);
        at.map(|at| &*self.samples[at])
            .with_context(|| format!("no case is for the program {}", program.name()))
    }
}

/// Round by round, what `values` is above `base`.
fn difference(values: &[f64], base: &[f64]) -> Vec<f64> {
    values.iter().zip(base).map(|(value, base)| value - base).collect()
}

fn method(packets: u32) -> Vec<String> {
    let thousands = packets / 1_000;
    [
        &*format!(
            "One packet is run through one program {thousands},000 times at once by `BPF_PROG_TEST_RUN`; the time is the kernel's \
             own, for one run. Every case has its turn in each round, so that a noisy moment hits all alike. The process \
             stays on one CPU. Before a figure counts, the program's answer is checked, and that the frame came out as it \
             went in, but for its MAC addresses."
        ),
        "*run* is all of a program's run. *net* is less the empty program, which is what a test run costs by itself; it is \
         taken within each round. *ratio* is the net figure over that of the plain L4 balancer in the same round: the \
         balancer is made of siplb's own parts, with the same VIP look-up, hash, slot, group, backend, rewrite, next hop and \
         counters, and has addresses and ports where siplb has SIP. All three are medians, with their quarters.",
        "The empty program does nothing. *MAC swap* sends the frame back. *header parse, counted* reads Ethernet, IP and UDP \
         headers, and counts. A test run hands what a program made of a frame to its next turn, so each program but the \
         empty one puts addresses, ports, TTL and checksums back at its end, which is some 2 ns in each of their figures. \
         *By bpf_loop* is the object for kernels before 6.9, run on this kernel.",
        "An INVITE to an own domain is decided by its request line, so that the length of its header should not matter; one \
         to another domain is read to the empty line, where it is known that it names no backend; REGISTERs are read to \
         their To, which begins at the byte that the case names. The program is the one that traffic meets, with counters, \
         fragments, rules for dialogs and IPv6 all in.",
        "What it does not say: one packet repeated means hot caches and trained branch predictors. Real traffic, with many \
         users and a table of 128 KiB, is slower. Drivers, interrupts and the way to the next interface are not in it.",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn findings(
    measured: &Measured<'_>,
    figures: &[Figure],
    empty: &[f64],
    verified: &BTreeMap<Program, u32>,
) -> Result<Vec<String>> {
    let points = || figures.iter().flat_map(|figure| &figure.series).flat_map(|series| &series.points);
    let missed: Vec<_> = points()
        .filter(|point| point.is_aim_reached() == Some(false))
        .filter_map(|point| Some(format!("{} ({:.2}, not {})", point.label, point.ratio?.median, point.aim?)))
        .collect();
    let aims = points().filter(|point| point.aim.is_some()).count();
    let mut findings = vec![match missed.len() {
        0 => format!("All {aims} aims are reached."),
        count => format!("{} of {aims} aims are reached. Missed: {}.", aims - count, missed.join("; ")),
    }];
    let parse = measured.of(Program::Parse)?;
    let foreign =
        measured.cases.iter().zip(measured.samples).filter(|(case, _)| case.name.starts_with("foreign"));
    let over = foreign.map(|(_, samples)| Spread::of(&difference(samples, parse)).median);
    if let Some(worst) = over.max_by(f64::total_cmp) {
        let word = if worst <= FOREIGN_AIM_NS { "reached" } else { "missed" };
        findings.push(format!(
            "Foreign packets pay at most {worst:.0} ns over a header parse (aim: at most {FOREIGN_AIM_NS}: {word})."
        ));
    }
    let Spread { low, high, .. } = Spread::of(empty);
    findings.push(format!(
        "The empty program took {low:.0} ns in a good quarter of the rounds and {high:.0} ns in a bad one: that is how quiet \
         the machine was."
    ));
    let counts: Vec<_> =
        verified.iter().map(|(program, count)| format!("{} {count}", program.name())).collect();
    findings.push(format!("Instructions that the verifier went through: {}.", counts.join(", ")));
    Ok(findings)
}
