//! One packet through the very program that is loaded, with nobody else noticing (`BPF_PROG_TEST_RUN`).
//!
//! The instance has its trace switched on (benchmarks do without) and counters of its own; it either shares the live state or has one made from an
//! image alone. It is attached nowhere.

use std::path::Path;

use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::{TestRun, TestRunOptions, Xdp},
};
use lb_common::layout::Trace;

use super::{
    Counters, Image, Sizes, Unnamed,
    counters::CounterMaps,
    error::{DatapathError, Doing, OpenError},
    maps::{As, StateMaps, take},
    object::{self, Code, Maps},
    pins,
    publish::Publisher,
    transactions::Transactions,
    unnamed::UnnamedMap,
};

/// Room for what the program makes of a frame: two more VLAN tags at most.
const GROWTH: usize = 64;

/// What became of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// What the program says of it.
    pub trace: Trace,
    /// The XDP return code.
    pub action: u32,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
    /// Nanoseconds a run took, by the kernel's clock.
    pub duration_ns: u32,
}

/// An instance of the program for test runs.
pub struct Explainer {
    object: Ebpf,
    program: String,
    trace: Array<MapData, As<Trace>>,
    counters: CounterMaps,
    unnamed: UnnamedMap,
    transactions: Transactions,
    /// The instance's own state; `None` when it shares the live one.
    publisher: Option<Publisher>,
}

impl Explainer {
    /// An instance that reads the live state below `pin_dir`.
    ///
    /// # Errors
    /// As [`super::Datapath::open`].
    pub fn live(pin_dir: &Path, sizes: &Sizes) -> Result<Self, OpenError> {
        let code = Code::siplb();
        let object = object::load(code, sizes, Maps::SharedState(&pins::folder(pin_dir)), true)?;
        Self::new(object, code, None)
    }

    /// An instance with a state of its own.
    ///
    /// # Errors
    /// As [`super::Datapath::open`].
    pub fn private(sizes: &Sizes, image: &Image) -> Result<Self, OpenError> {
        Self::traced(Code::siplb(), sizes, image)
    }

    /// The same of any program of ours.
    ///
    /// # Errors
    /// As [`super::Datapath::open`].
    pub fn traced(code: Code<'_>, sizes: &Sizes, image: &Image) -> Result<Self, OpenError> {
        Self::of(code, sizes, image, true)
    }

    /// An instance of any program of ours with a state of its own and without a trace, as fast as the live one.
    ///
    /// # Errors
    /// As [`super::Datapath::open`].
    pub fn untraced(code: Code<'_>, sizes: &Sizes, image: &Image) -> Result<Self, OpenError> {
        Self::of(code, sizes, image, false)
    }

    fn of(code: Code<'_>, sizes: &Sizes, image: &Image, trace: bool) -> Result<Self, OpenError> {
        let mut object = object::load(code, sizes, Maps::Private, trace)?;
        let mut publisher = Publisher::new(StateMaps::take(&mut object, sizes, true)?)?;
        publisher.publish(image)?;
        Self::new(object, code, Some(publisher))
    }

    fn new(mut object: Ebpf, code: Code<'_>, publisher: Option<Publisher>) -> Result<Self, OpenError> {
        let trace = take(&mut object, "TRACE")?;
        let counters = CounterMaps::take(&mut object)?;
        let unnamed = UnnamedMap::take(&mut object)?;
        let transactions = Transactions::take(&mut object)?;
        let program = code.program.into();
        Ok(Self { object, program, trace, counters, unnamed, transactions, publisher })
    }

    /// How many instructions the verifier went through to admit the program.
    ///
    /// # Errors
    /// When the kernel does not say: before Linux 5.16.
    pub fn verified_instructions(&mut self) -> Result<u32, DatapathError> {
        const WHAT: &str = "ask about the program";
        let info = object::program(&mut self.object, &self.program)?.info().doing(WHAT)?;
        info.verified_instruction_count().ok_or("the kernel does not count").doing(WHAT)
    }

