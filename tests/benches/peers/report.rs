//! Figures and findings of the measurements.

use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};

use crate::{FAST, Measured, SLOW, contender::Contender, measure::Cost, text};

/// Added CPU a request, as a part of plain routing's own.
const AIM_ROUTING: f64 = 0.1;
/// The same, as a part of Kamailio's.
const AIM_KAMAILIO: f64 = 0.01;

/// All that was measured, as a report.
pub(crate) fn of(all: &[Measured], generator: f64, rounds: usize) -> Report {
    let question = "What does a request cost through siplb, and through what users would put in its place?";
    let mut report = Report::new("peers", question, rounds);
    report.method = text::method();
    report.figures = vec![
        own(
            all,
            "own",
            &format!("CPU time of a request, less the bare wire's, {}", rate(SLOW.per_second)),
            slow,
        ),
        own(all, "own-bursts", &format!("The same at {}, in bursts", rate(FAST.per_second)), fast),
        kamailio(all),
        whole(all),
        highest(all),
        latency(all),
    ];
    report.findings = findings(all, generator);
    report
}

type Which = fn(&Measured) -> &[Cost];

fn slow(one: &Measured) -> &[Cost] {
    &one.slow
}

fn fast(one: &Measured) -> &[Cost] {
    &one.fast
}

fn figure(name: &str, title: &str, unit: &str, log_y: bool, series: Vec<Series>) -> Figure {
    let (name, title, unit) = (name.to_owned(), title.to_owned(), unit.to_owned());
    Figure { name, title, unit, kind: Kind::Bars, log_y, series }
}

fn series(name: &str, points: Vec<Point>) -> Series {
    Series { name: name.to_owned(), points }
}

fn find(all: &[Measured], contender: Contender) -> &Measured {
    all.iter().find(|one| one.contender == contender).expect("every contender is measured")
}

fn requests(costs: &[Cost]) -> Vec<f64> {
    costs.iter().map(|cost| cost.request_ns).collect()
}

/// Round by round, what a contender costs more than another.
fn more(all: &[Measured], which: Which, contender: Contender, than: Contender) -> Vec<f64> {
    let than = requests(which(find(all, than)));
    requests(which(find(all, contender))).iter().zip(than).map(|(cost, than)| cost - than).collect()
}

/// Less the wire, with plain routing as the baseline.
fn own(all: &[Measured], name: &str, title: &str, which: Which) -> Figure {
    let base = more(all, which, Contender::Routing, Contender::Wire);
    let point = |one: &Measured| {
        let own = more(all, which, one.contender, Contender::Wire);
        Point {
            ratio: Spread::of_ratios(&own, &base),
            aim: (one.contender == Contender::Siplb).then_some(AIM_ROUTING),
            note: Some(one.contender.rule().to_owned()),
            ..Point::new(one.contender.name(), Spread::of(&own))
        }
    };
    let there = all.iter().filter(|one| one.contender != Contender::Wire && !which(one).is_empty());
    figure(
        name,
        title,
        "ns",
        true,
        vec![series("less the bare wire, against plain routing", there.map(point).collect())],
    )
}

/// siplb's own as a part of Kamailio's.
fn kamailio(all: &[Measured]) -> Figure {
    let base = more(all, slow, Contender::Kamailio, Contender::Wire);
    let point = |label: &str, own: &[f64]| Point {
        ratio: Spread::of_ratios(own, &base),
        aim: Some(AIM_KAMAILIO),
        ..Point::new(label, Spread::of(own))
    };
    let one_by_one = more(all, slow, Contender::Siplb, Contender::Wire);
    let in_bursts = more(all, fast, Contender::Siplb, Contender::Wire);
    let points = vec![
        point(&format!("siplb, {}", rate(SLOW.per_second)), &one_by_one),
        point(&format!("siplb, {}, in bursts", rate(FAST.per_second)), &in_bursts),
    ];
    let title =
        format!("CPU time of a request through siplb, against Kamailio's at {}", rate(SLOW.per_second));
    figure("against-kamailio", &title, "ns", true, vec![series("less the bare wire", points)])
}

/// All that the machine spends on a request.
fn whole(all: &[Measured]) -> Figure {
    let one = |name: &str, which: Which| {
        let base = requests(which(find(all, Contender::Routing)));
        let point = |one: &Measured| {
            let values = requests(which(one));
            let added = Spread::of(&more(all, which, one.contender, Contender::Routing)).median;
            Point {
                ratio: Spread::of_ratios(&values, &base),
                note: (one.contender != Contender::Routing)
                    .then(|| format!("{added:+.0} ns over plain routing")),
                ..Point::new(one.contender.name(), Spread::of(&values))
            }
        };
        series(name, all.iter().filter(|one| !which(one).is_empty()).map(point).collect())
    };
    let both = vec![
        one(&rate(SLOW.per_second), slow),
        one(&format!("{}, in bursts of {}", rate(FAST.per_second), FAST.burst), fast),
    ];
    figure(
        "request",
        "CPU time of a request, generator and sink included, against plain routing",
        "ns",
        true,
        both,
    )
}

