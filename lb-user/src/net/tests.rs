//! What follows from which facts. No kernel and no root needed.

use std::net::IpAddr;

use lb_common::layout::{NextHop, Vlans};
use rtnetlink::packet_route::neighbour::NeighbourState;

use super::{
    facts::{Facts, Link, Mac, Neighbour, Route, Vlan},
    outlook::{Obstacle, Outlook, outlook},
};

const ETH0: u32 = 2;
const INNER: u32 = 5;
const OUTER: u32 = 6;
const NODE: Mac = [2, 0, 0, 0, 0, 1];
const PEER: Mac = [2, 0, 0, 0, 0, 9];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn backend() -> IpAddr {
    ip("10.0.0.11")
}

const MTU: u32 = 1_500;

fn link(name: &str, mac: Option<Mac>, vlan: Option<Vlan>) -> Link {
    Link { names: vec![name.to_owned()], mac, vlan, mtu: MTU, is_up: true }
}

fn neighbour(state: NeighbourState) -> Neighbour {
    Neighbour { state, mac: Some(PEER) }
}

/// A backend on the link of eth0, known and reachable.
fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.addresses.extend([ip("127.0.0.1"), ip("10.0.0.1")]);
    facts.links.insert(ETH0, link("eth0", Some(NODE), None));
    facts.routes.insert(backend(), Route::Out { link: ETH0, gateway: None });
    facts.neighbours.insert((ETH0, backend()), neighbour(NeighbourState::Reachable));
    facts
}

fn see(facts: &Facts) -> Outlook {
    outlook(facts, &["eth0".to_owned()], &[backend()])
}

fn hop(facts: &Facts) -> Option<NextHop> {
    see(facts).network.next_hops.get(&backend()).copied()
}

fn obstacle(facts: &Facts) -> Option<Obstacle> {
    let outlook = see(facts);
    assert!(outlook.network.next_hops.is_empty());
    outlook.obstacles.get(&backend()).cloned()
}

fn untagged() -> NextHop {
    NextHop { interface: ETH0, destination: PEER, source: NODE, vlans: Vlans::default(), mtu: MTU }
}

#[test]
fn a_backend_on_the_link_is_its_own_next_hop() {
    let outlook = see(&facts());
    assert_eq!(outlook.network.local, [ip("10.0.0.1"), ip("127.0.0.1")].into());
    assert_eq!(outlook.network.next_hops, [(backend(), untagged())].into());
    assert!(outlook.obstacles.is_empty() && outlook.idle.is_empty());
}

#[test]
fn a_backend_behind_a_router_is_reached_by_the_routers_mac() {
    for router in [ip("10.0.0.254"), ip("fe80::1")] {
        let mut facts = facts();
        facts.routes.insert(backend(), Route::Out { link: ETH0, gateway: Some(router) });
        facts.neighbours.clear();
        assert_eq!(obstacle(&facts), Some(Obstacle::Unresolved(router)));
        assert_eq!(see(&facts).idle, [(ETH0, router)].into());
        facts.neighbours.insert((ETH0, router), neighbour(NeighbourState::Permanent));
        assert_eq!(hop(&facts), Some(untagged()));
    }
}

#[test]
fn a_neighbour_counts_as_long_as_the_kernel_would_send_to_it() {
    use NeighbourState::{Delay, Failed, Incomplete, Noarp, None, Permanent, Probe, Reachable, Stale};
    // State, is it a next hop, must the kernel be told that it is in use.
    let cases = [
        (Reachable, true, false),
        (Stale, true, true),
        (Delay, true, false),
        (Probe, true, false),
        (Permanent, true, false),
        (Incomplete, false, false),
        (Failed, false, true),
        (Noarp, false, false),
        (None, false, true),
    ];
    for (state, is_next_hop, is_idle) in cases {
        let mut facts = facts();
        facts.neighbours.insert((ETH0, backend()), neighbour(state));
        assert_eq!(hop(&facts).is_some(), is_next_hop, "{state}");
        assert_eq!(!see(&facts).idle.is_empty(), is_idle, "{state}");
        let no_mac = Neighbour { state, mac: Option::None };
        facts.neighbours.insert((ETH0, backend()), no_mac);
        assert_eq!(hop(&facts), Option::None, "{state}");
    }
}

