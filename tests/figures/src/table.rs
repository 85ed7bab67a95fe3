//! Figures as tables: for people at a terminal (`impl Display`), and as rows of text for whoever writes another form.

use std::fmt;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::{Figure, Kind, Point, Report, Series, Spread};

/// A figure as text: the heads of its columns, and a row for each label. The first column is what the row is of.
pub(crate) struct Rows {
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Rows {
    /// The table that goes with the figure.
    pub(crate) fn of(figure: &Figure) -> Self {
        match &figure.kind {
            Kind::Distribution => of_distribution(figure),
            Kind::Bars => of_points(figure, "", |point| point.label.clone()),
            Kind::Lines { x, .. } => of_points(figure, x, |point| point.x.map_or_else(String::new, number)),
        }
    }
}

/// A row for each series: a series is the samples of one thing.
fn of_distribution(figure: &Figure) -> Rows {
    let aimed = figure.series.iter().any(|series| series.points.iter().any(|point| point.aim.is_some()));
    let mut heads: Vec<String> =
        ["", "median", "quarters", "least", "most", "runs"].map(str::to_owned).to_vec();
    heads[1] = format!("median, {}", figure.unit);
    if aimed {
        heads.push("aim".to_owned());
    }
    let row = |series: &Series| {
        let samples: Vec<f64> = series.points.iter().map(|point| point.value.median).collect();
        let mut row = vec![series.name.clone()];
        if samples.is_empty() {
            row.resize(heads.len() - usize::from(aimed), String::new());
            row[5] = "0".to_owned();
        } else {
            let spread = Spread::of(&samples);
            let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
            let most = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.extend([number(spread.median), quarters(&spread), number(least), number(most)]);
            row.push(samples.len().to_string());
        }
        if aimed {
            row.push(aim_of_all(series));
        }
        row
    };
    Rows { rows: figure.series.iter().map(row).collect(), heads }
}

/// What became of an aim that every sample has: all of them have to reach it.
fn aim_of_all(series: &Series) -> String {
    let Some(aim) = series.points.iter().find_map(|point| point.aim) else { return String::new() };
    let missed = series.points.iter().filter(|point| point.is_aim_reached() == Some(false)).count();
    let word = match missed {
        0 => "reached by all".to_owned(),
        missed => format!("missed by {missed} of {}", series.points.len()),
    };
    format!("at most {}: {word}", exact(aim))
}

/// A row for each key that a point of any series has, in the order of their coming; columns for each series, as many as it
/// has something to say in.
fn of_points(figure: &Figure, first: &str, key: impl Fn(&Point) -> String) -> Rows {
    let mut keys: Vec<String> = vec![];
    for point in figure.series.iter().flat_map(|series| &series.points) {
        if !keys.contains(&key(point)) {
            keys.push(key(point));
        }
    }
    let mut heads = vec![first.to_owned()];
    let mut rows: Vec<Vec<String>> = keys.iter().map(|key| vec![key.clone()]).collect();
    let alone = figure.series.len() == 1;
    for series in &figure.series {
        let columns = Columns::of(series);
        heads.extend(columns.heads(if alone { &figure.unit } else { &series.name }));
        for (key_of_row, row) in keys.iter().zip(&mut rows) {
            let point = series.points.iter().find(|point| key(point) == *key_of_row);
            row.extend(columns.cells(point));
        }
    }
    Rows { heads, rows }
}

/// Which columns the points of a series fill.
struct Columns {
    ratio: bool,
    aim: bool,
    note: bool,
}

impl Columns {
    fn of(series: &Series) -> Self {
        let any = |is: fn(&Point) -> bool| series.points.iter().any(is);
        Self {
            ratio: any(|point| point.ratio.is_some()),
            aim: any(|point| point.aim.is_some()),
            note: any(|point| point.note.is_some()),
        }
    }

    fn heads(&self, value: &str) -> Vec<String> {
        self.chosen([value, "quarters", "ratio", "quarters", "aim", "note"].map(str::to_owned))
    }

    fn cells(&self, point: Option<&Point>) -> Vec<String> {
        let Some(point) = point else { return self.chosen([const { String::new() }; 6]) };
        let aim = point.aim.zip(point.is_aim_reached()).map(|(aim, is_reached)| {
            format!("at most {}: {}", exact(aim), if is_reached { "reached" } else { "missed" })
        });
        self.chosen([
            number(point.value.median),
            quarters(&point.value),
            point.ratio.map(|ratio| times(ratio.median)).unwrap_or_default(),
            point
                .ratio
                .map(|ratio| format!("{}..{}", times(ratio.low), times(ratio.high)))
                .unwrap_or_default(),
            aim.unwrap_or_default(),
            point.note.clone().unwrap_or_default(),
        ])
    }

    fn chosen(&self, all: [String; 6]) -> Vec<String> {
        let wanted = [true, true, self.ratio, self.ratio, self.aim, self.note];
        all.into_iter().zip(wanted).filter(|(_, is_wanted)| *is_wanted).map(|(text, _)| text).collect()
    }
}

/// The quarters, where there was more than one sample.
fn quarters(spread: &Spread) -> String {
    if spread.samples < 2 {
        return String::new();
    }
    format!("{}..{}", number(spread.low), number(spread.high))
}

/// A measured number with as many digits as tell something: three, never fewer than those before the point, and two of one
/// below 1. What is whole is written whole. Thousands are set off from 10,000 on.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.1 => 2,
        size => (1.0 - size.log10().floor()).clamp(2.0, 9.0) as usize,
    };
    let text = format!("{value:.decimals$}");
    if value.abs() < 9_999.5 { text } else { with_thousands(&text) }
}

