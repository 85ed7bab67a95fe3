//! Judges kernel and process: may this machine load the program, and will it be fast.

use super::facts::{Machine, Wanted};
use super::finding::Finding;
use crate::config::Forward;
use crate::datapath::ScanLoop;

/// The oldest kernel that siplb is meant for.
const FLOOR: (u32, u32) = (6, 1);
/// The first that lets programs see frames in several pieces (`BPF_F_XDP_HAS_FRAGS`).
const FRAGMENTS: (u32, u32) = (5, 18);

/// Numbers of capabilities (linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

const AS_ROOT: &str = "run as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON";

/// In the order of what needs what.
pub(super) fn judge(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let findings = [
        Some(release(machine)),
        Some(privileges(machine, wanted)),
        Some(scan_loop(machine)),
        Some(jit(machine)),
        Some(membarrier(machine)),
        Some(pin_dir(machine, wanted)),
        Some(hash_key(machine)),
        program(machine),
    ];
    findings.into_iter().flatten().collect()
}

/// Major and minor number.
fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|other: char| !other.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn release(machine: &Machine) -> Finding {
    const CHECK: &str = "kernel";
    const MEND: &str = "run Linux 6.1 or newer";
    let release = &machine.release;
    match numbers(release) {
        None => Finding::warn(CHECK, format!("the kernel's release, {release:?}, can't be read"), MEND),
        // Distributions take features back into older kernels: if the program loads, that is proof.
        Some(found) if found < FRAGMENTS && !matches!(machine.program, Some(Ok(_))) => Finding::fail(
            CHECK,
            format!("Linux {release} does not let programs see frames in several pieces (Linux 5.18)"),
            MEND,
        ),
        Some(found) if found < FLOOR => {
            Finding::warn(CHECK, format!("Linux {release} is older than what siplb is made for"), MEND)
        }
        Some(_) => Finding::ok(CHECK, format!("Linux {release}")),
    }
}

fn privileges(machine: &Machine, wanted: &Wanted) -> Finding {
    const CHECK: &str = "privileges";
    let Some(held) = machine.capabilities else {
        return Finding::warn(CHECK, "the capabilities of this process can't be read", "mount /proc");
    };
    let has = |bit: u32| held >> bit & 1 == 1;
    // CAP_SYS_ADMIN stands for what was taken out of it in Linux 5.8.
    let is_root = has(CAP_SYS_ADMIN);
    let needed = [
        ("CAP_BPF", has(CAP_BPF) || is_root),
        ("CAP_PERFMON", has(CAP_PERFMON) || is_root),
        ("CAP_NET_ADMIN", has(CAP_NET_ADMIN)),
    ];
    let missing: Vec<&str> = needed.iter().filter(|(_, held)| !held).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        let what = format!("this process lacks {}: it can't load the program", missing.join(", "));
        return Finding::fail(CHECK, what, AS_ROOT);
    }
    if !has(CAP_NET_RAW) && (wanted.has(Forward::Dsr) || wanted.has(Forward::Ipip)) {
        let what = "this process lacks CAP_NET_RAW: it can't check the backends of dsr and ipip pools";
        return Finding::fail(CHECK, what, AS_ROOT);
    }
    Finding::ok(CHECK, "enough to load the program and to check backends")
}

fn scan_loop(machine: &Machine) -> Finding {
    const CHECK: &str = "scan-loop";
    match &machine.scan_loop {
        Ok(ScanLoop::MayGoto) => Finding::ok(CHECK, "the program scans in loops by may_goto"),
        Ok(ScanLoop::BpfLoop) => Finding::warn(
            CHECK,
            "the program scans in loops by bpf_loop, which is slower than the instruction may_goto",
            "run Linux 6.9 or newer",
        ),
        Err(error) => Finding::fail(
            CHECK,
            format!("the kernel does not let this process load programs: {error}"),
            "run as root; where that is no help, lockdown or a container's filter of system calls forbids bpf(2)",
        ),
    }
}

