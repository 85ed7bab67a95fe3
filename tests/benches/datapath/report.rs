//! The table and the JSON.

use std::{
    collections::BTreeMap,
    fmt,
    io::{IsTerminal as _, Write as _},
};

use serde::Serialize;

use crate::cases::{Case, Program};

/// All results.
#[derive(Serialize)]
pub(crate) struct Report {
    kernel: String,
    packets: u32,
    rounds: usize,
    rows: Vec<Row>,
    verified_instructions: BTreeMap<&'static str, u32>,
}

/// One case.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    program: &'static str,
    /// Median, and the quarters of the rounds below and above it.
    ns: u32,
    ns_low: u32,
    ns_high: u32,
    /// Less the empty program.
    net_ns: i64,
    /// Net, as a multiple of the plain layer 4 balancer's.
    ratio: f64,
    aim: Option<f64>,
}

impl Report {
    pub(crate) fn new(
        cases: &[Case],
        samples: &[Vec<u32>],
        verified: BTreeMap<Program, u32>,
        packets: u32,
    ) -> Self {
        let sorted: Vec<Vec<u32>> = samples
            .iter()
            .map(|samples| {
                let mut samples = samples.clone();
                samples.sort_unstable();
                samples
            })
            .collect();
        let quarter = |samples: &[u32], part: usize| samples[(samples.len() - 1) * part / 4];
        let median_of = |program: Program| {
            let at = cases.iter().position(|case| case.program == program).unwrap_or(0);
            i64::from(quarter(&sorted[at], 2))
        };
        let empty = median_of(Program::Empty);
        let l4 = median_of(Program::L4) - empty;
        let rows = cases
            .iter()
            .zip(&sorted)
            .map(|(case, samples)| {
                let net_ns = i64::from(quarter(samples, 2)) - empty;
                Row {
                    name: case.name,
                    program: case.program.name(),
                    ns: quarter(samples, 2),
                    ns_low: quarter(samples, 1),
                    ns_high: quarter(samples, 3),
                    net_ns,
                    ratio: net_ns as f64 / l4 as f64,
                    aim: case.aim,
                }
            })
            .collect();
        let kernel =
            std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let verified_instructions =
            verified.into_iter().map(|(program, count)| (program.name(), count)).collect();
        Self { kernel, packets, rounds: samples.first().map_or(0, Vec::len), rows, verified_instructions }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Linux {}, {} rounds of {} packets a case; net is less the empty program, ratio is to the plain L4 balancer\n",
            self.kernel, self.rounds, self.packets
        )?;
        writeln!(f, "{:42} {:>6} {:>11} {:>6} {:>6}  aim", "", "ns", "quarters", "net", "ratio")?;
        for row in &self.rows {
            let quarters = format!("{}..{}", row.ns_low, row.ns_high);
            write!(f, "{:42} {:>6} {:>11} {:>6} {:>6.2}", row.name, row.ns, quarters, row.net_ns, row.ratio)?;
            match row.aim {
                Some(aim) => {
                    writeln!(f, "  at most {aim}: {}", if row.ratio <= aim { "reached" } else { "missed" })?
                }
                None => writeln!(f)?,
            }
        }
        let of =
            |program| self.rows.iter().find(|row| row.program == program).map_or(0, |row| i64::from(row.ns));
        let foreign =
            self.rows.iter().filter(|row| row.name.starts_with("foreign")).map(|row| i64::from(row.ns));
        if let Some(worst) = foreign.max() {
            let over = worst - of("parse");
            let word = if over <= 5 { "reached" } else { "missed" };
            writeln!(f, "\nforeign packets over a header parse: {over} ns (aim: at most 5: {word})")?;
        }
        write!(f, "verified instructions:")?;
        for (program, count) in &self.verified_instructions {
            write!(f, " {program} {count}")?;
        }
        writeln!(f)
    }
}

/// Shows how far the rounds are.
pub(crate) fn progress(done: usize, all: usize) {
    if std::io::stderr().is_terminal() {
        eprint!("\rround {done} of {all}{}", if done == all { "\r\x1b[K" } else { "" });
    } else if done == all || done.is_multiple_of(10) {
        eprintln!("round {done} of {all}");
    }
    let _ = std::io::stderr().flush();
}
