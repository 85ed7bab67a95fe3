//! `bench document`: docs/benchmarks.md, its plots and the README's table of what a packet costs, written from the JSON that
//! benchmarks left in docs/benchmarks. With `--check`, and in `lint`, nothing is written: what is committed has to be what the JSON gives.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use siplb_figures::{Report, document, plot, plot_file};

use super::{BENCHES, kept_reports, readme};
use crate::process;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Write nothing, and fail when what is there is not what the JSON gives
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    let folder = kept_reports();
    let written = Written::of(process::workspace(), &folder)?;
    for (path, text) in &written.files {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    for path in &written.left_over {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        println!("removed {}", path.display());
    }
    Ok(())
}

/// Fails when docs/benchmarks.md or a plot is not what the JSON gives.
pub(crate) fn check() -> Result<()> {
    let written = Written::of(process::workspace(), &kept_reports())?;
    let wrong = written.differences();
    ensure!(
        wrong.is_empty(),
        "{} not what docs/benchmarks/*.json gives: {}. Run `cargo xtask bench document` and commit what it writes",
        if wrong.len() == 1 { "a file is" } else { "some files are" },
        wrong.join("; ")
    );
    Ok(())
}

/// What the JSON gives.
struct Written {
    /// Each file, and what belongs into it.
    files: BTreeMap<PathBuf, String>,
    /// Plots of figures that are no more.
    left_over: Vec<PathBuf>,
}

impl Written {
    /// What belongs into the project at `root`, from the reports in `folder`, where the plots go too.
    fn of(root: &Path, folder: &Path) -> Result<Self> {
        let reports = reports(folder)?;
        let mut files = BTreeMap::from([(root.join("docs/benchmarks.md"), document(&reports))]);
        if let Some(datapath) = reports.iter().find(|report| report.bench == "datapath") {
            let path = root.join("README.md");
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(path, readme::with_table(&text, datapath)?);
        }
        for (report, figure) in
            reports.iter().flat_map(|report| report.figures.iter().map(move |one| (report, one)))
        {
            let path = folder.join(plot_file(report, figure));
            if files.insert(path, plot(figure)).is_some() {
                bail!("the benchmark {} has two figures of the name {}", report.bench, figure.name);
            }
        }
        let left_over =
            with_extension(folder, "svg")?.into_iter().filter(|path| !files.contains_key(path)).collect();
        Ok(Self { files, left_over })
    }

    /// The files that are missing, or have something else in them, or should not be there.
    fn differences(&self) -> Vec<String> {
        let differing = self.files.iter().filter_map(|(path, text)| match fs::read(path) {
            Ok(present) if present == text.as_bytes() => None,
            Ok(_) => Some(format!("{} differs", path.display())),
            Err(error) => Some(format!("{}: {error}", path.display())),
        });
        let left_over = self.left_over.iter().map(|path| format!("{} is of no figure", path.display()));
        differing.chain(left_over).collect()
    }
}

/// The reports in a folder: those of known benchmarks first and in their order, the others by name.
fn reports(folder: &Path) -> Result<Vec<Report>> {
    let mut reports = vec![];
    for path in with_extension(folder, "json")? {
        let report = Report::load(&path)?;
        ensure!(
            path.file_stem() == Some(OsStr::new(&report.bench)),
            "{} has the figures of the benchmark {}: name it {}.json",
            path.display(),
            report.bench,
            report.bench
        );
        reports.push(report);
    }
    let place = |report: &Report| BENCHES.iter().position(|(name, _)| *name == report.bench);
    reports.sort_by_key(|report| place(report).unwrap_or(usize::MAX));
    Ok(reports)
}

/// The files of a folder that end so, by name; none when there is no folder.
fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(vec![]);
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension() == Some(OsStr::new(extension)));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};

    use super::Written;

    fn report(bench: &str) -> Report {
        let points = vec![Point::new("a packet", Spread::exactly(31.0))];
        let figure = Figure {
            name: "packet".into(),
            title: "A packet".into(),
            unit: "ns".into(),
            kind: Kind::Bars,
            log_y: false,
            series: vec![Series { name: "run".into(), points }],
        };
        Report { figures: vec![figure], ..Report::new(bench, "What is it?", 3) }
    }

    #[test]
    fn what_was_written_is_right_until_something_changes() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("docs/benchmarks");
        fs::create_dir_all(&folder).unwrap();
        fs::write(root.path().join("README.md"), "<!-- bench -->\n<!-- end -->\n").unwrap();
        report("reload").save(&folder.join("reload.json")).unwrap();
        report("datapath").save(&folder.join("datapath.json")).unwrap();
        let written = Written::of(root.path(), &folder).unwrap();
        assert_eq!(written.differences().len(), 4, "{:?}", written.differences());
        for (path, text) in &written.files {
            fs::write(path, text).unwrap();
        }
        assert_eq!(written.differences(), [""; 0]);
        let text = fs::read_to_string(root.path().join("docs/benchmarks.md")).unwrap();
        assert!(
            text.find("\n## datapath").unwrap() < text.find("\n## reload").unwrap(),
            "the order is that of BENCHES"
        );

        let mut faster = report("datapath");
        faster.figures[0].series[0].points[0].value = Spread::exactly(30.0);
        faster.figures[0].name = "frame".into();
        faster.save(&folder.join("datapath.json")).unwrap();
        let differences = Written::of(root.path(), &folder).unwrap().differences().join("\n");
        for part in [
            "benchmarks.md differs",
            "README.md differs",
            "datapath-frame.svg",
            "datapath-packet.svg is of no figure",
        ] {
            assert!(differences.contains(part), "{part:?} in {differences}");
        }
    }

    #[test]
    fn a_report_under_another_name_and_two_figures_of_one_are_refused() {
        let docs = tempfile::tempdir().unwrap();
        let path = docs.path().join("other.json");
        report("datapath").save(&path).unwrap();
        let error = Written::of(docs.path(), docs.path()).err().unwrap().to_string();
        assert!(error.contains("datapath.json"), "{error}");
        fs::remove_file(&path).unwrap();

        let mut twice = report("datapath");
        twice.figures.push(twice.figures[0].clone());
        twice.save(&docs.path().join("datapath.json")).unwrap();
        fs::write(docs.path().join("README.md"), "<!-- bench -->\n<!-- end -->\n").unwrap();
        let error = Written::of(docs.path(), docs.path()).err().unwrap().to_string();
        assert!(error.contains("two figures of the name packet"), "{error}");
    }
}