#[test]
fn a_neighbour_of_another_link_is_another_one() {
    let mut facts = facts();
    let known = facts.neighbours.remove(&(ETH0, backend())).unwrap();
    facts.neighbours.insert((ETH0 + 1, backend()), known);
    assert_eq!(obstacle(&facts), Some(Obstacle::Unresolved(backend())));
}

/// `outer` on eth0 and `inner` on that, with the route leaving by `inner`.
fn stacked() -> Facts {
    let mut facts = facts();
    let own = [2, 0, 0, 0, 0, 5];
    let outer = Vlan { protocol: 0x88a8, id: 100, below: ETH0 };
    let inner = Vlan { protocol: 0x8100, id: 200, below: OUTER };
    facts.links.insert(OUTER, link("outer", Some(NODE), Some(outer)));
    facts.links.insert(INNER, link("inner", Some(own), Some(inner)));
    facts.routes.insert(backend(), Route::Out { link: INNER, gateway: None });
    facts.neighbours.insert((INNER, backend()), neighbour(NeighbourState::Reachable));
    facts
}

#[test]
fn vlan_tags_lie_as_in_a_frame_and_the_vlan_device_is_the_source() {
    let vlans = Vlans {
        protocols: [0x88a8_u16.to_be(), 0x8100_u16.to_be()],
        tags: [100_u16.to_be(), 200_u16.to_be()],
        count: 2,
    };
    let source = [2, 0, 0, 0, 0, 5];
    assert_eq!(
        hop(&stacked()),
        Some(NextHop { interface: ETH0, destination: PEER, source, vlans, mtu: MTU })
    );
}

#[test]
fn one_tag_is_enough_where_the_program_is_on_the_outer_vlan_device() {
    let outlook = outlook(&stacked(), &["outer".to_owned()], &[backend()]);
    let hop = outlook.network.next_hops[&backend()];
    assert_eq!((hop.interface, hop.vlans.count, hop.vlans.tags[0]), (OUTER, 1, 200_u16.to_be()));
    assert_eq!(hop.vlans.protocols[0], 0x8100_u16.to_be());
}

#[test]
fn a_third_vlan_tag_is_one_too_many() {
    let mut facts = stacked();
    let vlan = Vlan { protocol: 0x8100, id: 300, below: INNER };
    facts.links.insert(7, link("third", Some(NODE), Some(vlan)));
    facts.routes.insert(backend(), Route::Out { link: 7, gateway: None });
    assert_eq!(obstacle(&facts), Some(Obstacle::TooManyVlans("third".into())));
}

#[test]
fn vlan_devices_that_lie_on_each_other_end() {
    let mut facts = stacked();
    let vlan = Vlan { protocol: 0x8100, id: 1, below: INNER };
    facts.links.insert(OUTER, link("outer", Some(NODE), Some(vlan)));
    assert_eq!(obstacle(&facts), Some(Obstacle::TooManyVlans("inner".into())));
}

#[test]
fn each_obstacle_has_its_name() {
    let mut none = facts();
    none.routes.clear();
    assert_eq!(obstacle(&none), Some(Obstacle::NoRoute));

    let mut local = facts();
    local.routes.insert(backend(), Route::Local);
    assert_eq!(obstacle(&local), Some(Obstacle::Local));

    let mut tunnel = facts();
    tunnel.routes.insert(backend(), Route::Other);
    assert_eq!(obstacle(&tunnel), Some(Obstacle::OtherRoute));

    let mut other = facts();
    other.links.insert(ETH0, link("eth1", Some(NODE), None));
    assert_eq!(obstacle(&other), Some(Obstacle::OtherInterface("eth1".into())));
    assert!(see(&other).idle.is_empty());

    let mut point_to_point = facts();
    point_to_point.links.insert(ETH0, link("eth0", None, None));
    assert_eq!(obstacle(&point_to_point), Some(Obstacle::NotEthernet("eth0".into())));

    let mut gone = facts();
    gone.links.clear();
    assert_eq!(obstacle(&gone), Some(Obstacle::NoRoute));
}

#[test]
fn alternative_names_name_the_same_interface() {
    let mut facts = facts();
    facts.links.insert(
        ETH0,
        Link {
            names: vec!["eth1".into(), "eth0".into()],
            mac: Some(NODE),
            vlan: None,
            mtu: MTU,
            is_up: true,
        },
    );
    assert_eq!(hop(&facts), Some(untagged()));
}
