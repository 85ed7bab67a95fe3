//! The report: how long each kind of fault was felt, and by how many requests.

use std::{collections::BTreeMap, time::Duration};

use siplb_figures::{Figure, Kind as Drawn, Point, Report, Series, Spread};
use siplb_lab::outage::Outage;

use crate::{
    faults::Kind,
    stage::{CALM, GROUPS, PATIENCE},
    traffic::PERIOD,
};

pub(crate) type Outages = BTreeMap<Kind, Vec<Outage>>;

pub(crate) fn of(runs: usize, outages: &Outages) -> Report {
    let question = "How long after a fault do requests still go wrong?";
    let mut report = Report::new(crate::BENCH, question, runs);
    report.method = method();
    report.figures = vec![last(outages), table(outages), wrong(outages)];
    report.findings = outages.iter().map(|(kind, outages)| finding(*kind, outages)).collect();
    report
}

fn method() -> Vec<String> {
    let rate = 1_000 / PERIOD.as_millis();
    vec![
        format!(
            "The real siplb, with all times as they are by default, in front of {GROUPS} groups of servers, each server in a network \
             namespace of its own. A client sends {rate} numbered requests a second to the VIP, {} a second for each group. A server \
             answers at once and says which it is.",
            rate / u128::from(GROUPS)
        ),
        format!(
            "A request went wrong that was sent after the fault and not answered within {} ms, when a client would repeat it (T1): \
             it went to a server that could not answer, or was lost. The time is from the fault until the last of these was sent. \
             A fault counts as over when for {:.1} s all requests were answered.",
            PATIENCE.as_millis(),
            CALM.as_secs_f64()
        ),
        "A fault comes at a random time between two checks, by turns to every group, when all servers are up and have their users: who \
         comes back is sent home by `siplb backend ready --now`, which by default takes 30 s and a handover. Kinds of faults \
         run in four labs at one time."
            .to_owned(),
        "Killed: SIGKILL to the server's process, so that its host says that nobody listens. Stopped: SIGSTOP. Link down: the \
         server's end of its link. Address gone: the server's host loses its address, and its neighbour may believe for a while that \
         it has it. Daemon: SIGKILL to siplb's own daemon, with all servers well; it is started again for the next fault. Node: one \
         of two nodes loses its links and its keepalived at once; the other takes the VIP and the servers' gateway, by VRRP with \
         keepalived's default of one message a second."
            .to_owned(),
    ]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn times(outages: &[Outage]) -> Vec<f64> {
    outages.iter().map(|outage| ms(outage.last)).collect()
}

fn last(outages: &Outages) -> Figure {
    let series =
        |(kind, outages): (&Kind, &Vec<Outage>)| Series::of_samples(&kind.name(), &times(outages), None);
    Figure {
        name: "last".to_owned(),
        title: "From a fault to the last request that went wrong".to_owned(),
        unit: "ms".to_owned(),
        kind: Drawn::Distribution,
        log_y: false,
        series: outages.iter().map(series).collect(),
    }
}

/// The sample that so much of all are at most.
fn part(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len());
    sorted[at - 1]
}

/// The same as a table of the least, the median, nine tenths and the most.
fn table(outages: &Outages) -> Figure {
    let column = |name: &str, of: &dyn Fn(&[f64]) -> f64| {
        let point = |(kind, outages): (&Kind, &Vec<Outage>)| {
            Point::new(&kind.name(), Spread::exactly(of(&times(outages))))
        };
        Series { name: name.to_owned(), points: outages.iter().map(point).collect() }
    };
    Figure {
        name: "table".to_owned(),
        title: "The same, in figures".to_owned(),
        unit: "ms".to_owned(),
        kind: Drawn::Bars,
        log_y: false,
        series: vec![
            column("least", &|samples| part(samples, 0.0)),
            column("median", &|samples| Spread::of(samples).median),
            column("nine of ten at most", &|samples| part(samples, 0.9)),
            column("most", &|samples| part(samples, 1.0)),
        ],
    }
}

fn wrong(outages: &Outages) -> Figure {
    let point = |(kind, outages): (&Kind, &Vec<Outage>)| {
        let counts: Vec<f64> = outages.iter().map(|outage| outage.wrong as f64).collect();
        let all: usize = outages.iter().map(|outage| outage.wrong).sum();
        Point { note: Some(format!("{all} in all")), ..Point::new(&kind.name(), Spread::of(&counts)) }
    };
    Figure {
        name: "wrong".to_owned(),
        title: "Requests of a fault that went wrong".to_owned(),
        unit: "requests".to_owned(),
        kind: Drawn::Bars,
        log_y: false,
        series: vec![Series { name: "went wrong".to_owned(), points: outages.iter().map(point).collect() }],
    }
}

fn finding(kind: Kind, outages: &[Outage]) -> String {
    let samples = times(outages);
    let wrong: usize = outages.iter().map(|outage| outage.wrong).sum();
    if wrong == 0 {
        return format!("{}: no request went wrong in {} runs.", kind.name(), outages.len());
    }
    format!(
        "{}: the last request that went wrong was sent {:.0} ms after the fault in the median, {:.0} at most; {:.0} requests a \
         fault in the mean.",
        kind.name(),
        Spread::of(&samples).median,
        part(&samples, 1.0),
        wrong as f64 / outages.len() as f64
    )
}
