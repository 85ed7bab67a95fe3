//! What was found out about backends, by their [`super::path`]. What is in neither set is up and takes all.

use std::collections::BTreeSet;

/// What a plan is made by, beside what is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Those that checks found down.
    pub down: &'a BTreeSet<String>,
    /// Those that asked for less.
    pub overloaded: &'a BTreeSet<String>,
}

impl Facts<'_> {
    /// Everything is up.
    pub const NONE: Facts<'static> = Facts { down: &BTreeSet::new(), overloaded: &BTreeSet::new() };
}