fn jit(machine: &Machine) -> Finding {
    const CHECK: &str = "bpf-jit";
    let needs_jit = matches!(machine.scan_loop, Ok(ScanLoop::BpfLoop));
    match machine.jit {
        Some(0) if needs_jit => Finding::fail(
            CHECK,
            "the BPF JIT is off, and bpf_loop needs it",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Some(0) => Finding::warn(
            CHECK,
            "the BPF JIT is off: the program is interpreted, which is many times slower",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Some(_) => Finding::ok(CHECK, "the BPF JIT is on"),
        None => Finding::warn(
            CHECK,
            "whether there is a BPF JIT is unknown: there is no net.core.bpf_jit_enable",
            "look there outside of containers; siplb wants a kernel with CONFIG_BPF_JIT",
        ),
    }
}

fn membarrier(machine: &Machine) -> Finding {
    const CHECK: &str = "membarrier";
    match &machine.can_wait {
        Ok(true) => Finding::ok(CHECK, "the daemon can wait until packets have let go of old tables"),
        Ok(false) => Finding::fail(
            CHECK,
            "the kernel does not let the daemon wait until packets have let go of old tables: it can publish once only",
            "boot without nohz_full",
        ),
        Err(error) => Finding::fail(
            CHECK,
            format!("membarrier(2) is refused ({error}): the daemon can publish once only"),
            "allow that system call; a container's filter or a kernel without CONFIG_MEMBARRIER refuses it",
        ),
    }
}

fn pin_dir(machine: &Machine, wanted: &Wanted) -> Finding {
    const CHECK: &str = "pin-dir";
    let path = wanted.pin_dir.display();
    match &machine.is_on_bpffs {
        Ok(true) => Finding::ok(CHECK, format!("{path} is on a BPF file system")),
        Ok(false) => Finding::fail(
            CHECK,
            format!("{path} is not on a BPF file system"),
            "mount -t bpf bpf /sys/fs/bpf, or mend node.pin-dir",
        ),
        Err(error) => Finding::fail(
            CHECK,
            format!("{path} can't be looked at: {error}"),
            "run as root, or mend node.pin-dir",
        ),
    }
}

fn hash_key(machine: &Machine) -> Finding {
    const CHECK: &str = "hash-key";
    match &machine.hash_key {
        Ok(None) => Finding::ok(CHECK, "the hash key can be read, and by nobody else"),
        Ok(Some(warning)) => Finding::warn(CHECK, warning, "see docs/config.md, [node]"),
        Err(error) => Finding::fail(CHECK, error, "see docs/config.md, [node]"),
    }
}

fn program(machine: &Machine) -> Option<Finding> {
    const CHECK: &str = "program";
    Some(match machine.program.as_ref()? {
        Ok(instructions) => Finding::ok(
            CHECK,
            format!("the kernel takes the program, after verifying {instructions} instructions"),
        ),
        Err(error) => Finding::fail(
            CHECK,
            error,
            "see \"What a node needs\" in docs/operations.md; [limits] says how much memory the maps take",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::doctor::fixture::{faults, wanted};

    /// A machine without a fault.
    fn fit() -> Machine {
        Machine {
            release: "6.12.9-generic".to_owned(),
            scan_loop: Ok(ScanLoop::MayGoto),
            jit: Some(1),
            can_wait: Ok(true),
            capabilities: Some(u64::MAX),
            is_on_bpffs: Ok(true),
            hash_key: Ok(None),
            program: Some(Ok(100_000)),
        }
    }

    fn judged(machine: &Machine) -> Vec<(Verdict, &'static str)> {
        faults(&judge(machine, &wanted("192.0.2.10:5060", "10.0.0.11", Forward::Nat)))
    }

    #[test]
    fn a_fit_machine_has_no_faults() {
        assert!(judged(&fit()).is_empty());
        assert!(judged(&Machine { program: None, ..fit() }).is_empty(), "a daemon runs it already");
    }

    #[test]
    fn releases_are_numbers_and_what_loads_is_proof() {
        use Verdict::{Fail, Warn};
        let of = |release: &str, program| judged(&Machine { release: release.into(), program, ..fit() });
        for release in ["6.1.0-31-amd64", "6.18.44", "10.0-rc1"] {
            assert!(of(release, None).is_empty(), "{release}");
        }
        assert_eq!(of("5.19.17", None), [(Warn, "kernel")]);
        assert_eq!(of("5.15.0-91-generic", None), [(Fail, "kernel")]);
        assert_eq!(of("5.14.0-503.el9", Some(Ok(9))), [(Warn, "kernel")]);
        let refused = Some(Err("the kernel refused the program".to_owned()));
        assert_eq!(of("5.14.0-503.el9", refused), [(Fail, "kernel"), (Fail, "program")]);
        assert_eq!(of("unknown", None), [(Warn, "kernel")]);
    }

    #[test]
    fn a_process_needs_each_of_its_capabilities() {
        let of = |without: &[u32], forward| {
            let held = without.iter().fold(u64::MAX, |held, bit| held & !(1 << bit));
            let machine = Machine { capabilities: Some(held), ..fit() };
            faults(&judge(&machine, &wanted("192.0.2.10:5060", "10.0.0.11", forward)))
        };
        let fail = [(Verdict::Fail, "privileges")];
        assert!(of(&[CAP_BPF, CAP_PERFMON], Forward::Nat).is_empty(), "root before Linux 5.8");
        assert!(of(&[CAP_SYS_ADMIN, CAP_NET_RAW], Forward::Nat).is_empty());
        assert_eq!(of(&[CAP_SYS_ADMIN, CAP_BPF], Forward::Nat), fail);
        assert_eq!(of(&[CAP_SYS_ADMIN, CAP_PERFMON], Forward::Nat), fail);
        assert_eq!(of(&[CAP_NET_ADMIN], Forward::Nat), fail);
        assert_eq!(of(&[CAP_NET_RAW], Forward::Dsr), fail);
        assert_eq!(of(&[CAP_NET_RAW], Forward::Ipip), fail);
    }

    #[test]
    fn what_is_missing_or_slow_is_told() {
        use Verdict::{Fail, Warn};
        let denied = || "denied".to_owned();
        let slow = Machine { scan_loop: Ok(ScanLoop::BpfLoop), ..fit() };
        assert_eq!(judged(&slow), [(Warn, "scan-loop")]);
        assert_eq!(judged(&Machine { jit: Some(0), ..slow }), [(Warn, "scan-loop"), (Fail, "bpf-jit")]);
        assert_eq!(judged(&Machine { jit: Some(0), ..fit() }), [(Warn, "bpf-jit")]);
        assert_eq!(judged(&Machine { jit: None, ..fit() }), [(Warn, "bpf-jit")]);
        assert_eq!(judged(&Machine { scan_loop: Err(denied()), ..fit() }), [(Fail, "scan-loop")]);
        assert_eq!(judged(&Machine { can_wait: Ok(false), ..fit() }), [(Fail, "membarrier")]);
        assert_eq!(judged(&Machine { can_wait: Err(denied()), ..fit() }), [(Fail, "membarrier")]);
        assert_eq!(judged(&Machine { is_on_bpffs: Ok(false), ..fit() }), [(Fail, "pin-dir")]);
        assert_eq!(judged(&Machine { is_on_bpffs: Err(denied()), ..fit() }), [(Fail, "pin-dir")]);
        assert_eq!(judged(&Machine { hash_key: Ok(Some(denied())), ..fit() }), [(Warn, "hash-key")]);
        assert_eq!(judged(&Machine { hash_key: Err(denied()), ..fit() }), [(Fail, "hash-key")]);
        assert_eq!(judged(&Machine { capabilities: None, ..fit() }), [(Warn, "privileges")]);
    }
}
