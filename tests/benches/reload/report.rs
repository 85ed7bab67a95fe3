//! From what the daemon said to the report.

use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};

use crate::{daemon::Took, files::Case};

const QUESTION: &str =
    "How long does the daemon take from a reload's request to the last store, with 1,000 backends?";

/// What a reload is to take at most, in milliseconds.
const AIM_MS: f64 = 50.0;

/// The report of all reloads, and of how long `siplb status` took, in microseconds, and how many columns it had.
pub(crate) fn of(rows: &[(Case, Vec<Took>)], rounds: usize, (status_us, columns): (u64, usize)) -> Report {
    let series = |name: &str, part: fn(&Took) -> u64| Series {
        name: name.to_owned(),
        points: rows.iter().map(|(case, all)| Point::new(case.name(), spread(all, part))).collect(),
    };
    let mut total = series("total", |took| took.total_us);
    for (point, (_, all)) in total.points.iter_mut().zip(rows) {
        let longest = all.iter().map(|took| took.total_us).max().unwrap_or(0);
        point.note = Some(format!("longest {:.1}", ms(longest)));
        point.aim = Some(AIM_MS);
    }
    let figure = |name: &str, title: &str, series| Figure {
        name: name.to_owned(),
        title: title.to_owned(),
        unit: "ms".to_owned(),
        kind: Kind::Bars,
        log_y: false,
        series,
    };
    let missed: Vec<_> = total.points.iter().filter(|point| point.is_aim_reached() == Some(false)).collect();
    let named: Vec<_> =
        missed.iter().map(|point| format!("{} ({:.0} ms)", point.label, point.value.median)).collect();
    let findings = vec![
        match missed.len() {
            0 => format!("Every change takes at most {AIM_MS} ms by the median."),
            _ => format!("The aim of {AIM_MS} ms is missed by: {}.", named.join("; ")),
        },
        format!(
            "`siplb status` takes {:.0} ms, process and all; its widest line has {columns} columns.",
            ms(status_us)
        ),
    ];
    let parts = vec![
        series("read", |took| took.read_us),
        series("plan", |took| took.plan_us),
        series("store", |took| took.store_us),
        series("publish", |took| took.publish_us),
    ];
    let figures = vec![
        figure("total", "What a reload takes", vec![total]),
        figure("parts", "What it takes it for", parts),
    ];
    Report { method: method(), figures, findings, ..Report::new("reload", QUESTION, rounds) }
}

fn spread(all: &[Took], part: fn(&Took) -> u64) -> Spread {
    Spread::of(&all.iter().map(|took| ms(part(took))).collect::<Vec<_>>())
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

fn method() -> Vec<String> {
    [
        "A pool of 1,000 backends in 200 groups of 5, each backend with an alias. The real daemon runs in a network namespace \
         of its own with the program on a veth and its state on the machine's disk. In every round, every change is made and \
         undone by a reload of another file, by turns; the daemon's own clock says how long each took, and for what. Checks \
         are made once an hour, so that they are not measured.",
        "*read* is the file, what it contradicts, and what was done at run time laid over it; most of it is the TOML parser. \
         *plan* is ids, names and who serves; and the lookup table, which is dealt again when a group's name or weight has \
         changed, and not otherwise. *store* is `ids.json` or `runtime.json` to the disk, when they have changed; the first \
         time that backends are new they are numbered and stored, which is the longest of its row. *publish* is the maps' \
         other half, as far as it differs, and the store that counts; a reload within some 10 ms of another also waits here \
         until packets have let go of the half to be written, which is why these are 100 ms apart.",
    ]
    .map(str::to_owned)
    .to_vec()
}
