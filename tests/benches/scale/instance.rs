//! Loaded programs, each with a state of its own of some shape.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use lb_common::{
    layout::{KeyKind, Rules},
    reason::Reason,
    slot::SLOTS,
};
use lb_user::datapath::{
    Code, Explainer, Image, Sizes,
    image::{Backend, Group, Vip},
};

use crate::{
    lab::{self, Lab},
    traffic::{self, Message, Order},
};

/// The address of the first VIP, and of the first backend; the others follow.
pub(crate) const VIPS_FROM: [u8; 4] = [198, 18, 0, 1];
pub(crate) const BACKENDS_FROM: [u8; 4] = [10, 1, 0, 1];
const SIP_PORT: u16 = 5060;
const SEED: u64 = 0x5eed;
const OBJECT: &str = "bench.bpf.o";
const XDP_TX: u32 = 3;
/// Packets of the trial: enough that every VIP and every backend has some.
const TRIAL: u32 = 100_000;

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) backends: u32,
    /// Each has its part of the backends, which reply as it.
    pub(crate) vips: u32,
    /// One for each VIP, as the configuration has it; or one for all, to see what tables cost.
    pub(crate) tables: u32,
}

impl Shape {
    /// As a configuration has it: each VIP has a pool, and each pool a table.
    pub(crate) const fn new(backends: u32, vips: u32) -> Self {
        Self { backends, vips, tables: vips }
    }
}

/// A program of the benchmark's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// Writes what is drawn into the frame, and puts the headers back.
    Alone,
    L4,
    Siplb,
}

impl Program {
    const fn entry(self) -> &'static str {
        match self {
            Self::Alone => "traffic_alone",
            Self::L4 => "traffic_l4",
            Self::Siplb => "traffic_siplb",
        }
    }
}

/// Loads a program with a state of this shape.
pub(crate) fn load(program: Program, shape: Shape, lab: &Lab) -> Result<Explainer> {
    let object = lab::object(OBJECT)?;
    let code = Code { object: object.bytes(), program: program.entry() };
    Explainer::untraced(code, &sizes(shape), &image(shape, lab))
        .with_context(|| format!("{} with {shape:?}", program.entry()))
}

/// Runs every message through an instance, and holds the counters against what was sent: all of it was forwarded, for every
/// VIP, to every backend, and back.
pub(crate) fn try_out(instance: &mut Explainer, shape: Shape, lab: &Lab) -> Result<()> {
    let mut sent = 0;
    for message in Message::ALL {
        let frame = traffic::frame(message, Order::Random, shape, 1_000_000, 1);
        let ended = instance.repeat(&frame, Some(lab.interface), TRIAL)?;
        ensure!(ended.action == XDP_TX, "{}: the program answered {}", message.name(), ended.action);
        sent += u64::from(TRIAL);
    }
    let counters = instance.counters()?;
    let forwarded = |reasons: &std::collections::BTreeMap<u8, _>| {
        reasons.keys().all(|number| [Reason::Forwarded as u8, Reason::Replied as u8].contains(number))
    };
    ensure!(counters.forwarded() == sent, "{} of {sent} packets were forwarded", counters.forwarded());
    ensure!(counters.vips.values().all(forwarded), "by another way: {:?}", counters.vips);
    let (vips, backends) = (counters.vips.len() as u32, counters.backends.len() as u32);
    ensure!(vips == shape.vips, "packets came to {vips} VIPs, not to {}", shape.vips);
    ensure!(backends == shape.backends, "packets were of {backends} backends, not of {}", shape.backends);
    Ok(())
}

/// What the maps need to hold, and no more.
fn sizes(shape: Shape) -> Sizes {
    Sizes {
        vips: shape.vips,
        // A pool has room for two tables, of which one is used.
        pools: shape.tables.div_ceil(2),
        groups: shape.backends,
        backends: shape.backends,
        names: 64,
        fragments: 16_384,
        transactions: 131_072,
        fingerprint: 0,
    }
}

fn image(shape: Shape, lab: &Lab) -> Image {
    let rules = Rules { key: KeyKind::User as u8, ..Rules::with_domains(SEED, &["example.com"]) };
    let hop = lab.next_hop();
    let mut image = Image::default();
    for vip in 1..=shape.vips {
        let socket = (nth(VIPS_FROM, vip), SIP_PORT).into();
        let (table, names) = (Some((vip - 1) % shape.tables + 1), Default::default());
        image.vips.insert(vip, Vip { socket, rules, table, change: None, names });
    }
    for table in 1..=shape.tables {
        let members: Vec<u16> =
            (table..=shape.backends).step_by(shape.tables as usize).map(|id| id as u16).collect();
        let mut by_slot = Arc::new([0; SLOTS]);
        let slots = Arc::get_mut(&mut by_slot).expect("nobody else has it yet");
        slots.iter_mut().zip(members.iter().cycle()).for_each(|(slot, member)| *slot = *member);
        image.tables.insert(table, by_slot);
    }
    for id in 1..=shape.backends {
        let vip = (id - 1) % shape.vips + 1;
        image.groups.insert(id, Group::served_by(Some(id)));
        let socket = (nth(BACKENDS_FROM, id), SIP_PORT).into();
        image.backends.insert(id, Backend::new(socket, Some(vip), Some(hop)));
    }
    image
}

/// The address of the `number`th, counted from 1.
fn nth(first: [u8; 4], number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from_be_bytes(first) + number - 1)
}
