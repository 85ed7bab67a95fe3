use crate::{kind::Flood, measure::Outcome};
use siplb_figures::Report;
pub(crate) fn of(all: &[(Flood, Vec<Outcome>)], rounds: usize) -> Report {
    for (f, o) in all { for o in o { eprintln!("{}: {:?} completed {} tally {:?} p50 {:?} p99 {:?} reasons {:?} away {} busy {:.2}", f.name(), o.offered, o.completed(), o.tally, o.setup_within(0.5), o.setup_within(0.99), o.reasons, o.turned_away, o.others_busy); let _ = f.reason(); } }
    Report::new("flood", "?", rounds)
}
