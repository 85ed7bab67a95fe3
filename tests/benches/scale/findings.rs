//! Sentences on the figures: what is flat, what grows, by how much, and why.

use siplb_figures::{Figure, Kind, Point, Series};
use siplb_tests::growth::sentence;

/// Why something grows where it does: the figure, the beginning of the series' name, the reason. The first that fits counts.
const WHY: [(&str, &str, &str); 8] = [
    (
        "backends",
        "reply",
        "The hash of backends' sockets and the counters of each backend no longer lie in the nearer caches.",
    ),
    (
        "backends",
        "",
        "Entries of groups, backends, next hops and counters that packets hit by turns no longer lie in the nearer caches.",
    ),
    (
        "vips",
        "reply",
        "Each VIP has counters of its own, 2 KiB apart, of which replies hit one after the other; they look into no table.",
    ),
    ("vips", "INVITE, with one table", "Each VIP has counters of its own and an entry in a hash."),
    (
        "vips",
        "",
        "Each VIP has a table of 128 KiB of its own: 1,024 take 128 MiB, more than caches hold, and each look-up of a slot waits for \
         memory and for the page's address. The line with one table for all shows what is left without that.",
    ),
    ("users", "", "Users are in no map; more of them touch more of the 128 KiB of their pool's table."),
    (
        "table",
        "",
        "Each of 65,537 slots goes to the first group to reach it: with more groups there is more to compare and to correct.",
    ),
    (
        "daemon",
        "",
        "Each backend has its configuration, its last 32 checks and its part of what was planned.",
    ),
];

/// Of all figures.
pub(crate) fn of(figures: &[Figure]) -> Vec<String> {
    let mut findings = Vec::new();
    for figure in figures {
        match (&figure.kind, figure.name.as_str()) {
            (Kind::Lines { x, .. }, _) => {
                findings.extend(figure.series.iter().filter_map(|series| of_line(figure, series, x)));
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

fn of_line(figure: &Figure, series: &Series, x: &str) -> Option<String> {
    let (first, last) = (series.points.first()?, series.points.last()?);
    let label = |point: &Point| match point.label.as_str() {
        "1" => format!("1 {}", x.trim_end_matches('s')),
        number => format!("{number} {x}"),
    };
    let why = WHY.iter().find(|(name, start, _)| *name == figure.name && series.name.starts_with(start));
    let what = format!("{} by {x}", series.name);
    let (from, to) = (label(first), label(last));
    let (from, to) = ((from.as_str(), &first.value), (to.as_str(), &last.value));
    Some(sentence(&what, from, to, last.ratio.as_ref()?, &figure.unit, why.map_or("", |(.., why)| why)))
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
