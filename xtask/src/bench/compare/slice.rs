//! What one turn of one side found: the contract between the benchmarks of different commits.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use siplb_figures::Report;

/// The series of a report that has nanoseconds of whole runs.
const SERIES: &str = "run";

/// Cases by name, each with its nanoseconds: the median of the turn's rounds, the empty program not taken off.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) rounds: usize,
    pub(super) cases: Vec<(String, f64)>,
}

/// What `bench datapath --json` wrote before there was a form for all benchmarks.
#[derive(Deserialize)]
struct Old {
    rounds: usize,
    rows: Vec<OldRow>,
}

#[derive(Deserialize)]
struct OldRow {
    name: String,
    ns: f64,
}

impl Slice {
    /// Reads what a benchmark wrote.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        if let Ok(Old { rounds, rows }) = serde_json::from_str(text) {
            return Ok(Self { rounds, cases: rows.into_iter().map(|row| (row.name, row.ns)).collect() });
        }
        let report: Report = serde_json::from_str(text)?;
        let series =
            report.figures.iter().filter(|figure| figure.unit == "ns").flat_map(|figure| &figure.series);
        let points = series.filter(|series| series.name == SERIES).flat_map(|series| &series.points);
        let cases: Vec<_> = points.map(|point| (point.label.clone(), point.value.median)).collect();
        if cases.is_empty() {
            bail!("the report of {} has no series `{SERIES}` in ns", report.bench);
        }
        Ok(Self { rounds: report.rounds, cases })
    }

    /// Nanoseconds of a case.
    pub(super) fn ns(&self, case: &str) -> Option<f64> {
        self.cases.iter().find(|(name, _)| name == case).map(|(_, ns)| *ns)
    }
}

#[cfg(test)]
mod tests {
    use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};

    use super::Slice;

    #[test]
    fn old_and_new_figures_are_read_alike() {
        let old = r#"{"kernel": "6.18", "packets": 100000, "rounds": 31, "verified_instructions": {"empty": 2},
            "rows": [{"name": "empty program", "program": "empty", "ns": 31, "ns_low": 30, "ns_high": 33, "net_ns": 0,
                      "ratio": 0.0, "aim": null}]}"#;
        let old = Slice::parse(old).unwrap();
        assert_eq!(old, Slice { rounds: 31, cases: vec![("empty program".into(), 31.0)] });

        let points = |ns| vec![Point::new("empty program", Spread::exactly(ns))];
        let series = ["run", "net"]
            .map(|name| Series { name: name.into(), points: points(if name == "run" { 31.0 } else { 0.0 }) });
        let figure = Figure {
            name: "packet".into(),
            title: "A packet".into(),
            unit: "ns".into(),
            kind: Kind::Bars,
            log_y: false,
            series: series.to_vec(),
        };
        let report = Report { figures: vec![figure], ..Report::new("datapath", "What is it?", 31) };
        assert_eq!(Slice::parse(&serde_json::to_string(&report).unwrap()).unwrap(), old);
    }

    #[test]
    fn what_has_no_nanoseconds_is_refused() {
        let report = Report::new("reload", "What is it?", 3);
        let error = Slice::parse(&serde_json::to_string(&report).unwrap()).unwrap_err().to_string();
        assert!(error.contains("reload has no series"), "{error}");
        assert!(Slice::parse("{}").is_err());
    }
}