fn highest(all: &[Measured]) -> Figure {
    let rates = |one: &Measured| one.highest.iter().map(|highest| highest.per_second).collect::<Vec<_>>();
    let base = rates(find(all, Contender::Routing));
    let point = |one: &Measured| {
        let values = rates(one);
        let generators = one.highest.iter().filter(|highest| highest.is_generators).count();
        let note = format!("in {generators} of {} rounds the generator made no more", one.highest.len());
        Point {
            ratio: Spread::of_ratios(&values, &base),
            note: (generators > 0).then_some(note),
            ..Point::new(one.contender.name(), Spread::of(&values))
        }
    };
    let points = all.iter().map(point).collect();
    figure(
        "highest",
        "Highest rate without loss on one CPU, against plain routing",
        "requests/s",
        true,
        vec![series("requests a second", points)],
    )
}

fn latency(all: &[Measured]) -> Figure {
    let one = |name: &str, value: fn(&Cost) -> f64| {
        let values = |one: &Measured| one.slow.iter().map(value).collect::<Vec<_>>();
        let base = values(find(all, Contender::Routing));
        let point = |one: &Measured| {
            let values = values(one);
            Point {
                ratio: Spread::of_ratios(&values, &base),
                ..Point::new(one.contender.name(), Spread::of(&values))
            }
        };
        series(name, all.iter().map(point).collect())
    };
    let title = format!("From the client to the server, {}, against plain routing", rate(SLOW.per_second));
    figure(
        "latency",
        &title,
        "µs",
        true,
        vec![one("half of all within", |cost| cost.p50_us), one("99 % within", |cost| cost.p99_us)],
    )
}

/// `10,000 requests/s`.
fn rate(per_second: f64) -> String {
    let thousands = (per_second / 1e3).round();
    format!("{thousands:.0},000 requests/s")
}

fn findings(all: &[Measured], generator: f64) -> Vec<String> {
    let mut found = vec![format!(
        "The generator makes {:.1} million frames a second on one CPU when nobody waits for them.",
        generator / 1e6
    )];
    for which in [(slow as Which, SLOW.per_second), (fast, FAST.per_second)] {
        let (which, per_second) = which;
        let added = Spread::of(&more(all, which, Contender::Siplb, Contender::Routing));
        let word = if added.median < 0.0 {
            "less than plain routing, whose stack it spares,"
        } else {
            "more than plain routing"
        };
        found.push(format!(
            "At {}, the machine spends {:.0} ns {word} on a request through siplb.",
            rate(per_second),
            added.median.abs()
        ));
    }
    let daemon = find(all, Contender::Siplb).slow.iter().map(|cost| cost.processes_ns).collect::<Vec<_>>();
    found.push(format!(
        "Of siplb's cost at {}, {:.0} ns are its daemon, which checks servers whether there are requests or not: {:.2} % of a \
         CPU.",
        rate(SLOW.per_second),
        Spread::of(&daemon).median,
        Spread::of(&daemon).median * SLOW.per_second / 1e7
    ));
    found.extend(limit_of_redirects(all));
    for one in all {
        let lost = one.slow.iter().chain(&one.fast).map(|cost| cost.lost).fold(0.0, f64::max);
        if lost > 0.0 {
            found.push(format!(
                "{} lost up to {:.2} % at a steady rate.",
                one.contender.name(),
                lost * 100.0
            ));
        }
        if one.highest.iter().any(|highest| highest.is_generators) {
            found.push(format!(
                "{} carried all that the generator made: its highest rate is at least what is shown.",
                one.contender.name()
            ));
        }
        if let Some(told) = one.told {
            found.push(format!(
                "{}: on its CPU a request took {:.1} µs by the scheduler's account of its processes, {:.1} µs by a thread that \
                 ran when nobody else did, {:.1} µs by the samples of /proc/stat. What is more than the first was others'.",
                one.contender.name(),
                told.scheduler_ns / 1e3,
                told.idle_ns / 1e3,
                told.stat_ns / 1e3
            ));
        }
    }
    found.extend(text::looked_for());
    found
}

/// What to make of highest rates when the bare wire, which does nothing, has no better one than who does something.
fn limit_of_redirects(all: &[Measured]) -> Option<String> {
    let rate = |contender| {
        let rates: Vec<f64> = find(all, contender).highest.iter().map(|highest| highest.per_second).collect();
        Spread::of(&rates).median
    };
    let (wire, routing, siplb) = (rate(Contender::Wire), rate(Contender::Routing), rate(Contender::Siplb));
    (wire < routing).then(|| {
        format!(
            "The bare wire, which reads nothing, carries {wire:.0} requests/s without loss and plain routing {routing:.0}: the devices \
             of this bench are the limit for whatever is sent on by XDP, siplb's {siplb:.0} included, and not what a request costs."
        )
    })
}
