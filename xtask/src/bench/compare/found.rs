//! From the turns to the report: which case costs more, which less, and how sure that is. Pure.

use anyhow::{Result, ensure};
use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};

use super::{ROUNDS_IN_A_TURN, checkout::Side, slice::Slice};

const QUESTION: &str = "Does a packet cost more or less with B than with A?";

/// What no change of siplb makes faster or slower: how far the machine is to be trusted.
const CONTROL: &str = "empty program";

/// The report of all turns, each of both sides.
///
/// # Errors
/// When the two have no case of one name.
pub(super) fn report(sides: &[Side; 2], turns: &[[Slice; 2]], cpu: usize) -> Result<Report> {
    let cases =
        |side: usize| turns.iter().take(1).flat_map(move |turn| &turn[side].cases).map(|(name, _)| name);
    let mut points = [vec![], vec![]];
    for name in cases(0) {
        let pairs: Vec<_> = turns.iter().filter_map(|[a, b]| Some((a.ns(name)?, b.ns(name)?))).collect();
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let Some(ratio) = Spread::of_ratios(&b, &a) else { continue };
        points[0].push(Point::new(name, Spread::of(&a)));
        points[1].push(Point {
            ratio: Some(ratio),
            note: marked(&ratio).map(str::to_owned),
            ..Point::new(name, Spread::of(&b))
        });
    }
    ensure!(
        !points[0].is_empty(),
        "the benchmarks of {} and {} have no case of one name",
        sides[0],
        sides[1]
    );
    let only = |side: usize, word: &str| {
        let other = 1 - side;
        let names: Vec<_> = cases(side)
            .filter(|name| !cases(other).any(|known| known == *name))
            .map(String::as_str)
            .collect();
        (!names.is_empty()).then(|| format!("Only {word} has: {}.", names.join("; ")))
    };
    let mut findings = findings(&points[1], turns.len());
    findings.extend([only(0, "A"), only(1, "B")].into_iter().flatten());
    let [a, b] = points;
    let figure = Figure {
        name: "compare".into(),
        title: format!("What a packet costs with A ({}) and with B ({})", sides[0], sides[1]),
        unit: "ns".into(),
        kind: Kind::Bars,
        log_y: false,
        series: vec![Series { name: "A".into(), points: a }, Series { name: "B".into(), points: b }],
    };
    Ok(Report {
        method: method(cpu),
        commit: format!("{}..{}", sides[0], sides[1]),
        figures: vec![figure],
        findings,
        ..Report::new("compare", QUESTION, turns.len())
    })
}

/// What a ratio says that has 1 outside of its quarters.
fn marked(ratio: &Spread) -> Option<&'static str> {
    match ratio {
        _ if ratio.includes(1.0) => None,
        _ if ratio.low > 1.0 => Some("slower"),
        _ => Some("faster"),
    }
}

fn findings(points: &[Point], turns: usize) -> Vec<String> {
    let of = |word: &str| {
        let chosen = points.iter().filter(|point| point.note.as_deref() == Some(word));
        let names: Vec<_> = chosen
            .filter_map(|point| Some(format!("{} ({:.3} times)", point.label, point.ratio?.median)))
            .collect();
        (!names.is_empty()).then(|| format!("B is {word}: {}.", names.join("; ")))
    };
    let mut findings: Vec<_> = [of("slower"), of("faster")].into_iter().flatten().collect();
    if findings.is_empty() {
        findings.push("No case differs: the quarters of every ratio have 1 between them.".to_owned());
    }
    findings.push(format!(
        "Where nothing differs at all, chance marks a row in up to {:.0} % of the cases, with {turns} turns.",
        chance(turns) * 100.0
    ));
    if let Some(ratio) = points.iter().find(|point| point.label == CONTROL).and_then(|point| point.ratio) {
        findings.push(format!(
            "The {CONTROL}, which both have alike, has a ratio of {:.3} ({:.3}..{:.3}): differences of that size are the \
             machine's.",
            ratio.median, ratio.low, ratio.high
        ));
    }
    findings
}

