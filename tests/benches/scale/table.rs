//! How long it takes to deal a lookup table, as the daemon does when groups or weights change.

use std::{hint::black_box, time::Instant};

use lb_user::table::{Share, Table};

pub(crate) const GROUPS: [usize; 5] = [1, 10, 100, 1_000, 4_096];

/// Milliseconds of each step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// Dealing it.
    pub(crate) dealt: f64,
    /// Giving away the slots of one group that is down.
    pub(crate) given_away: f64,
}

/// Deals a table of so many groups once.
pub(crate) fn measure(groups: usize) -> Took {
    const SEED: u64 = 0x5eed;
    let names: Vec<String> = (0..groups).map(|group| format!("group-{group}")).collect();
    let shares: Vec<Share<'_>> = names.iter().map(|name| Share { name, weight: 100 }).collect();
    let start = Instant::now();
    let table = Table::build(black_box(&shares), SEED);
    let dealt = start.elapsed();
    let up: Vec<bool> = (0..groups).map(|group| group != 0).collect();
    let start = Instant::now();
    black_box(table.with_down(black_box(&up)));
    let given_away = start.elapsed();
    Took { dealt: dealt.as_secs_f64() * 1e3, given_away: given_away.as_secs_f64() * 1e3 }
}
