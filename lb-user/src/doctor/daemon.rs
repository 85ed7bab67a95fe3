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
    const CHECK: &str = "names";
    let api::Unnamed { vip, key_source, host, packets, from } = unnamed;
    let times = if *packets == 1 { "once".to_owned() } else { format!("{packets} times") };
    let last = format!("{times}, last from {}", described(*from, wanted));
    let who = match key_source.as_str() {
        "via" => "responses come back with Via host",
        "route" => "requests within dialogs come with Route host",
        "request-uri-host" => "requests within dialogs come without a Route, for the host",
        _ => {
            let what =
                format!("messages come to VIP {vip} that say nowhere which backend they are for ({last})");
            let mend =
                "let the servers write one of their aliases into Via and Record-Route (docs/backends.md)";
            return Finding::warn(CHECK, what, mend);
        }
    };
    let (why, mend) = explained(host, wanted);
    Finding::warn(CHECK, format!("{who} {host:?} ({last}), which names no backend of VIP {vip}{why}"), mend)
}

/// Why a host names nobody though it is known, and what to do about it. Ports are not noted.
fn explained(host: &str, wanted: &Wanted) -> (String, &'static str) {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let is_vip = address.is_some_and(|address| wanted.vips.iter().any(|vip| vip.ip() == address));
    if is_vip {
        let mend = "let the server advertise one of its aliases, or its own vip-port (docs/backends.md)";
        return (": it is the VIP, which all of them share".to_owned(), mend);
    }
    match address.and_then(|address| at(address, wanted)) {
        Some(paths) => (
            format!(": it is the address of {paths}, with a port that names no backend"),
            "let the server advertise its own port, or add this name with its port to its aliases (docs/backends.md)",
        ),
        None => (
            String::new(),
            "let the server advertise one of its aliases, or add this name to its aliases (docs/backends.md)",
        ),
    }
}

/// An address, and which backend it is.
fn described(from: IpAddr, wanted: &Wanted) -> String {
    at(from, wanted).map_or_else(|| from.to_string(), |paths| format!("{from}, which is {paths}"))
}

