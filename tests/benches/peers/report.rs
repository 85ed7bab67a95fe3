//! Figures and findings of the measurements.

use siplb_figures::Report;

use crate::Measured;

pub(crate) fn of(all: &[Measured], rounds: usize) -> Report {
    for one in all { eprintln!("{}: slow {:?}\n fast {:?}\n highest {:?}\n told {:?}", one.contender.name(), one.slow, one.fast, one.highest, one.told); }
    Report::new("peers", "What does a request cost through siplb, and through what users would put in its place?", rounds)
}