/// How likely it is that the quarters of a ratio leave 1 out though nothing differs, at most: that no more than a quarter of
/// the turns, rounded up, falls on one side of 1, as with coins.
fn chance(turns: usize) -> f64 {
    let few = turns.saturating_sub(1).div_ceil(4);
    let mut ways = 1.0;
    let mut sum = 0.0;
    for heads in 0..=few {
        sum += ways;
        ways *= (turns - heads) as f64 / (heads + 1) as f64;
    }
    (2.0 * sum / 2f64.powi(turns as i32)).min(1.0)
}

fn method(cpu: usize) -> Vec<String> {
    vec![format!(
        "Each side was built by itself and measured by its own `datapath` benchmark, by turns of {ROUNDS_IN_A_TURN} rounds \
         in processes of their own, on CPU {cpu}; who is first changes with every turn. A value is the median of the turns' \
         medians, a ratio that of B over A within each turn, the empty program not taken off."
    )]
}

#[cfg(test)]
mod tests {
    use super::{chance, report};
    use crate::bench::compare::{checkout::Side, slice::Slice};

    fn slice(cases: &[(&str, f64)]) -> Slice {
        Slice { rounds: 3, cases: cases.iter().map(|(name, ns)| ((*name).to_owned(), *ns)).collect() }
    }

    /// Turns whose machine gets slower and slower, with noise of a hundredth: B's INVITE costs `times` as much.
    fn turns(times: f64) -> Vec<[Slice; 2]> {
        let turn = |at: usize| {
            let weather = 1.0 + at as f64 / 10.0;
            // Whoever is first, in turn, has a slow moment.
            let (a, b) = if at.is_multiple_of(2) { (1.01, 1.0) } else { (1.0, 1.01) };
            let [a, b] = [weather * a, weather * b];
            [
                slice(&[("empty program", 30.0 * a), ("INVITE", 300.0 * a)]),
                slice(&[("empty program", 30.0 * b), ("INVITE", 300.0 * times * b)]),
            ]
        };
        (0..20).map(turn).collect()
    }

    fn sides() -> [Side; 2] {
        [Side::Worktree, Side::Worktree]
    }

    #[test]
    fn a_machine_that_changes_is_no_difference() {
        let report = report(&sides(), &turns(1.0), 1).unwrap();
        let points = &report.figures[0].series[1].points;
        assert!(points.iter().all(|point| point.note.is_none()), "{points:?}");
        assert!(points.iter().all(|point| (point.ratio.unwrap().median - 1.0).abs() < 0.01));
        assert!(report.findings[0].starts_with("No case differs"), "{:?}", report.findings);
    }

    #[test]
    fn what_is_dearer_or_cheaper_is_marked_and_nothing_else() {
        for (times, word) in [(1.03, "slower"), (0.97, "faster")] {
            let report = report(&sides(), &turns(times), 1).unwrap();
            let [empty, invite] = &report.figures[0].series[1].points[..] else { panic!("two cases") };
            assert_eq!(invite.note.as_deref(), Some(word));
            assert!((invite.ratio.unwrap().median - times).abs() < 0.01);
            assert_eq!(empty.note, None);
            assert!(report.findings[0].starts_with(&format!("B is {word}: INVITE")), "{:?}", report.findings);
        }
    }

    #[test]
    fn cases_are_matched_by_name_and_those_of_one_side_are_named() {
        let turn = [slice(&[("old", 1.0), ("both", 2.0)]), slice(&[("both", 4.0), ("new", 1.0)])];
        let found = report(&sides(), &[turn], 0).unwrap();
        let points = &found.figures[0].series[1].points;
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].ratio.unwrap().median, 2.0);
        let text = found.findings.join("\n");
        assert!(text.contains("Only A has: old.") && text.contains("Only B has: new."), "{text}");

        let strangers = [slice(&[("one", 1.0)]), slice(&[("other", 1.0)])];
        assert!(report(&sides(), &[strangers], 0).is_err());
    }

    #[test]
    fn chance_is_that_of_coins() {
        // Of 5 coins at most 1 on the rarer side: 2 * (1 + 5) / 32.
        assert!((chance(5) - 0.375).abs() < 1e-12);
        // Of 20 at most 5: 2 * 21,700 / 2^20.
        assert!((chance(20) - 43_400.0 / 1_048_576.0).abs() < 1e-12);
        assert_eq!(chance(1), 1.0);
    }
}
