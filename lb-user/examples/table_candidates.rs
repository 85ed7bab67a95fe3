//! Compares ways to deal the slots of the lookup table. The figures in `docs/adr/0004-lookup-table.md` come from
//! `cargo run --release -p lb-user --example table_candidates`, which takes minutes; numbers of groups as arguments
//! limit it to these.
//!
//! Each line is one candidate on 40 pools of one size, with equal weights or weights of 1 to 10. A member is taken out,
//! and the two tables are compared, which shows addition and removal alike: `off` is how far the worst group is from
//! its fair share, `moved` the slots that changed hands over those that the member had, the least possible, and
//! `build ms` the shortest time for one table. Candidates other than the real one favour plainness over speed: they
//! hold the time of every group at every slot.
use std::time::Instant;

use lb_user::table::{SLOTS, Share, Table};
use xxhash_rust::xxh64::xxh64;

type Deal = fn(&[Share<'_>], u64) -> Vec<usize>;

const CANDIDATES: [(&str, Deal); 5] = [
    ("Maglev", maglev),
    ("rendezvous", |shares, seed| first(&times(shares, seed, hashed))),
    ("race", |shares, seed| first(&times(shares, seed, listed))),
    ("race, exact quota", |shares, seed| quota(shares, &times(shares, seed, listed))),
    ("race, band of 2 %", |shares, seed| {
        Table::build(shares, seed).owners().iter().map(|&owner| usize::from(owner)).collect()
    }),
];

fn main() {
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let groups = if asked.is_empty() { vec![2, 3, 4, 8, 16, 33, 64, 256, 1000] } else { asked };
    println!("candidate          groups  weights  off mean   off max  moved mean  moved max  build ms");
    for (mixed, weights) in [(false, "1"), (true, "1..10")] {
        for &groups in &groups {
            for (name, deal) in CANDIDATES {
                // The plain candidates need a gigabyte and seconds a table for 1,000 groups.
                if groups < 1000 || name.starts_with("race, band") {
                    measure(name, deal, groups, mixed, weights);
                }
            }
        }
    }
}

fn measure(name: &str, deal: Deal, groups: usize, mixed: bool, weights: &str) {
    let (mut off, mut moved, mut milliseconds) = (Vec::new(), Vec::new(), Vec::new());
    let names: Vec<String> = (0..groups).map(|group| format!("group-{group}")).collect();
    for seed in 0..40 {
        let weigh = |name: &str| if mixed { 1 + (xxh64(name.as_bytes(), !seed) % 10) as u32 } else { 1 };
        let all: Vec<_> = names.iter().map(|name| Share { name, weight: weigh(name) }).collect();
        let leaver = seed as usize % groups;
        let mut rest = all.clone();
        rest.remove(leaver);
        let start = Instant::now();
        let before = deal(&all, seed);
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        let after = deal(&rest, seed);
        off.extend([imbalance(&before, &all), imbalance(&after, &rest)]);
        let renumbered = after.iter().map(|&owner| owner + usize::from(owner >= leaver));
        let changed = before.iter().zip(renumbered).filter(|(old, new)| **old != *new).count();
        let least = before.iter().filter(|&&owner| owner == leaver).count();
        moved.push(changed as f64 / least as f64);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let max = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (off_mean, off_max) = (100.0 * mean(&off), 100.0 * max(&off));
    let build = milliseconds.into_iter().fold(f64::INFINITY, f64::min);
    let (moved_mean, moved_max) = (mean(&moved), max(&moved));
    println!(
        "{name:18} {groups:6}  {weights:>7} {off_mean:7.2} % {off_max:7.2} %  {moved_mean:10.3} {moved_max:10.3} \
         {build:9.1}"
    );
}

/// How far the worst group is from its fair share, relative to it; less than one slot counts as nothing.
fn imbalance(owners: &[usize], shares: &[Share<'_>]) -> f64 {
    let total: u32 = shares.iter().map(|share| share.weight).sum();
    let off = shares.iter().enumerate().map(|(group, share)| {
        let fair = SLOTS as f64 * f64::from(share.weight) / f64::from(total);
        let off = (owners.iter().filter(|&&owner| owner == group).count() as f64 - fair).abs();
        if off < 1.0 { 0.0 } else { off / fair }
    });
    off.fold(0.0, f64::max)
}

/// Unit waits of one group for all slots.
type Waits = fn(u64) -> Vec<f64>;

/// Independent waits, from a hash of group and slot.
fn hashed(group: u64) -> Vec<f64> {
    let uniform = |slot: usize| (xxh64(&slot.to_le_bytes(), group) >> 11) as f64 + 0.5;
    (0..SLOTS).map(|slot| -(uniform(slot) / (1u64 << 53) as f64).ln()).collect()
}

/// The means of sorted exponential waits, dealt out along a list of slots that differs from group to group.
fn listed(group: u64) -> Vec<f64> {
    let (factor, start) = (1 + (group >> 32) as usize % (SLOTS - 1), group as usize % SLOTS);
    let (mut waits, mut wait) = (vec![0.0; SLOTS], 0.0);
    for place in 0..SLOTS {
        wait += 1.0 / (SLOTS - place) as f64;
        waits[(factor * (place * place * place % SLOTS) + start) % SLOTS] = wait;
    }
    waits
}

/// The time of every group at every slot.
fn times(shares: &[Share<'_>], seed: u64, waits: Waits) -> Vec<Vec<f64>> {
    let weighted = |share: &Share<'_>| {
        let unit = waits(xxh64(share.name.as_bytes(), seed));
        unit.into_iter().map(|wait| wait / f64::from(share.weight)).collect()
    };
    shares.iter().map(weighted).collect()
}

/// The owner of each slot is the first to reach it.
fn first(times: &[Vec<f64>]) -> Vec<usize> {
    let earliest = |slot: usize| (0..times.len()).min_by(|&a, &b| times[a][slot].total_cmp(&times[b][slot]));
    (0..SLOTS).map(|slot| earliest(slot).unwrap_or(0)).collect()
}

/// All arrivals in the order of time, each taking its slot if that is free and the group has not its quota.
fn quota(shares: &[Share<'_>], times: &[Vec<f64>]) -> Vec<usize> {
    let total: usize = shares.iter().map(|share| share.weight as usize).sum();
    let mut left: Vec<usize> = shares.iter().map(|share| SLOTS * share.weight as usize / total).collect();
    let mut by_rest: Vec<usize> = (0..shares.len()).collect();
    by_rest.sort_by_key(|&group| SLOTS * shares[group].weight as usize % total);
    let spare = SLOTS - left.iter().sum::<usize>();
    by_rest.iter().rev().take(spare).for_each(|&group| left[group] += 1);
    let mut owners = vec![usize::MAX; SLOTS];
    // In turns of a few slots, so that not all groups x slots must be sorted at once.
    let mut open: Vec<usize> = (0..SLOTS).collect();
    let (mut from, step) = (0.0, 4.0 / total as f64);
    while !open.is_empty() {
        let soon = |time: f64| (from..from + step).contains(&time);
        let mut arrivals: Vec<(f64, usize, usize)> = (0..shares.len())
            .filter(|&group| left[group] > 0)
            .flat_map(|group| open.iter().map(move |&slot| (times[group][slot], group, slot)))
            .filter(|&(time, ..)| soon(time))
            .collect();
        arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, group, slot) in arrivals {
            if owners[slot] == usize::MAX && left[group] > 0 {
                owners[slot] = group;
                left[group] -= 1;
            }
        }
        open.retain(|&slot| owners[slot] == usize::MAX);
        from += step;
    }
    owners
}

/// Eisenbud et al., NSDI 2016: groups take turns, by weight, each taking the next free slot of its list.
fn maglev(shares: &[Share<'_>], seed: u64) -> Vec<usize> {
    let most = shares.iter().map(|share| share.weight).max().unwrap_or(1);
    let hashes: Vec<u64> = shares.iter().map(|share| xxh64(share.name.as_bytes(), seed)).collect();
    let mut next: Vec<usize> = hashes.iter().map(|&hash| hash as usize % SLOTS).collect();
    let mut credit = vec![0; shares.len()];
    let (mut owners, mut left) = (vec![usize::MAX; SLOTS], SLOTS);
    loop {
        for group in 0..shares.len() {
            credit[group] += shares[group].weight;
            if credit[group] < most {
                continue;
            }
            credit[group] -= most;
            let stride = 1 + (hashes[group] >> 32) as usize % (SLOTS - 1);
            while owners[next[group]] != usize::MAX {
                next[group] = (next[group] + stride) % SLOTS;
            }
            owners[next[group]] = group;
            left -= 1;
            if left == 0 {
                return owners;
            }
        }
    }
}