/// The backends that have an address.
fn at(address: IpAddr, wanted: &Wanted) -> Option<String> {
    let here = wanted.backends.iter().filter(|backend| backend.address == address);
    let paths: Vec<&str> = here.map(|backend| backend.path.as_str()).collect();
    (!paths.is_empty()).then(|| paths.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Forward, KeyRule};
    use crate::doctor::Verdict::{self, Fail, Warn};
    use crate::doctor::fixture::{card, faults, wanted};

    /// A daemon with one pool of these backends: name, health, state.
    fn status(backends: &[(&str, &str, State)]) -> api::Status {
        let backend = |(name, health, state): &(&str, &str, State)| api::Backend {
            pool: "registrars".to_owned(),
            name: (*name).to_owned(),
            group: (*name).to_owned(),
            address: [10, 0, 0, 11].into(),
            port: 5060,
            priority: 0,
            weight: 100,
            state: *state,
            is_overloaded: false,
            health: (*health).to_owned(),
            is_held: false,
            since_s: 7,
            last_check: Some("no answer within 500ms".to_owned()),
            round_trip_ms: None,
            slots: 0,
            share: 0.0,
            requests: api::Traffic::default(),
            replies: api::Traffic::default(),
        };
        let pool = api::Pool {
            name: "registrars".to_owned(),
            key: KeyRule::default(),
            panic: false,
            source: None,
            groups: Vec::new(),
            backends: backends.iter().map(backend).collect(),
            handover: None,
        };
        api::Status {
            version: "0.1.0".to_owned(),
            generation: 1,
            scan_loop: "may_goto".to_owned(),
            uptime_s: 1,
            fingerprint: "00001234".to_owned(),
            interfaces: Vec::new(),
            watchdog: api::Watchdog::default(),
            vips: Vec::new(),
            pools: vec![pool],
            reasons: api::Reasons::new(),
            no_vip: api::Reasons::new(),
            runtime: Vec::new(),
        }
    }

    fn judged(status: api::Status, unnamed: Result<Vec<api::Unnamed>, String>) -> Vec<Finding> {
        judge(
            &Daemon::Answers { status: Box::new(status), unnamed },
            &[],
            &wanted("192.0.2.10:5060", "10.0.0.11", Forward::Nat),
        )
    }

    fn of_backends(backends: &[(&str, &str, State)]) -> Vec<(Verdict, &'static str)> {
        faults(&judged(status(backends), Ok(Vec::new())))
    }

    #[test]
    fn backends_that_are_down_are_told_with_their_last_check() {
        let (a, b) = (("a1", "up", State::Active), ("b1", "down", State::Active));
        assert!(of_backends(&[a]).is_empty());
        assert_eq!(of_backends(&[a, b]), [(Warn, "backend")]);
        assert_eq!(of_backends(&[b]), [(Fail, "backend"), (Warn, "backend")]);
        assert!(of_backends(&[a, ("b1", "down", State::Maintenance)]).is_empty(), "it is expected to be");
        let findings = judged(status(&[a, b]), Ok(Vec::new()));
        let told = "registrars/b1 (10.0.0.11:5060) is down for 7 s; last check: no answer within 500ms";
        assert!(findings.iter().any(|finding| finding.what == told), "{findings:?}");
    }

    #[test]
    fn losses_that_can_be_mended_are_told_by_reasons_that_there_are() {
        let mut status = status(&[("a1", "up", State::Active)]);
        for (reason, ..) in LOSSES {
            assert!(lb_common::reason::Reason::ALL.iter().any(|known| known.name() == reason), "{reason}");
            let traffic = api::Traffic { packets: 2, bytes: 200 };
            status.reasons.insert(reason.to_owned(), traffic);
        }
        status.reasons.insert("not-sip".to_owned(), api::Traffic { packets: 9, bytes: 900 });
        assert_eq!(faults(&judged(status, Ok(Vec::new()))), [(Warn, "counters"); 3]);
    }

    #[test]
    fn servers_that_name_themselves_wrongly_are_told_with_the_mend() {
        let unnamed = |key_source: &str, packets, from: [u8; 4]| api::Unnamed {
            vip: "192.0.2.10:5060".to_owned(),
            key_source: key_source.to_owned(),
            host: "10.0.0.12".to_owned(),
            packets,
            from: from.into(),
        };
        let fit = || status(&[("a1", "up", State::Active)]);
        let told = judged(
            fit(),
            Ok(vec![
                unnamed("via", 3, [192, 0, 2, 7]),
                unnamed("route", 1, [10, 0, 0, 11]),
                unnamed("request-uri-host", 2, [192, 0, 2, 7]),
                unnamed("none", 2, [192, 0, 2, 7]),
            ]),
        );
        assert_eq!(faults(&told), [(Warn, "names"); 4]);
        let of_names: Vec<&str> = told
            .iter()
            .filter(|finding| finding.check == "names")
            .map(|finding| finding.what.as_str())
            .collect();
        assert_eq!(
            of_names[..2],
            [
                "responses come back with Via host \"10.0.0.12\" (3 times, last from 192.0.2.7), which names no backend \
                 of VIP 192.0.2.10:5060",
                "requests within dialogs come with Route host \"10.0.0.12\" (once, last from 10.0.0.11, which is \
                 registrars/a1), which names no backend of VIP 192.0.2.10:5060",
            ]
        );
        let known = |host: &str| explained(host, &wanted("192.0.2.10:5060", "10.0.0.11", Forward::Nat));
        assert_eq!(known("192.0.2.10").0, ": it is the VIP, which all of them share");
        let of_backend = known("10.0.0.11");
        assert_eq!(of_backend.0, ": it is the address of registrars/a1, with a port that names no backend");
        assert_ne!(of_backend.1, known("sip.example.net").1);
        let is_mended = |finding: &Finding| finding.mend.as_ref().is_some_and(|mend| mend.contains("alias"));
        assert!(told.iter().filter(|finding| finding.check == "names").all(is_mended));
        assert_eq!(faults(&judged(fit(), Err("there is no such request".to_owned()))), [(Warn, "names")]);
    }

    #[test]
    fn a_daemon_is_missed_where_its_program_forwards() {
        let wanted = wanted("192.0.2.10:5060", "10.0.0.11", Forward::Nat);
        let absent = Daemon::Absent { socket: "/run/siplb/siplb.sock".into() };
        let of = |carried| {
            let card = Some(crate::doctor::facts::Card { carried, ..card() });
            faults(&judge(&absent, &[Interface { name: "eth0".to_owned(), card }], &wanted))
        };
        assert!(of(Ok(Carried::Nothing)).is_empty());
        assert_eq!(of(Ok(Carried::Ours(None))), [(Warn, "daemon")]);
        assert_eq!(faults(&judge(&Daemon::Silent("denied".to_owned()), &[], &wanted)), [(Warn, "daemon")]);
    }
}
