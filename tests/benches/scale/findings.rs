//! Sentences on the figures: what is flat, what grows, by how much, and why.

use siplb_figures::{Figure, Kind, Point, Series};
use siplb_tests::growth::sentence;

/// Why a figure over numbers grows where it does, by its name.
const WHY: [(&str, &str); 5] = [
    (
        "backends",
        "Entries of groups, backends and next hops that packets hit by turns no longer lie in the first-level cache, and for replies \
         the hash of backends' sockets.",
    ),
    (
        "vips",
        "Each VIP has an entry of its own in a hash and a table of 128 KiB of its own: with 256 of them tables are the size of the \
         third-level cache, and each look-up of a slot waits for memory.",
    ),
    ("users", "Users are in no map; more of them touch more of the 128 KiB of their pool's table."),
    (
        "table",
        "Dealing gives each of 65,537 slots to the first of all groups to reach it: more groups, more to compare.",
    ),
    ("daemon", "Each backend has its configuration, its last 32 checks and its part of what was planned."),
];

/// Of all figures.
pub(crate) fn of(figures: &[Figure]) -> Vec<String> {
    let mut findings = Vec::new();
    for figure in figures {
        match (&figure.kind, figure.name.as_str()) {
            (Kind::Lines { x, .. }, name) => {
                let x = x.split(',').next().unwrap_or(x);
                let why = WHY.iter().find(|(of, _)| *of == name).map_or("", |(_, why)| why);
                findings.extend(figure.series.iter().filter_map(|series| of_line(figure, series, x, why)));
            }
            (_, "repetition") => findings.extend(of_repetition(figure)),
            (_, "queues") => findings.extend(of_queues(figure)),
            _ => {}
        }
    }
    findings.push(
        "Not measured: what a network card and its driver share between queues, forms of messages that differ from packet to \
         packet, and messages in dialogs, whose names are one look-up in a hash."
            .to_owned(),
    );
    findings
}

fn of_line(figure: &Figure, series: &Series, x: &str, why: &str) -> Option<String> {
    let (first, last) = (series.points.first()?, series.points.last()?);
    let label = |point: &Point| format!("{} {x}", point.label);
    let what = format!("{} by {x}", series.name);
    let ends = [(label(first), &first.value), (label(last), &last.value)];
    let [from, to] = &ends;
    Some(sentence(&what, (&from.0, from.1), (&to.0, to.1), last.ratio.as_ref()?, &figure.unit, why))
}

/// What random and cold traffic costs over one packet repeated.
fn of_repetition(figure: &Figure) -> Vec<String> {
    let mut findings = Vec::new();
    let [repeated, random, cold] = &figure.series[..] else { return findings };
    for ((one, random), cold) in repeated.points.iter().zip(&random.points).zip(&cold.points) {
        let (Some(times), Some(cold_times)) = (random.ratio, cold.ratio) else { continue };
        findings.push(format!(
            "{}: {:.0} ns when one packet is repeated, {:.0} under random traffic ({:.2} times), {:.0} when caches are cold \
             ({:.1} times).",
            one.label, one.value.median, random.value.median, times.median, cold.value.median, cold_times.median
        ));
    }
    findings
}

/// What two queues have of each other.
fn of_queues(figure: &Figure) -> Vec<String> {
    let mut findings = Vec::new();
    let [_, apart, together] = &figure.series[..] else { return findings };
    for (apart, together) in apart.points.iter().zip(&together.points) {
        let (Some(machine), Some(all)) = (apart.ratio, together.ratio) else { continue };
        findings.push(format!(
            "Two queues, {}: {:.2} times one alone where they share nothing, which is the machine's doing, and {:.2} times with \
             siplb's maps shared.",
            apart.label, machine.median, all.median
        ));
    }
    findings
}
