//! The programs of `lb-ebpf/src/bin/load.rs` and their maps: loading, attaching, running, reading.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, Pod,
    maps::{Array, DevMap, MapData, PerCpuArray, PerCpuValues},
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, xdp::XdpMode},
};
use lb_common::load::{
    self, Arrived, BUCKETS, Destination, NUMBERS_LIMIT, Run, Setup, Template, USERS_LIMIT,
};
use nix::{net::if_::if_nametoindex, unistd::Pid};
use siplb_lab::Netns;

use crate::{
    idle::{bind, put_first},
    latency::Latencies,
    message::Messages,
    pace::{Offered, Pace},
};

/// Lowest source port of the messages: outside of what services use.
const FIRST_PORT: u16 = 20_000;
/// Source ports of the messages.
pub const PORTS: u16 = 10_000;

/// A type of `lb_common::load` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct As<T>(T);

// SAFETY: every type that this is used with is `repr(C)`, without padding, and takes any bytes.
unsafe impl<T: Copy + 'static> Pod for As<T> {}

/// The loaded programs. Dropped, they leave the interfaces that they are on.
pub struct Programs {
    object: Ebpf,
}

/// What arrived, all in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// By what the sink found of them.
    pub arrived: Arrived,
    /// Of the numbers that came for the first time.
    pub latencies: Latencies,
}

