//! The README's table of what a packet costs, from the report of the benchmark `datapath`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use siplb_figures::{Point, Report};

const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- end -->";

/// The README with the table of this report in place of the one that it has.
pub(super) fn with_table(readme: &str, report: &Report) -> Result<String> {
    let marked = || format!("the README has no {} and {END} around its table", BEGIN.trim_end());
    let (before, rest) = readme.split_once(BEGIN).with_context(marked)?;
    let (_, after) = rest.split_once(END).with_context(marked)?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(report)?))
}

fn table(report: &Report) -> Result<String> {
    let machine = &report.machine;
    let mut text = format!(
        "`cargo xtask bench datapath`, Linux {}, one of {} CPUs ({}), nanoseconds of one program run; *net* is less the empty\n\
         program, *ratio* is net against a plain layer 4 balancer made of the same parts, *aim* is at most:\n\n\
         | packet | ns | quarters | net | ratio | aim |\n| --- | --- | --- | --- | --- | --- |\n",
        machine.kernel, machine.cpus, machine.cpu
    );
    let figure = report.figures.first().context("the benchmark datapath has no figure")?;
    let run = figure.series.first().context("the figure of the benchmark datapath has no series")?;
    for point in &run.points {
        let net = figure.series.get(1).and_then(|net| net.points.iter().find(|net| net.label == point.label));
        writeln!(text, "{}", row(point, net))?;
    }
    Ok(text)
}

fn row(run: &Point, net: Option<&Point>) -> String {
    let value = &run.value;
    let ratio = net.and_then(|net| net.ratio.as_ref());
    let or_blank = |figure: Option<String>| figure.unwrap_or_default();
    format!(
        "| {} | {:.0} | {:.0}..{:.0} | {} | {} | {} |",
        run.label,
        value.median,
        value.low,
        value.high,
        or_blank(net.map(|net| format!("{:.0}", net.value.median))),
        or_blank(ratio.map(|ratio| format!("{:.2}", ratio.median))),
        or_blank(net.and_then(|net| net.aim).map(|aim| aim.to_string())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_without_marks_is_refused() {
        let datapath = super::super::kept_reports().join("datapath.json");
        let report = Report::load(&datapath).unwrap();
        let readme = format!("a\n{BEGIN}old\n{END}\nb\n");
        let written = with_table(&readme, &report).unwrap();
        assert!(written.starts_with("a\n") && written.ends_with("\nb\n") && !written.contains("old"));
        assert!(written.contains("| plain L4 balancer |"));
        assert_eq!(with_table(&written, &report).unwrap(), written, "once more changes nothing");
        assert!(with_table("no marks", &report).is_err());
    }
}
