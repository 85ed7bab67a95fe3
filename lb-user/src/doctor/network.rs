//! Judges addresses, routes and kernel settings: do packets get here, and on to the backends.

use std::net::IpAddr;

use super::facts::{Backend, Network, Wanted};
use super::finding::Finding;
use crate::config::Forward;
use crate::net::{Obstructed, Survey, Way, sysctl};

/// What is to be said of the network.
pub(super) fn judge(network: &Network, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = settings(&network.settings);
    match &network.survey {
        Ok(survey) => {
            findings.extend(vips(survey, wanted));
            findings.extend(wanted.backends.iter().map(|backend| route(survey, backend)));
        }
        Err(error) => {
            let what = format!("interfaces, addresses and routes are unknown: {error}");
            findings.push(Finding::fail(
                "network",
                what,
                "let this process open rtnetlink sockets, as any may",
            ));
        }
    }
    findings
}

fn settings(warnings: &[sysctl::Warning]) -> Vec<Finding> {
    const CHECK: &str = "sysctl";
    if warnings.is_empty() {
        return vec![Finding::ok(CHECK, "no setting of the interfaces loses packets")];
    }
    let finding = |warning: &sysctl::Warning| {
        let sysctl::Warning { setting, value, wanted, effect, is_fatal } = warning;
        let what = format!("{setting} is {value}: {effect}");
        let mend = format!("sysctl -w {setting}={wanted}");
        if *is_fatal { Finding::fail(CHECK, what, mend) } else { Finding::warn(CHECK, what, mend) }
    };
    warnings.iter().map(finding).collect()
}

/// Each address of a VIP once: several may share one.
fn vips(survey: &Survey, wanted: &Wanted) -> Vec<Finding> {
    let mut addresses: Vec<IpAddr> = wanted.vips.iter().map(|vip| vip.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let finding = |vip: &IpAddr| {
        if survey.local.contains(vip) {
            return Finding::ok("vip", format!("{vip} is an address of this node"));
        }
        let bits = if vip.is_ipv4() { 32 } else { 128 };
        let what =
            format!("{vip} is no address of this node: nobody here answers for it on the local network");
        let mend = format!("ip address add {vip}/{bits} dev lo; nothing, if routers send it to this node");
        Finding::warn("vip", what, mend)
    };
    addresses.iter().map(finding).collect()
}

fn route(survey: &Survey, backend: &Backend) -> Finding {
    const CHECK: &str = "route";
    let Backend { path, address, forward } = backend;
    let Way { router, obstructed } = survey.ways.get(address).cloned().unwrap_or_default();
    if let (Forward::Dsr, Some(router)) = (forward, router) {
        let what = format!(
            "{path} ({address}) is behind the router {router}: a dsr pool's packets are addressed to the VIP, and the \
             router would not send them to it"
        );
        return Finding::fail(
            CHECK,
            what,
            "put it on this node's network, or into a pool with forward = \"ipip\"",
        );
    }
    match obstructed {
        None => {
            let by = router.map_or_else(String::new, |router| format!(", by the router {router}"));
            Finding::ok(CHECK, format!("the way to {path} ({address}) is known{by}"))
        }
        Some(Obstructed::Unresolved(neighbour)) => {
            let what = format!("{neighbour}, on the way to {path} ({address}), doesn't say its MAC address");
            Finding::warn(CHECK, what, "see whether it is up and on that network")
        }
        Some(Obstructed::Misled(why)) if *forward == Forward::Nat => Finding::warn(
            CHECK,
            format!(
                "the program has no way to {path} ({address}), and leaves its packets to the stack: {why}"
            ),
            "route it by a configured interface, or add that one to node.interfaces",
        ),
        Some(Obstructed::Misled(why)) => Finding::fail(
            CHECK,
            format!("the program has no way to {path} ({address}): {why}"),
            "route it by a configured interface, or add that one to node.interfaces",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict::{self, Fail, Warn};
    use crate::doctor::fixture::{faults, wanted as of};

    const VIP: &str = "192.0.2.10";
    const BACKEND: &str = "10.0.0.11";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// What is said of a node that has the VIP, and this way to a backend that gets its packets so.
    fn judged(way: Way, forward: Forward) -> Vec<(Verdict, &'static str)> {
        let survey =
            Survey { local: [ip(VIP)].into(), ways: [(ip(BACKEND), way)].into(), ..Survey::default() };
        let network = Network { survey: Ok(survey), settings: Vec::new() };
        faults(&judge(&network, &of("192.0.2.10:5060", BACKEND, forward)))
    }

    #[test]
    fn a_way_by_a_router_is_good_unless_frames_carry_the_vip() {
        let routed = || Way { router: Some(ip("10.0.0.254")), obstructed: None };
        for forward in [Forward::Nat, Forward::Dsr, Forward::Ipip] {
            assert!(judged(Way::default(), forward).is_empty(), "{forward}");
        }
        assert!(judged(routed(), Forward::Nat).is_empty());
        assert!(judged(routed(), Forward::Ipip).is_empty());
        assert_eq!(judged(routed(), Forward::Dsr), [(Fail, "route")]);
    }

    #[test]
    fn obstacles_are_told_and_only_nat_has_the_stack_to_fall_back_on() {
        let way = |obstructed| Way { router: None, obstructed: Some(obstructed) };
        let silent = || way(Obstructed::Unresolved(ip(BACKEND)));
        let misled = || way(Obstructed::Misled("there is no route to it".to_owned()));
        assert_eq!(judged(silent(), Forward::Nat), [(Warn, "route")]);
        assert_eq!(judged(silent(), Forward::Dsr), [(Warn, "route")]);
        assert_eq!(judged(misled(), Forward::Nat), [(Warn, "route")]);
        assert_eq!(judged(misled(), Forward::Dsr), [(Fail, "route")]);
        assert_eq!(judged(misled(), Forward::Ipip), [(Fail, "route")]);
    }

    #[test]
    fn a_vip_that_is_not_here_is_told_once() {
        let mut wanted = of("192.0.2.10:5060", BACKEND, Forward::Nat);
        wanted.vips.push("192.0.2.10:5080".parse().unwrap());
        let findings = vips(&Survey::default(), &wanted);
        assert_eq!(faults(&findings), [(Warn, "vip")]);
        assert!(findings[0].mend.as_ref().unwrap().starts_with("ip address add 192.0.2.10/32 dev lo;"));
    }

    #[test]
    fn settings_that_lose_every_reply_are_worse_than_others() {
        let warning = |is_fatal| sysctl::Warning {
            setting: "net.ipv4.ip_forward".to_owned(),
            value: 0,
            wanted: 1,
            effect: "replies are lost",
            is_fatal,
        };
        let findings = settings(&[warning(true), warning(false)]);
        assert_eq!(faults(&findings), [(Fail, "sysctl"), (Warn, "sysctl")]);
        assert_eq!(findings[0].mend.as_deref(), Some("sysctl -w net.ipv4.ip_forward=1"));
        let survey = Err("denied".to_owned());
        let network = Network { survey, settings: Vec::new() };
        assert_eq!(
            faults(&judge(&network, &of("192.0.2.10:5060", BACKEND, Forward::Nat))),
            [(Fail, "network")]
        );
    }
}