/// A ratio, with two digits behind the point for as long as they matter.
pub(crate) fn times(ratio: f64) -> String {
    if (0.1..9.995).contains(&ratio.abs()) { format!("{ratio:.2}") } else { number(ratio) }
}

/// A number that was chosen and not measured.
pub(crate) fn exact(value: f64) -> String {
    if value.abs() < 10_000.0 { value.to_string() } else { number(value) }
}

fn with_thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rows { heads, rows } = Rows::of(self);
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&heads).add_rows(rows);
        for (at, column) in table.column_iter_mut().enumerate() {
            let is_text = at == 0 || ["aim", "note"].contains(&heads[at].as_str());
            column.set_cell_alignment(if is_text { CellAlignment::Left } else { CellAlignment::Right });
        }
        writeln!(f, "{}, {}\n", self.title, self.unit)?;
        table.lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.bench, self.question)?;
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "commit {}, {}, {} rounds; medians and quarters", self.commit, self.date, self.rounds)?;
        self.figures.iter().try_for_each(|figure| write!(f, "\n{figure}"))?;
        if !self.findings.is_empty() {
            writeln!(f)?;
        }
        self.findings.iter().try_for_each(|finding| writeln!(f, "- {finding}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Rows, exact, number, times};
    use crate::{Figure, Kind, Point, Report, Series, Spread};

    fn figure(kind: Kind, series: Vec<Series>) -> Figure {
        Figure {
            name: "f".into(),
            title: "What a packet costs".into(),
            unit: "ns".into(),
            kind,
            log_y: false,
            series,
        }
    }

    fn series(name: &str, points: Vec<Point>) -> Series {
        Series { name: name.into(), points }
    }

    #[test]
    fn numbers_have_the_digits_that_tell() {
        for (value, text) in [
            (0.0, "0"),
            (3.0, "3"),
            (1.234, "1.23"),
            (9.999, "10.0"),
            (12.34, "12.3"),
            (271.4, "271"),
            (9_999.4, "9999"),
            (9_999.7, "10,000"),
            (150_000.0, "150,000"),
            (1_234_567.8, "1,234,568"),
            (-12_345.0, "-12,345"),
            (-0.5, "-0.50"),
            (0.012_34, "0.012"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(
            [times(1.0), times(3.456), times(0.012_34), times(123.4)],
            ["1.00", "3.46", "0.012", "123"]
        );
        assert_eq!([exact(1.3), exact(3.0), exact(0.1), exact(150_000.0)], ["1.3", "3", "0.1", "150,000"]);
    }

    #[test]
    fn one_series_has_its_unit_for_a_head_and_only_columns_that_are_filled() {
        let plain = Point::new("empty", Spread::of(&[30.0, 31.0, 32.0]));
        let aimed = Point {
            ratio: Some(Spread { median: 1.2, low: 1.1, high: 1.3, samples: 3 }),
            aim: Some(1.3),
            ..Point::new("INVITE", Spread::exactly(300.0))
        };
        let rows = Rows::of(&figure(Kind::Bars, vec![series("run", vec![plain, aimed])]));
        assert_eq!(rows.heads, ["", "ns", "quarters", "ratio", "quarters", "aim"]);
        assert_eq!(rows.rows[0], ["empty", "31", "30.5..31.5", "", "", ""]);
        assert_eq!(rows.rows[1], ["INVITE", "300", "", "1.20", "1.10..1.30", "at most 1.3: reached"]);
    }

    #[test]
    fn series_stand_side_by_side_and_may_lack_a_row() {
        let at = |x: f64, value| Point { x: Some(x), ..Point::new("", Spread::exactly(value)) };
        let lines = Kind::Lines { x: "backends".into(), log_x: true };
        let one = series("one", vec![at(2.0, 10.0), at(4096.0, 20.0)]);
        let other = series("other", vec![at(4096.0, 21.0)]);
        let rows = Rows::of(&figure(lines, vec![one, other]));
        assert_eq!(rows.heads, ["backends", "one", "quarters", "other", "quarters"]);
        assert_eq!(rows.rows[0], ["2", "10", "", "", ""]);
        assert_eq!(rows.rows[1], ["4096", "20", "", "21", ""]);
    }

    #[test]
    fn a_distribution_has_a_row_for_each_series_and_its_ends() {
        let some = Series::of_samples("killed", &[1.0, 2.0, 3.0, 4.0, 90.0], Some(5.0));
        let none = series("nothing", vec![]);
        let rows = Rows::of(&figure(Kind::Distribution, vec![some, none]));
        assert_eq!(rows.rows[0], ["killed", "3", "2..4", "1", "90", "5", "at most 5: missed by 1 of 5"]);
        assert_eq!(rows.rows[1], ["nothing", "", "", "", "", "0", ""]);
    }

    #[test]
    fn a_report_says_all_that_it_knows() {
        let figure =
            figure(Kind::Bars, vec![series("run", vec![Point::new("empty", Spread::exactly(31.0))])]);
        let findings = vec!["Nothing grows.".to_owned()];
        let report = Report { figures: vec![figure], findings, ..Report::new("example", "What is it?", 9) };
        let text = report.to_string();
        for part in [
            "example",
            "What is it?",
            "9 rounds",
            "What a packet costs, ns",
            "empty",
            "31",
            "- Nothing grows.",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(text.contains(&report.machine.to_string()) && text.contains(&report.date));
    }
}
