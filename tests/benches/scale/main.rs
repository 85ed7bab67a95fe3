//! `cargo xtask bench scale`: what grows when there is more of everything.
//!
//! Nanoseconds a packet are the kernel's own (`BPF_PROG_TEST_RUN`), under random traffic: before each packet another user, VIP
//! or backend, and client are written into the frame, and what that takes is taken off. Every case has its turn in every
//! round. Beside that: how long tables take to deal, and what maps and daemon take of memory. It all runs in a network
//! namespace of its own, which ends with the process.

mod findings;
mod instance;
#[path = "../datapath/lab.rs"]
mod lab;
mod memory;
mod packets;
mod report;
mod table;
mod traffic;

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result, ensure};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use siplb_figures::{Arguments, progress};

use packets::{Case, Instances};

const BENCH: &str = "scale";
const ROUNDS: usize = 21;
/// Of the order of cases, and of what is drawn for packets.
const SEED: u64 = 0x5eed;

fn main() -> Result<()> {
    let arguments = Arguments::of_process();
    let rounds = arguments.rounds_or(ROUNDS);
    ensure!(nix::unistd::Uid::effective().is_root(), "the benchmark loads BPF programs: run it as root");
    let lab = lab::enter()?;
    packets::on_any()?;
    let clients = ["route", "add", "100.64.0.0/10", "via", "198.51.100.1"];
    ensure!(Command::new("ip").args(clients).status()?.success(), "ip route add failed");
    progress(BENCH, 0, rounds + 2, "memory of daemons that check their backends for 35 s");
    let memory = memory::measure().context("the memory of maps and daemons")?;
    let mut cases = Case::all();
    let instances = Instances::load(lab, &cases, |done, all| {
        progress(BENCH, 1, rounds + 2, &format!("load programs: {done} of {all}"));
    })?;
    let mut packets: BTreeMap<Case, Vec<f64>> = BTreeMap::new();
    let mut tables: BTreeMap<usize, Vec<table::Took>> = BTreeMap::new();
    let mut random = StdRng::seed_from_u64(SEED);
    for round in 0..rounds {
        // In another order each time, or a machine that slows down would slow down the same ones.
        cases.shuffle(&mut random);
        for case in &cases {
            let random = random.random_range(1..=u64::MAX);
            packets.entry(*case).or_default().push(instances.measure(case, random)?);
        }
        for groups in table::GROUPS {
            tables.entry(groups).or_default().push(table::measure(groups));
        }
        progress(BENCH, round + 3, rounds + 2, "every case");
    }
    // Of the whole machine is told, and not of the CPU that the last packets ran on.
    packets::on_any()?;
    Ok(arguments.deliver(&report::of(rounds, &packets, &tables, &memory))?)
}
