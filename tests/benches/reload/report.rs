//! The table and the JSON.

use std::fmt;

use serde::Serialize;

use crate::{daemon::Took, files::Case};

/// What a reload is to take at most, from request to last store.
const AIM_MS: f64 = 50.0;

/// All results.
#[derive(Serialize)]
pub(crate) struct Report {
    kernel: String,
    rounds: usize,
    rows: Vec<Row>,
    status_ms: f64,
    status_columns: usize,
}

/// One case, in milliseconds: medians of all rounds, and the longest of them.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    total_ms: f64,
    longest_ms: f64,
    read_ms: f64,
    plan_ms: f64,
    store_ms: f64,
    publish_ms: f64,
}

impl Report {
    pub(crate) fn new(rows: &[(Case, Vec<Took>)], (status_us, status_columns): (u64, usize)) -> Self {
        let row = |(case, all): &(Case, Vec<Took>)| {
            let sorted = |of: fn(&Took) -> u64| {
                let mut values: Vec<u64> = all.iter().map(of).collect();
                values.sort_unstable();
                values
            };
            let median = |of| ms(sorted(of)[all.len() / 2]);
            Row {
                name: case.name(),
                total_ms: median(|took| took.total_us),
                longest_ms: ms(sorted(|took| took.total_us)[all.len() - 1]),
                read_ms: median(|took| took.read_us),
                plan_ms: median(|took| took.plan_us),
                store_ms: median(|took| took.store_us),
                publish_ms: median(|took| took.publish_us),
            }
        };
        let kernel =
            std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        Self {
            kernel,
            rounds: rows.first().map_or(0, |(_, all)| all.len()),
            rows: rows.iter().map(row).collect(),
            status_ms: ms(status_us),
            status_columns,
        }
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Linux {}, {} reloads a case; milliseconds, medians; 1,000 backends in 200 groups\n",
            self.kernel, self.rounds
        )?;
        let heads = ["total", "longest", "read", "plan", "store", "publish"];
        write!(f, "{:32}", "")?;
        heads.iter().try_for_each(|head| write!(f, "{head:>9}"))?;
        writeln!(f)?;
        for row in &self.rows {
            let figures =
                [row.total_ms, row.longest_ms, row.read_ms, row.plan_ms, row.store_ms, row.publish_ms];
            write!(f, "{:32}", row.name)?;
            figures.iter().try_for_each(|figure| write!(f, "{figure:>9.1}"))?;
            writeln!(f)?;
        }
        let missed = self.rows.iter().filter(|row| row.total_ms >= AIM_MS).count();
        let word = if missed == 0 { "reached by all" } else { "missed by some" };
        writeln!(f, "\naim: under {AIM_MS} ms: {word}")?;
        writeln!(f, "`siplb status`: {:.0} ms, {} columns", self.status_ms, self.status_columns)
    }
}
