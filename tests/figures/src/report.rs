//! The form: a report has figures, a figure has series, a series has points. Written as JSON, and read again from it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Machine, Spread, commit, date};

/// What one benchmark found. Written as JSON by `--json FILE`, kept in docs/benchmarks/NAME.json, read by `cargo xtask bench
/// document`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The benchmark, by the name that `cargo xtask bench` has for it.
    pub bench: String,
    /// What it asks, in one sentence.
    pub question: String,
    /// How it was measured, in paragraphs.
    pub method: Vec<String>,
    /// Where.
    pub machine: Machine,
    /// Of what: see [`commit`].
    pub commit: String,
    /// When: see [`date`].
    pub date: String,
    /// How often each thing was measured, all of them by turns.
    pub rounds: usize,
    /// The figures, in the order in which they are to be read.
    pub figures: Vec<Figure>,
    /// Sentences that were computed from the figures: what grows, where the generator was the bottleneck, what was not
    /// measured.
    pub findings: Vec<String>,
}

/// One table and one plot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Like the name of a file, and unique in the report.
    pub name: String,
    /// What is shown, in a few words.
    pub title: String,
    /// The unit of every value, such as `ns`.
    pub unit: String,
    /// How it is drawn.
    pub kind: Kind,
    /// Whether values are drawn by their order of magnitude.
    pub log_y: bool,
    /// What is compared.
    pub series: Vec<Series>,
}

/// How a figure is drawn, and which table goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A bar for each point, by its label. Points of several series that have one label stand together.
    Bars,
    /// A line for each series, through its points by their `x`.
    Lines {
        /// What `x` is, with its unit.
        x: String,
        /// Whether `x` is drawn by its order of magnitude.
        log_x: bool,
    },
    /// Each point is one sample (`value.median`), and a series is all samples of one thing: see [`Series::of_samples`].
    Distribution,
}

/// Points that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What they are of; unique in the figure.
    pub name: String,
    /// In the order of the report.
    pub points: Vec<Point>,
}

/// Median and quarters of interleaved rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What was measured; unique in the series.
    pub label: String,
    /// Where it stands on the x axis of [`Kind::Lines`].
    pub x: Option<f64>,
    /// In the figure's unit.
    pub value: Spread,
    /// Median and quarters of the ratio taken within each round to the figure's baseline, where there is one.
    pub ratio: Option<Spread>,
    /// At most this is wanted: of the ratio where there is one, else of the value.
    pub aim: Option<f64>,
    /// What else is to be known of it, in a few words.
    pub note: Option<String>,
}

/// Why a report can't be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file can't be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has no report in it.
    #[error(
        "{path} is not a report of a benchmark: {source}; write it anew with `cargo xtask bench NAME --json {path}`"
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

impl Report {
    /// A report without figures, of this machine, commit and day.
    pub fn new(bench: &str, question: &str, rounds: usize) -> Self {
        Self {
            bench: bench.to_owned(),
            question: question.to_owned(),
            method: vec![],
            machine: Machine::of_this(),
            commit: commit(),
            date: date(),
            rounds,
            figures: vec![],
            findings: vec![],
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let mut text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        text.push('\n');
        fs::write(path, text).map_err(failed)
    }

    /// Reads what [`Report::save`] wrote.
    ///
    /// # Errors
    /// When the file can't be read, or has another form.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text =
            fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        serde_json::from_str(&text).map_err(|source| Error::Form { path: path.to_owned(), source })
    }
}

impl Series {
    /// The series of a [`Kind::Distribution`]: each sample a point, with the number of its run as its label.
    pub fn of_samples(name: &str, samples: &[f64], aim: Option<f64>) -> Self {
        let point = |(at, sample): (usize, &f64)| Point {
            aim,
            ..Point::new(&format!("run {}", at + 1), Spread::exactly(*sample))
        };
        Self { name: name.to_owned(), points: samples.iter().enumerate().map(point).collect() }
    }
}

impl Point {
    /// A point with a value alone.
    pub fn new(label: &str, value: Spread) -> Self {
        Self { label: label.to_owned(), x: None, value, ratio: None, aim: None, note: None }
    }

    /// Whether what is wanted was reached, where something is: the medians count.
    pub fn is_aim_reached(&self) -> Option<bool> {
        self.aim.map(|aim| self.ratio.as_ref().unwrap_or(&self.value).median <= aim)
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Figure, Kind, Point, Report, Series};
    use crate::Spread;

    fn report() -> Report {
        let point = Point {
            x: Some(4.0),
            ratio: Some(Spread { median: 1.25, low: 1.2, high: 1.3, samples: 9 }),
            aim: Some(1.3),
            note: Some("a note".into()),
            ..Point::new("four", Spread::of(&[10.0, 12.5, 11.0]))
        };
        let kind = Kind::Lines { x: "backends".into(), log_x: true };
        let series = vec![Series { name: "siplb".into(), points: vec![point] }];
        let figure = Figure {
            name: "packet".into(),
            title: "A packet".into(),
            unit: "ns".into(),
            kind,
            log_y: false,
            series,
        };
        Report { figures: vec![figure], ..Report::new("example", "What is it?", 9) }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("example.json");
        report().save(&path).unwrap();
        assert_eq!(Report::load(&path).unwrap(), report());
    }

    #[test]
    fn what_is_no_report_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.json");
        assert!(matches!(Report::load(&path), Err(Error::Read { .. })));
        std::fs::write(&path, "{\"rows\": []}").unwrap();
        let error = Report::load(&path).unwrap_err().to_string();
        assert!(error.contains("other.json") && error.contains("missing field"), "{error}");
    }

    #[test]
    fn an_aim_is_of_the_ratio_where_there_is_one() {
        let mut point = report().figures[0].series[0].points[0].clone();
        assert_eq!(point.is_aim_reached(), Some(true));
        point.aim = Some(1.2);
        assert_eq!(point.is_aim_reached(), Some(false));
        point.ratio = None;
        point.aim = Some(11.0);
        assert_eq!(point.is_aim_reached(), Some(true));
        point.aim = None;
        assert_eq!(point.is_aim_reached(), None);
    }

    #[test]
    fn samples_of_a_distribution_keep_their_order() {
        let series = Series::of_samples("primary", &[3.0, 1.0], Some(2.0));
        let values: Vec<_> = series.points.iter().map(|point| point.value.median).collect();
        assert_eq!(values, [3.0, 1.0]);
        assert_eq!(series.points[1].label, "run 2");
        assert_eq!(series.points[1].is_aim_reached(), Some(true));
    }
}
