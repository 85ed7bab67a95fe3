//! What is measured in each round: every message at every shape, one after the other, and two queues at one time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Barrier,
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use lb_user::datapath::{Explainer, Runs};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::{
    instance::{self, Program, Shape},
    lab::Lab,
    traffic::{self, Message, Order},
};

/// Packets of a run; with cold caches, where one takes a hundred times as long, fewer.
const PACKETS: u32 = 100_000;
const COLD_PACKETS: u32 = 1_000;
const XDP_TX: u32 = 3;

pub(crate) const BACKENDS: [u32; 5] = [2, 16, 128, 1_024, 4_096];
pub(crate) const VIPS: [u32; 4] = [1, 16, 256, 1_024];
/// As many as the most VIPs, so that each has one.
pub(crate) const BACKENDS_OF_VIPS: u32 = 1_024;
pub(crate) const USERS: [u32; 3] = [1_000, 1_000_000, 10_000_000];
/// What a sweep leaves alone.
pub(crate) const USUAL: Shape = Shape::new(128, 1);
pub(crate) const USUAL_USERS: u32 = 1_000_000;
pub(crate) const LARGEST: Shape = Shape::new(4_096, 1_024);
/// The CPUs that two queues are on.
const CPUS: [usize; 2] = [0, 1];

/// How many run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Queues {
    One,
    /// Two that share nothing: each has an instance of its own.
    Apart,
    /// Two that share all maps, as receive queues do.
    Together,
}

impl Queues {
    pub(crate) const ALL: [Self; 3] = [Self::One, Self::Apart, Self::Together];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::One => "one queue alone",
            Self::Apart => "two at one time that share nothing",
            Self::Together => "two at one time, as siplb has them",
        }
    }
}

/// One figure: so much net of the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) program: Program,
    pub(crate) shape: Shape,
    pub(crate) users: u32,
    pub(crate) message: Message,
    pub(crate) order: Order,
    pub(crate) queues: Queues,
}

impl Case {
    pub(crate) fn usual(message: Message) -> Self {
        Self {
            program: Program::Siplb,
            shape: USUAL,
            users: USUAL_USERS,
            message,
            order: Order::Random,
            queues: Queues::One,
        }
    }

    /// What others are held against: a plain layer 4 balancer and an INVITE, whose length and text are no matter to it.
    pub(crate) fn layer_4(order: Order, shape: Shape) -> Self {
        Self { program: Program::L4, order, shape, ..Self::usual(Message::Invite) }
    }

    /// An INVITE to one of so many VIPs that have one table for all of them.
    pub(crate) fn one_table(vips: u32) -> Self {
        let shape = Shape { tables: 1, ..Shape::new(BACKENDS_OF_VIPS, vips) };
        Self { shape, ..Self::usual(Message::Invite) }
    }

    /// All of them, each once.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = BTreeSet::from(VIPS.map(Self::one_table));
        for message in Message::ALL {
            let usual = Self::usual(message);
            all.extend(BACKENDS.map(|backends| Self { shape: Shape::new(backends, 1), ..usual }));
            all.extend(VIPS.map(|vips| Self { shape: Shape::new(BACKENDS_OF_VIPS, vips), ..usual }));
            if message.has_user() {
                all.extend(USERS.map(|users| Self { users, ..usual }));
            }
            for shape in [USUAL, LARGEST] {
                all.extend(Order::ALL.map(|order| Self { order, shape, ..usual }));
                all.extend(Order::ALL.map(|order| Self::layer_4(order, shape)));
            }
            all.extend(Queues::ALL.map(|queues| Self { queues, ..usual }));
        }
        all.into_iter().collect()
    }
}

/// Every program with every state that a case needs. Of the usual one there are two: for queues that share nothing.
pub(crate) struct Instances {
    lab: Lab,
    loaded: BTreeMap<(Program, Shape), Explainer>,
    other: Explainer,
    alone: Explainer,
}

impl Instances {
    /// Loads them, and tries each out.
    pub(crate) fn load(lab: Lab, cases: &[Case], told: impl Fn(usize, usize)) -> Result<Self> {
        let mut wanted: Vec<_> = cases.iter().map(|case| (case.program, case.shape)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut loaded = BTreeMap::new();
        for (done, (program, shape)) in wanted.iter().copied().enumerate() {
            told(done, wanted.len());
            let mut instance = instance::load(program, shape, &lab)?;
            instance::try_out(&mut instance, shape, &lab)
                .with_context(|| format!("{program:?} with {shape:?}"))?;
            loaded.insert((program, shape), instance);
        }
        let other = instance::load(Program::Siplb, USUAL, &lab)?;
        let alone = instance::load(Program::Alone, Shape::new(1, 1), &lab)?;
        Ok(Self { lab, loaded, other, alone })
    }

    /// Nanoseconds a packet of the case, without what the writing of its headers takes. `random` is never 0.
    pub(crate) fn measure(&self, case: &Case, random: u64) -> Result<f64> {
        let instance = self.loaded.get(&(case.program, case.shape)).context("every instance is loaded")?;
        let (program, writing) = (instance.runs()?, self.alone.runs()?);
        let frame = |random| traffic::frame(case.message, case.order, case.shape, case.users, random);
        let interface = self.lab.interface;
        let one = |program: Runs<'_>, random| run(program, &frame(random), case.order, interface);
        match case.queues {
            Queues::One => {
                on(CPUS[0])?;
                Ok(one(program, random)? - one(writing, random)?)
            }
            Queues::Apart | Queues::Together => {
                let other = if case.queues == Queues::Apart { self.other.runs()? } else { program };
                let at_once = |programs: [Runs<'_>; 2]| -> Result<f64> {
                    let times = both(programs, |place, program| one(program, random + place as u64))?;
                    Ok((times[0] + times[1]) / 2.0)
                };
                Ok(at_once([program, other])? - at_once([writing, writing])?)
            }
        }
    }
}

/// Nanoseconds a packet of a run.
fn run(program: Runs<'_>, frame: &[u8], order: Order, interface: u32) -> Result<f64> {
    let packets = if order == Order::Cold { COLD_PACKETS } else { PACKETS };
    let ended = program.repeat(frame, Some(interface), packets)?;
    ensure!(ended.action == XDP_TX, "the program answered {}", ended.action);
    Ok(match order {
        Order::Cold => traffic::took_ns(&ended.frame) as f64 / f64::from(packets),
        Order::Repeated | Order::Random => f64::from(ended.duration_ns),
    })
}

/// Does the same with both, on a CPU each, at one time.
fn both<'a>(
    programs: [Runs<'a>; 2],
    work: impl Fn(usize, Runs<'a>) -> Result<f64> + Sync,
) -> Result<[f64; 2]> {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let threads = [0, 1].map(|place| {
            let (start, work, program) = (&start, &work, programs[place]);
            scope.spawn(move || {
                let moved = on(CPUS[place]);
                start.wait();
                moved.and_then(|()| work(place, program))
            })
        });
        let ended = threads.map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        let [first, second] = ended;
        Ok([first?, second?])
    })
}

/// Moves this thread to a CPU.
fn on(cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus)
        .with_context(|| format!("this takes two CPUs, and there is no CPU {cpu}"))
}

/// Lets this thread run on every CPU that there is.
pub(crate) fn on_any() -> Result<()> {
    let mut cpus = CpuSet::new();
    (0..CpuSet::count()).try_for_each(|cpu| cpus.set(cpu))?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("run on every CPU")
}
