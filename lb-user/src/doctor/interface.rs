//! Judges a configured interface: does it carry the program, or can it; and do the fragments of one datagram meet.

use super::facts::{Card, Interface, Spread, Wanted};
use super::finding::Finding;
use crate::config::XdpMode;
use crate::datapath::{Carried, Mode};

/// What a driver without support for frames in several pieces takes at most, in bytes: a page, less the room that XDP
/// keeps before and behind the packet. Drivers differ by a few bytes.
const ONE_PAGE_MTU: u32 = 3_498;

/// What is to be said of an interface.
pub(super) fn judge(interface: &Interface, wanted: &Wanted) -> Vec<Finding> {
    let name = interface.name.as_str();
    let Some(card) = &interface.card else {
        let mend = "mend node.interfaces, or create it first; `ip link` lists those of this machine";
        return vec![Finding::fail("interface", format!("there is no interface {name}"), mend)];
    };
    let mut findings = vec![link(name, card), program(name, card, wanted)];
    // What carries the program in the driver has passed the driver's own judgement.
    let has_passed = matches!(card.carried, Ok(Carried::Ours(Some(Mode::Native))));
    if wanted.xdp_mode == XdpMode::Native && !has_passed {
        findings.extend(offloads(name, card));
        findings.extend(mtu(name, card));
    }
    findings.extend(fragments(name, card, wanted));
    findings
}

fn link(name: &str, card: &Card) -> Finding {
    let driver = card.driver.as_deref().unwrap_or("a driver that doesn't say its name");
    let queues = card.queues.map_or_else(
        || "an unknown number of receive queues".to_owned(),
        |queues| format!("{queues} receive queue{}", if queues == 1 { "" } else { "s" }),
    );
    let what = format!("{name}: driver {driver}, MTU {}, {queues}", card.mtu);
    if card.is_up {
        return Finding::ok("interface", what);
    }
    let mend = format!("ip link set {name} up; if it is, look for the cable or the other end");
    Finding::fail("interface", format!("{what}; it is down"), mend)
}

fn program(name: &str, card: &Card, wanted: &Wanted) -> Finding {
    const CHECK: &str = "xdp";
    let wanted = match wanted.xdp_mode {
        XdpMode::Native => Mode::Native,
        XdpMode::Generic => Mode::Generic,
    };
    match &card.carried {
        Ok(Carried::Nothing) => Finding::ok(CHECK, format!("{name} is free for the program")),
        Ok(Carried::Ours(Some(mode))) if *mode == wanted => {
            Finding::ok(CHECK, format!("{name} carries the program, in {mode} mode"))
        }
        Ok(Carried::Ours(_)) => Finding::warn(
            CHECK,
            format!("{name} carries the program in another mode than {wanted}, which node.xdp-mode asks for"),
            "restart the daemon",
        ),
        Ok(Carried::Other(program)) => Finding::fail(
            CHECK,
            format!("{name} already carries the XDP program {program}"),
            format!(
                "ip link set {name} xdp off, or remove it by the tool that attached it (another siplb: `siplb detach`)"
            ),
        ),
        Err(error) => Finding::warn(
            CHECK,
            format!("which XDP program {name} carries is unknown: {error}"),
            "run as root",
        ),
    }
}

/// XDP sees what the card received; what it has put together is several packets, for which drivers refuse the program.
fn offloads(name: &str, card: &Card) -> Option<Finding> {
    const CHECK: &str = "offloads";
    let both = [(card.lro, "LRO", "lro"), (card.gro_hw, "GRO_HW", "rx-gro-hw")];
    let on: Vec<_> = both.iter().filter(|(is_on, ..)| *is_on == Some(true)).collect();
    if on.is_empty() {
        if card.lro.is_none() || card.gro_hw.is_none() {
            let what = format!("whether LRO and GRO_HW are off on {name} is unknown: its driver doesn't say");
            return Some(Finding::warn(CHECK, what, format!("ethtool -k {name}")));
        }
        return Some(Finding::ok(CHECK, format!("LRO and GRO_HW are off on {name}")));
    }
    let names: Vec<&str> = on.iter().map(|(_, name, _)| *name).collect();
    let words: Vec<String> = on.iter().map(|(.., word)| format!("{word} off")).collect();
    let mend = format!(
        "ethtool -K {name} {}; where the host of a virtual machine has it fixed, mend it there, or xdp-mode = \"generic\"",
        words.join(" ")
    );
    let what = format!("{} is on at {name}", names.join(" and "));
    Some(if card.driver.as_deref() == Some("virtio_net") {
        Finding::fail(CHECK, format!("{what}: virtio_net then refuses XDP in native mode"), mend)
    } else {
        Finding::warn(CHECK, format!("{what}: drivers may refuse XDP in native mode"), mend)
    })
}

fn mtu(name: &str, card: &Card) -> Option<Finding> {
    (card.mtu > ONE_PAGE_MTU).then(|| {
        Finding::warn(
            "mtu",
            format!("{name} has an MTU of {}: some drivers refuse XDP in native mode with that", card.mtu),
            format!("if the start is refused: ip link set {name} mtu {ONE_PAGE_MTU}"),
        )
    })
}

