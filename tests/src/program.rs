//! The loaded program, in a network namespace of its own, for one test.

use std::{fs, panic, process::Command, thread};

use lb_user::datapath::{Code, Counters, Explained, Explainer, Image, ScanLoop, Unnamed};
use nix::{
    sched::{CloneFlags, CpuSet, sched_getcpu, sched_setaffinity, unshare},
    unistd::Pid,
};

use crate::example;

/// Lookup tables pass over the stack as values of 128 KiB, many times where the compiler does not optimise.
const STACK_BYTES: usize = 8 << 20;

/// What an XDP program can answer, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The frame is discarded.
    Drop = 1,
    /// The network stack gets it.
    Pass = 2,
    /// Back out of the interface it came by.
    Tx = 3,
    /// Out of another interface.
    Redirect = 4,
}

/// The program, loaded and attached nowhere, with the state of [`example::image`] until another is published.
pub struct Program {
    explainer: Explainer,
    scan_loop: ScanLoop,
}

impl Program {
    /// Is this the object that a kernel like this one runs, and not the one that it could run too?
    pub fn is_chosen(&self) -> bool {
        self.scan_loop == ScanLoop::of_kernel()
    }

    /// Makes an image live and returns its generation.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn publish(&mut self, image: &Image) -> u32 {
        self.explainer.publish(image).expect("the kernel takes the state")
    }

    /// Runs a frame of at least 14 bytes.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn run(&mut self, frame: &[u8]) -> Explained {
        self.explainer
            .run(frame, None)
            .unwrap_or_else(|error| panic!("a frame of {} bytes: {error}", frame.len()))
    }

    /// Which hosts were noted that named nobody.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn unnamed(&self) -> Vec<Unnamed> {
        self.explainer.unnamed().expect("the map can be read")
    }

    /// Forgets what was recorded while this change was in progress.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn forget_transactions(&mut self, change: u32) {
        self.explainer.forget_transactions(change).expect("the map can be written");
    }

    /// What was counted since the program was loaded.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn counters(&self) -> Counters {
        self.explainer.counters().expect("the counters can be read")
    }
}

/// Calls `test` with the program loaded, once for each object that this kernel takes, on a thread whose network namespace is
/// its own and is gone afterwards. The thread stays on one CPU, as the frames of one receive queue do: a map that forgets its
/// oldest entry keeps them in a list for each CPU, and does not take an entry from the list of another while its own has some.
///
/// # Panics
/// When the test does, after naming the object, and with a sentence of its own when this process may not load programs.
pub fn with_program(mut test: impl FnMut(&mut Program) + Send) {
    let objects: &[_] = match ScanLoop::of_kernel() {
        ScanLoop::MayGoto => &[(ScanLoop::MayGoto, Code::MAY_GOTO), (ScanLoop::BpfLoop, Code::BPF_LOOP)],
        ScanLoop::BpfLoop => &[(ScanLoop::BpfLoop, Code::BPF_LOOP)],
    };
    for &(scan_loop, code) in objects {
        let outcome = thread::scope(|scope| {
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || {
                    stay_on_this_cpu();
                    enter_namespace();
                    let mut explainer = Explainer::traced(code, &example::SIZES, &example::image())
                        .unwrap_or_else(|error| panic!("the program can't be loaded: {error}"));
                    explainer.permit(example::OUT).expect("the kernel lets frames be redirected");
                    test(&mut Program { explainer, scan_loop });
                })
                .expect("a thread can be started")
                .join()
        });
        if let Err(reason) = outcome {
            eprintln!("that was with the object that loops by {scan_loop}");
            panic::resume_unwind(reason);
        }
    }
}

fn stay_on_this_cpu() {
    let mut cpus = CpuSet::new();
    sched_getcpu()
        .and_then(|cpu| cpus.set(cpu))
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus))
        .expect("this thread can be held to a CPU that it may use");
}

/// Moves this thread to a new network namespace with the routes and neighbours of the example.
fn enter_namespace() {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        panic!("this test makes a network namespace and loads a program, which takes root: {error}");
    }
    // The file shows the namespace of the thread that opens it.
    for family in ["ipv4", "ipv6"] {
        let file = format!("/proc/sys/net/{family}/conf/all/forwarding");
        fs::write(file, "1").expect("forwarding can be switched on");
    }
    let router = mac(example::ROUTER_MAC);
    for line in [
        "link set lo up",
        &format!(
            "link add out index {} type veth peer name far index {}",
            example::OUT,
            example::UNCONFIGURED
        ),
        &format!("link set out up address {}", mac(example::OUT_MAC)),
        "link set far up",
        "address add 10.0.0.1/24 dev out",
        // An address whose use is not settled yet makes no routes.
        "address add 2001:db8::1/64 dev out nodad",
        &format!("neighbour add 10.0.0.254 lladdr {router} dev out nud permanent"),
        &format!("neighbour add 2001:db8::fe lladdr {router} dev out nud permanent"),
        "route add 198.51.100.0/24 via 10.0.0.254",
        "route add 2001:db8:1::/64 via 2001:db8::fe dev out onlink",
        "route add blackhole 203.0.113.1",
        "route add unreachable 203.0.113.2",
        "route add prohibit 203.0.113.3",
    ] {
        ip(line);
    }
    // The next hop to the IPv6 backend can be had both ways.
    let is_asked_for = |&id: &u32| example::next_hop(id).is_none() || id == example::BACKEND6;
    for id in (1..=example::SIZES.backends).filter(is_asked_for) {
        let (address, mac) = (example::backend(id).ip(), mac(example::neighbour_mac(id)));
        ip(&format!("neighbour add {address} lladdr {mac} dev out nud permanent"));
    }
}

/// Runs `ip` in this thread's namespace, which its children inherit.
///
/// # Panics
/// When it fails.
pub fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().expect("`ip` of iproute2 runs");
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}