impl Programs {
    /// Loads them from the folder where `cargo xtask build` leaves eBPF objects.
    ///
    /// # Errors
    /// When the object is not there, or the kernel does not take it.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = folder.join("load.bpf.o");
        let bytes = fs::read(&file).with_context(|| {
            format!(
                "there is no {}: run this as `cargo xtask bench`, or `cargo xtask build` first",
                file.display()
            )
        })?;
        let mut object = Ebpf::load(&bytes).context("the kernel does not take the benchmarks' programs")?;
        for name in ["generate", "sink", "wire"] {
            program(&mut object, name)?.load().with_context(|| format!("the kernel refuses `{name}`"))?;
        }
        Ok(Self { object })
    }

    /// Puts the sink on an interface, until the returned value is dropped.
    ///
    /// # Errors
    /// When there is no such interface, or the kernel refuses.
    pub fn sink_on(&mut self, netns: &Netns, interface: &str) -> Result<On> {
        self.attach("sink", netns, interface)
    }

    /// Puts the wire on an interface: whatever comes in leaves by one of `outlets` in turn.
    ///
    /// # Errors
    /// As [`Programs::sink_on`], or when an outlet is missing.
    pub fn wire_on(&mut self, netns: &Netns, interface: &str, outlets: &[String]) -> Result<On> {
        let indices = netns.run(|| outlets.iter().map(|name| index(name)).collect::<Result<Vec<_>>>())?;
        netns.run(|| {
            let mut map: DevMap<&mut MapData> =
                DevMap::try_from(self.object.map_mut("OUTLETS").context("OUTLETS")?)?;
            for (place, interface) in (0..).zip(&indices) {
                map.set(place, *interface, None, 0)?;
            }
            Ok(())
        })?;
        self.attach("wire", netns, interface)
    }

    fn attach(&mut self, name: &str, netns: &Netns, interface: &str) -> Result<On> {
        let object = &mut self.object;
        netns.run(|| {
            let program = program(object, name)?;
            let id = program
                .attach(interface, XdpMode::Driver)
                .with_context(|| format!("cannot put `{name}` on {interface} of {}", netns.name()))?;
            Ok(On { _link: program.take_link(id)? })
        })
    }

    /// Makes the next frames such messages, from `interface` in `netns`, for users below `users`; these are shared out to
    /// `destinations`, and what is said in a dialog names one of `servers`.
    ///
    /// # Errors
    /// When a map can't be written.
    pub fn aim(
        &mut self,
        netns: &Netns,
        interface: &str,
        messages: &Messages,
        users: u32,
        servers: usize,
        destinations: &[Ipv4Addr],
    ) -> Result<()> {
        let interface = netns.run(|| index(interface))?;
        let mut templates = self.array::<Template>("MESSAGES")?;
        for (place, template) in (0..).zip(&messages.templates) {
            templates.set(place, As(*template), 0)?;
        }
        let mut map = self.array::<Destination>("DESTINATIONS")?;
        for (place, to) in (0..).zip(destinations) {
            map.set(place, As(Destination { address: to.octets(), sum: messages.sum(*to) }), 0)?;
        }
        let setup = Setup {
            interface,
            frame_bytes: messages.frame_bytes as u32,
            users,
            servers: servers as u32,
            destinations: destinations.len() as u32,
            port: FIRST_PORT,
            ports: if messages.has_ports { PORTS } else { 0 },
        };
        self.array::<Setup>("SETUP")?.set(0, As(setup), 0)?;
        Ok(())
    }

    /// Forgets where users were.
    ///
    /// # Errors
    /// When a map can't be written.
    pub fn forget_users(&mut self) -> Result<()> {
        let mut servers = self.array::<u32>("SERVERS")?;
        (0..USERS_LIMIT).try_for_each(|user| Ok(servers.set(user, As(0), 0)?))
    }

    /// Where a user's messages arrived: the last byte of the address, 0 for nowhere.
    ///
    /// # Errors
    /// When the map can't be read.
    pub fn server_of(&mut self, user: u32) -> Result<u32> {
        Ok(self.array::<u32>("SERVERS")?.get(&user, 0)?.0)
    }

    /// From here on another run counts.
    ///
    /// # Errors
    /// When a map can't be written, or numbers run out.
    pub fn begin(&mut self, has_owners: bool) -> Result<()> {
        let first = self.next_number()?;
        ensure!(first < NUMBERS_LIMIT, "the generator has made {first} frames and has no numbers left");
        self.array::<Run>("RUN")?.set(0, As(Run { first, has_owners: has_owners.into() }), 0)?;
        Ok(())
    }

    /// What has arrived since the programs were loaded.
    ///
    /// # Errors
    /// When a map can't be read.
    pub fn count(&mut self) -> Result<Count> {
        let arrived: PerCpuArray<_, As<Arrived>> =
            PerCpuArray::try_from(self.object.map("ARRIVED").context("ARRIVED")?)?;
        let mut sum = Arrived::default();
        for As(one) in arrived.get(&0, 0)?.iter() {
            sum.first += one.first;
            sum.again += one.again;
            sum.late += one.late;
            sum.misplaced += one.misplaced;
            sum.moved += one.moved;
            sum.foreign += one.foreign;
        }
        let map: PerCpuArray<_, u64> =
            PerCpuArray::try_from(self.object.map("LATENCIES").context("LATENCIES")?)?;
        let total = |counts: PerCpuValues<u64>| counts.iter().sum();
        let buckets = (0..BUCKETS).map(|bucket| Ok(total(map.get(&bucket, 0)?))).collect::<Result<_>>()?;
        Ok(Count { arrived: sum, latencies: Latencies::new(buckets) })
    }

    /// Makes frames from within `netns` for a time, on a CPU of its own, before anybody else there.
    ///
    /// # Errors
    /// When the kernel refuses a test run.
    pub fn offer(&mut self, netns: &Netns, cpu: usize, pace: Pace, time: Duration) -> Result<Offered> {
        let start = pace.start(self.next_number()?, time);
        self.array::<load::Pace>("PACE")?.set(0, As(start), 0)?;
        let bytes = self.array::<Setup>("SETUP")?.get(&0, 0)?.0.frame_bytes;
        let frame = vec![0; bytes as usize];
        let program = program(&mut self.object, "generate")?;
        netns.run(|| {
            bind(cpu)?;
            // It stands for another machine.
            put_first(Pid::from_raw(0))?;
            let options = TestRunOptions {
                data_in: Some(&frame),
                repeat: pace.frames(time),
                attrs: TestRunAttrs::new().xdp_live_frames(pace.burst()),
                ..TestRunOptions::default()
            };
            program
                .test_run(options)
                .context("the kernel makes no live frames (Linux 5.18 or newer does)")?;
            Ok(())
        })?;
        let made = self.array::<load::Pace>("PACE")?.get(&0, 0)?.0;
        Ok(Offered::of(&made))
    }

    fn next_number(&mut self) -> Result<u64> {
        let pace = self.array::<load::Pace>("PACE")?.get(&0, 0)?.0;
        Ok(pace.number + pace.made)
    }

    fn array<T: Copy + 'static>(&mut self, name: &str) -> Result<Array<&mut MapData, As<T>>> {
        let map = self.object.map_mut(name).with_context(|| format!("the programs have no map {name}"))?;
        Ok(Array::try_from(map)?)
    }
}

/// A program on an interface.
pub struct On {
    _link: aya::programs::xdp::XdpLink,
}

/// Where `cargo xtask build` leaves eBPF objects.
pub fn objects() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bpf")
}

fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    Ok(object.program_mut(name).with_context(|| format!("there is no program `{name}`"))?.try_into()?)
}

fn index(interface: &str) -> Result<u32> {
    if_nametoindex(interface).with_context(|| format!("there is no interface {interface}"))
}