/// For each family that is in use. See `docs/sip-behaviour.md`, Fragments.
fn fragments(name: &str, card: &Card, wanted: &Wanted) -> Vec<Finding> {
    const CHECK: &str = "rx-flow-hash";
    if card.queues == Some(1) {
        return vec![Finding::ok(CHECK, format!("{name} has one receive queue: fragments meet there"))];
    }
    let families = [(true, "udp4", card.spread_v4), (false, "udp6", card.spread_v6)];
    let used = families.into_iter().filter(|(is_v4, ..)| wanted.has_family(*is_v4));
    used.map(|(_, flow, spread)| {
        let mend = format!("ethtool -N {name} rx-flow-hash {flow} sd");
        match spread {
            Some(Spread::Addresses) => {
                Finding::ok(CHECK, format!("{name} spreads {flow} over its receive queues by address alone"))
            }
            Some(Spread::Ports) => Finding::warn(
                CHECK,
                format!(
                    "{name} spreads {flow} over its receive queues by ports, which only first fragments have: later \
                     ones may overtake them and be dropped"
                ),
                mend,
            ),
            None => Finding::warn(
                CHECK,
                format!(
                    "by what {name} spreads {flow} over its receive queues is unknown, its driver doesn't say: if by \
                     ports, later fragments may overtake first ones and be dropped"
                ),
                format!("try {mend}; the counter fragment-orphan tells of what was dropped"),
            ),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Forward;
    use crate::datapath::Program;
    use crate::doctor::Verdict::{self, Fail, Warn};
    use crate::doctor::fixture::{faults, wanted as of};

    /// A card without a fault.
    fn fit() -> Card {
        Card {
            is_up: true,
            mtu: 1_500,
            carried: Ok(Carried::Nothing),
            driver: Some("ice".to_owned()),
            lro: Some(false),
            gro_hw: Some(false),
            queues: Some(8),
            spread_v4: Some(Spread::Addresses),
            spread_v6: Some(Spread::Addresses),
        }
    }

    fn wanted() -> Wanted {
        of("192.0.2.10:5060", "10.0.0.11", Forward::Nat)
    }

    fn judged(card: Card, wanted: &Wanted) -> Vec<(Verdict, &'static str)> {
        faults(&judge(&Interface { name: "eth0".to_owned(), card: Some(card) }, wanted))
    }

    #[test]
    fn a_fit_card_has_no_faults_and_one_that_is_not_there_is_one() {
        assert!(judged(fit(), &wanted()).is_empty());
        let missing = Interface { name: "eth9".to_owned(), card: None };
        assert_eq!(faults(&judge(&missing, &wanted())), [(Fail, "interface")]);
        assert_eq!(judged(Card { is_up: false, ..fit() }, &wanted()), [(Fail, "interface")]);
    }

    #[test]
    fn another_program_or_another_mode_is_told() {
        let carrying = |carried| judged(Card { carried, ..fit() }, &wanted());
        assert!(carrying(Ok(Carried::Ours(Some(Mode::Native)))).is_empty());
        assert_eq!(carrying(Ok(Carried::Ours(Some(Mode::Generic)))), [(Warn, "xdp")]);
        let other = Program { id: u32::MAX, mode: Some(Mode::Native) };
        assert_eq!(carrying(Ok(Carried::Other(other))), [(Fail, "xdp")]);
        assert_eq!(carrying(Err("denied".to_owned())), [(Warn, "xdp")]);
    }

    #[test]
    fn offloads_matter_in_native_mode_until_the_driver_has_taken_the_program() {
        let virtio = || Card { driver: Some("virtio_net".to_owned()), gro_hw: Some(true), ..fit() };
        assert_eq!(judged(virtio(), &wanted()), [(Fail, "offloads")]);
        assert_eq!(judged(Card { lro: Some(true), ..fit() }, &wanted()), [(Warn, "offloads")]);
        assert_eq!(judged(Card { lro: None, ..fit() }, &wanted()), [(Warn, "offloads")]);
        assert_eq!(judged(Card { mtu: 9_000, ..fit() }, &wanted()), [(Warn, "mtu")]);
        let generic = Wanted { xdp_mode: XdpMode::Generic, ..wanted() };
        assert!(judged(Card { mtu: 9_000, ..virtio() }, &generic).is_empty());
        let carried = Ok(Carried::Ours(Some(Mode::Native)));
        assert!(judged(Card { mtu: 9_000, carried, ..virtio() }, &wanted()).is_empty());
    }

    #[test]
    fn fragments_meet_in_one_queue_or_by_address_and_silence_is_no_yes() {
        let spread = |queues, spread_v4, wanted: &Wanted| judged(Card { queues, spread_v4, ..fit() }, wanted);
        let v6 = of("[2001:db8::10]:5060", "2001:db8::11", Forward::Nat);
        assert!(spread(Some(1), Some(Spread::Ports), &wanted()).is_empty());
        assert_eq!(spread(Some(2), Some(Spread::Ports), &wanted()), [(Warn, "rx-flow-hash")]);
        assert_eq!(spread(Some(2), None, &wanted()), [(Warn, "rx-flow-hash")]);
        assert_eq!(spread(None, None, &wanted()), [(Warn, "rx-flow-hash")]);
        assert!(spread(Some(2), Some(Spread::Ports), &v6).is_empty(), "no IPv4 is in use");
        assert_eq!(judged(Card { spread_v6: None, ..fit() }, &v6), [(Warn, "rx-flow-hash")]);
        let card = Card { spread_v4: Some(Spread::Ports), ..fit() };
        let mend = fragments("eth1", &card, &wanted()).pop().and_then(|finding| finding.mend);
        assert_eq!(mend.as_deref(), Some("ethtool -N eth1 rx-flow-hash udp4 sd"));
    }
}
