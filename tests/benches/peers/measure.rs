//! The measurements: what a request costs and how long it takes at a steady rate, and the highest rate without loss.

use std::time::Duration;

use anyhow::{Result, ensure};
use siplb_lab::interrupt;
use siplb_load::{Idle, Pace, Programs, Search, Stat, cost};

use crate::{CONTENDER_CPU, GENERATOR_CPU, contender::Contender, stand::Stand};

/// Before each measurement: neighbours are found, caches warm.
const WARM_UP: Duration = Duration::from_millis(50);
const STEADY: Duration = Duration::from_millis(1_000);
const TRY: Duration = Duration::from_millis(400);
/// What the search goes up to: more than the generator reaches.
const RATE_LIMIT: f64 = 2_500_000.0;
/// Where it begins, and bursts are this far apart: of one frame up to 25,000 a second.
const BURSTS: f64 = 25_000.0;

/// A steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    pub(crate) per_second: f64,
    pub(crate) burst: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU time a request, of the whole box less the generator's waiting, in nanoseconds.
    pub(crate) request_ns: f64,
    /// The part of it in processes, the contender's own.
    pub(crate) processes_ns: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Requests that did not arrive, of all.
    pub(crate) lost: f64,
}

/// What a request costs.
pub(crate) fn steady(stand: &mut Stand, programs: &mut Programs, steady: Steady) -> Result<Cost> {
    let Steady { per_second, burst } = steady;
    let pace = Pace::Rate { per_second, burst };
    interrupt::check()?;
    stand.set_threaded(false)?;
    stand.aim(programs)?;
    let client = stand.lab.topology().client.clone();
    programs.offer(&client, GENERATOR_CPU, pace, WARM_UP)?;
    stand.settle(programs)?;
    programs.begin(stand.contender.has_owners())?;
    let before = programs.count()?;
    let busy_before = processes(stand)?;
    let offered = programs.offer(&client, GENERATOR_CPU, pace, STEADY)?;
    stand.settle(programs)?;
    let busy = processes(stand)? - busy_before;
    let after = programs.count()?;
    stand.running.ensure_running()?;
    let name = stand.contender.name();
    let arrived = after.arrived.first - before.arrived.first;
    ensure!(arrived > offered.sent / 2, "{name}: {arrived} of {} requests arrived", offered.sent);
    ensure!(after.arrived.again == before.arrived.again, "{name}: requests arrived twice");
    let moved = after.arrived.moved - before.arrived.moved;
    ensure!(moved == 0, "{name}: {moved} requests came to another server than their user's");
    let misplaced = after.arrived.misplaced - before.arrived.misplaced;
    ensure!(
        misplaced == 0 || stand.contender != Contender::Siplb,
        "{name}: {misplaced} requests of dialogs came to another server than they name"
    );
    // What was lost in front of them they had no work with.
    let processes_ns = busy as f64 / arrived as f64;
    let latencies = &after.latencies - &before.latencies;
    let us = |share| latencies.quantile(share).unwrap_or(0.0) / 1e3;
    Ok(Cost {
        request_ns: offered.busy_ns.unwrap_or(0.0) + processes_ns,
        processes_ns,
        p50_us: us(0.5),
        p99_us: us(0.99),
        lost: 1.0 - arrived as f64 / offered.sent as f64,
    })
}

/// Frames a second that the generator makes when nothing waits for anything: most are lost.
pub(crate) fn generator(stand: &mut Stand, programs: &mut Programs) -> Result<f64> {
    stand.set_threaded(true)?;
    stand.aim(programs)?;
    let client = stand.lab.topology().client.clone();
    let offered = programs.offer(&client, GENERATOR_CPU, Pace::Highest, TRY)?;
    stand.settle(programs)?;
    stand.set_threaded(false)?;
    Ok(offered.per_second())
}

fn processes(stand: &Stand) -> Result<u64> {
    stand.running.group().map_or(Ok(0), cost::of_group)
}

/// The contenders' CPU during a steady run, a request, by three ways to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// By the scheduler, of the contender's processes.
    pub(crate) scheduler_ns: f64,
    /// By a thread that runs when nobody else does.
    pub(crate) idle_ns: f64,
    /// By the samples of `/proc/stat`.
    pub(crate) stat_ns: f64,
}

/// Does what the figures count agree with what the CPU had left?
pub(crate) fn check(stand: &mut Stand, programs: &mut Programs, steady: Steady) -> Result<Told> {
    let idle = Idle::watch(CONTENDER_CPU + 1)?;
    let (used, stat) = (idle.used(), Stat::of_cpu(CONTENDER_CPU)?);
    let sent = steady.per_second * (STEADY + WARM_UP).as_secs_f64();
    let cost = self::steady(stand, programs, steady)?;
    let a_request = |ns: u64| ns as f64 / sent;
    Ok(Told {
        scheduler_ns: cost.processes_ns,
        idle_ns: a_request(idle.used().since(&used)[CONTENDER_CPU]),
        stat_ns: a_request((Stat::of_cpu(CONTENDER_CPU)? - stat).busy_ns()),
    })
}

/// The highest rate without loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Highest {
    pub(crate) per_second: f64,
    /// The generator could not make more.
    pub(crate) is_generators: bool,
}

/// Looks for it, from `first` on.
pub(crate) fn highest(stand: &mut Stand, programs: &mut Programs, first: f64) -> Result<Highest> {
    stand.set_threaded(true)?;
    stand.aim(programs)?;
    let client = stand.lab.topology().client.clone();
    let warm_up = Pace::Rate { per_second: 2_000.0, burst: 1 };
    programs.offer(&client, GENERATOR_CPU, warm_up, WARM_UP)?;
    stand.settle(programs)?;
    let mut search = Search::new(first, RATE_LIMIT);
    let mut is_generators = false;
    while let Some(rate) = search.next() {
        // Twice, since a moment's noise is no limit.
        let mut best = attempt(stand, programs, rate)?;
        if !best.is_whole || best.per_second < rate * 0.95 {
            let second = attempt(stand, programs, rate)?;
            if (second.is_whole, second.per_second) > (best.is_whole, best.per_second) {
                best = second;
            }
        }
        is_generators = best.is_whole && best.per_second < rate * 0.9;
        if is_generators {
            // Nothing was lost of what the generator made, and it makes no more.
            search.tell(best.per_second.max(search.found()), true);
            break;
        }
        search.tell(rate, best.is_whole);
    }
    stand.running.ensure_running()?;
    stand.set_threaded(false)?;
    Ok(Highest { per_second: search.found(), is_generators })
}

struct Attempt {
    is_whole: bool,
    per_second: f64,
}

fn attempt(stand: &Stand, programs: &mut Programs, rate: f64) -> Result<Attempt> {
    let burst = (rate / BURSTS).clamp(1.0, 64.0) as u32;
    interrupt::check()?;
    programs.begin(stand.contender.has_owners())?;
    let before = programs.count()?;
    let pace = Pace::Rate { per_second: rate, burst };
    let offered = programs.offer(&stand.lab.topology().client, GENERATOR_CPU, pace, TRY)?;
    stand.settle(programs)?;
    let arrived = programs.count()?.arrived.first - before.arrived.first;
    Ok(Attempt { is_whole: arrived == offered.sent, per_second: offered.per_second() })
}
