//! Judges what a running daemon knows: backends that are down, what was lost, and servers that name themselves wrongly.

use std::net::IpAddr;

use super::facts::{Daemon, Interface, Wanted};
use super::finding::Finding;
use crate::control::api;
use crate::datapath::Carried;
use crate::pool::{State, path};

/// Counters that tell of what can be mended: reason, what it means of so many packets, mend.
const LOSSES: [(&str, &str, &str); 3] = [
    (
        "fragment-orphan",
        "later fragments to a VIP were dropped, since their first one was not seen before them",
        "spread datagrams over the receive queues by address alone: ethtool -N DEV rx-flow-hash udp4 sd (and udp6)",
    ),
    (
        "no-next-hop",
        "packets were dropped, since the MAC address of their backend was not known",
        "see the findings about routes; the backend must be up and on a network of a configured interface",
    ),
    (
        "too-big-untold",
        "packets were dropped that were too long for the tunnel, and their sender could not be told",
        "leave room for the outer header (20 bytes of IPv4, 40 of IPv6) in the MTU towards the backends of ipip pools",
    ),
];

/// What is to be said of the daemon.
pub(super) fn judge(daemon: &Daemon, interfaces: &[Interface], wanted: &Wanted) -> Vec<Finding> {
    const CHECK: &str = "daemon";
    match daemon {
        Daemon::Absent { socket } => {
            let what = format!("no daemon listens on {}", socket.display());
            let is_ours = |interface: &Interface| {
                interface.card.as_ref().is_some_and(|card| matches!(card.carried, Ok(Carried::Ours(_))))
            };
            if interfaces.iter().any(is_ours) {
                let what = format!("{what}, and the program forwards: nobody notices backends that fail");
                return vec![Finding::warn(CHECK, what, "siplb run, or siplb detach")];
            }
            vec![Finding::ok(CHECK, format!("{what}; what only a daemon knows is not judged"))]
        }
        Daemon::Silent(error) => {
            let mend = "mend that first: what only the daemon knows could not be judged";
            vec![Finding::warn(CHECK, error, mend)]
        }
        Daemon::Answers { status, unnamed } => {
            let mut findings = vec![Finding::ok(CHECK, format!("siplb {} runs", status.version))];
            findings.extend(backends(status));
            findings.extend(losses(&status.reasons));
            findings.extend(names(unnamed, wanted));
            findings
        }
    }
}

/// Backends that are down; those in maintenance are expected to be.
fn backends(status: &api::Status) -> Vec<Finding> {
    const CHECK: &str = "backend";
    let mut findings = Vec::new();
    for pool in &status.pools {
        let is_down =
            |backend: &&api::Backend| backend.health == "down" && backend.state != State::Maintenance;
        let down: Vec<&api::Backend> = pool.backends.iter().filter(is_down).collect();
        if !pool.backends.is_empty() && pool.backends.iter().all(|backend| backend.health == "down") {
            findings.push(Finding::fail(
                CHECK,
                format!("no backend of pool {} is up", pool.name),
                "start them; if they are up, this node's way to them, or theirs to it, is broken",
            ));
        }
        for backend in &down {
            let check = backend.last_check.as_deref().unwrap_or("not made yet");
            let what = format!(
                "{} ({}) is down for {} s; last check: {check}",
                path(&pool.name, &backend.name),
                std::net::SocketAddr::new(backend.address, backend.port),
                backend.since_s
            );
            findings.push(Finding::warn(
                CHECK,
                what,
                "see \"Health\" in docs/operations.md for what a check needs",
            ));
        }
        if down.is_empty() && !pool.backends.is_empty() {
            findings.push(Finding::ok(CHECK, format!("no backend of pool {} is missed", pool.name)));
        }
    }
    findings
}

fn losses(reasons: &api::Reasons) -> Vec<Finding> {
    const CHECK: &str = "counters";
    let lost = LOSSES.iter().filter_map(|(reason, meaning, mend)| {
        let packets = reasons.get(*reason).map_or(0, |traffic| traffic.packets);
        (packets > 0).then(|| Finding::warn(CHECK, format!("{reason}: {packets} {meaning}"), *mend))
    });
    let lost: Vec<Finding> = lost.collect();
    if lost.is_empty() {
        return vec![Finding::ok(CHECK, "nothing was lost that this node's set-up is to blame for")];
    }
    lost
}

/// Servers that name themselves in a way that no backend is known by.
fn names(unnamed: &Result<Vec<api::Unnamed>, String>, wanted: &Wanted) -> Vec<Finding> {
    const CHECK: &str = "names";
    match unnamed {
        Ok(unnamed) if unnamed.is_empty() => {
            vec![Finding::ok(CHECK, "every response and every request within a dialog named a backend")]
        }
        Ok(unnamed) => unnamed.iter().map(|unnamed| name(unnamed, wanted)).collect(),
        Err(error) => {
            let what = format!("which hosts named no backend is unknown: {error}");
            vec![Finding::warn(CHECK, what, "restart the daemon, if it is an older siplb than this one")]
        }
    }
}

fn name(unnamed: &api::Unnamed, wanted: &Wanted) -> Finding {
    let api::Unnamed { vip, key_source, host, packets, from } = unnamed;
    let times = if *packets == 1 { "once".to_owned() } else { format!("{packets} times") };
    let last = format!("{times}, last from {}", sender(*from, wanted));
    let what = match key_source.as_str() {
        "via" => format!(
            "responses come back with Via host {host:?} ({last}), which names no backend of VIP {vip}"
        ),
        "route" => {
            format!(
                "requests within dialogs come with Route host {host:?} ({last}), which names no backend of VIP {vip}"
            )
        }
        "request-uri-host" => format!(
            "requests within dialogs come without a Route, for the host {host:?} ({last}), which names no backend of VIP \
             {vip}"
        ),
        _ => {
            let what =
                format!("messages come to VIP {vip} that say nowhere which backend they are for ({last})");
            let mend = "let the servers put themselves into Via and Record-Route by one of their aliases (docs/backends.md)";
            return Finding::warn("names", what, mend);
        }
    };
    let mend =
        "let the server advertise one of its aliases, or add this name to its aliases (docs/backends.md)";
    Finding::warn("names", what, mend)
}

/// An address, with the backends that have it.
fn sender(from: IpAddr, wanted: &Wanted) -> String {
    let here = wanted.backends.iter().filter(|backend| backend.address == from);
    let paths: Vec<&str> = here.map(|backend| backend.path.as_str()).collect();
    if paths.is_empty() { from.to_string() } else { format!("{from}, which is {}", paths.join(" and ")) }
}