    /// Changes the state of an instance that has its own.
    ///
    /// # Errors
    /// When the instance shares the live state, or the kernel refuses.
    pub fn publish(&mut self, image: &Image) -> Result<u32, DatapathError> {
        let publisher =
            self.publisher.as_mut().ok_or("the instance shares the live state").doing("publish")?;
        publisher.publish(image)
    }

    /// Lets the instance redirect to an interface of this machine.
    ///
    /// # Errors
    /// When the instance shares the live state, or there is no such interface.
    pub fn permit(&mut self, interface: u32) -> Result<(), DatapathError> {
        let publisher =
            self.publisher.as_mut().ok_or("the instance shares the live state").doing("permit")?;
        publisher.maps.interfaces.insert(interface, interface, None, 0).doing("permit an interface")
    }

    /// The instance's own counters.
    ///
    /// # Errors
    /// When the maps can't be read.
    pub fn counters(&self) -> Result<Counters, DatapathError> {
        self.counters.read()
    }

    /// Which hosts the instance noted that should have named a backend and named nobody.
    ///
    /// # Errors
    /// When the map can't be read.
    pub fn unnamed(&self) -> Result<Vec<Unnamed>, DatapathError> {
        self.unnamed.read()
    }

    /// Forgets the transactions that an instance with its own state recorded while this change was in progress.
    ///
    /// # Errors
    /// When the instance shares the live state, or the map can't be written.
    pub fn forget_transactions(&mut self, change: u32) -> Result<(), DatapathError> {
        self.publisher.as_ref().ok_or("the instance shares the live state").doing("forget transactions")?;
        self.transactions.forget(change)
    }

    /// Runs a frame once, as if it had come in by `ingress`; without one by the kernel's loopback device.
    ///
    /// # Errors
    /// When the kernel does not take the frame: fewer than 14 bytes, or more than a page holds.
    pub fn run(&mut self, frame: &[u8], ingress: Option<u32>) -> Result<Explained, DatapathError> {
        self.trace.set(0, As(Trace::default()), 0).doing("clear the trace")?;
        let mut explained = self.repeat(frame, ingress, 1)?;
        explained.trace = self.trace.get(&0, 0).doing("read the trace")?.0;
        Ok(explained)
    }

    /// Runs a frame `times` times for its duration. Each run is given what the one before left of the frame.
    ///
    /// # Errors
    /// As [`Explainer::run`].
    pub fn repeat(
        &mut self,
        frame: &[u8],
        ingress: Option<u32>,
        times: u32,
    ) -> Result<Explained, DatapathError> {
        self.runs()?.repeat(frame, ingress, times)
    }

    /// The same for several threads at a time.
    ///
    /// # Errors
    /// When the object has lost its program.
    pub fn runs(&self) -> Result<Runs<'_>, DatapathError> {
        const WHAT: &str = "open the eBPF object";
        let program = self.object.program(&self.program).ok_or("it has no such program").doing(WHAT)?;
        Ok(Runs { program: program.try_into().doing(WHAT)? })
    }
}

/// The program of an instance, to be run by whoever has this: by several threads at a time, as frames of several receive
/// queues do.
#[derive(Clone, Copy)]
pub struct Runs<'a> {
    program: &'a Xdp,
}

impl Runs<'_> {
    /// Runs a frame as [`Explainer::repeat`] does.
    ///
    /// # Errors
    /// As [`Explainer::run`].
    pub fn repeat(self, frame: &[u8], ingress: Option<u32>, times: u32) -> Result<Explained, DatapathError> {
        let context = ingress.map(|index| context(frame.len() as u32, index));
        let mut out = vec![0; frame.len() + GROWTH];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        options.ctx_in = context.as_ref().map(<[u8; 24]>::as_slice);
        options.repeat = times;
        let result = self.program.test_run(options).doing("run a frame through the program")?;
        out.truncate(result.data_size_out as usize);
        Ok(Explained {
            trace: Trace::default(),
            action: result.return_value,
            frame: out,
            duration_ns: result.duration.as_nanos() as u32,
        })
    }
}

/// A `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
fn context(length: u32, ingress: u32) -> [u8; 24] {
    let mut bytes = [0; 24];
    for (place, word) in bytes.chunks_exact_mut(4).zip([0, length, 0, ingress, 0, 0]) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}
