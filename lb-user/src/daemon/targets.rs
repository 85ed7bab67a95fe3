//! What is to be checked, and which way: from what is wanted and what is known of the network. Pure; [`super::core`] asks.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::config::{self, Forward};
use crate::health::{Health, Path, Target, Way};
use crate::net::Network;
use crate::pool::{Desired, path};

/// Every backend, whatever its state.
pub(super) fn targets(desired: &Desired, down: &BTreeSet<String>, network: &Network) -> Vec<Target> {
    let target = |(pool, backend): (&config::Pool, &config::Backend)| {
        let id = path(&pool.name, &backend.name);
        let start = if down.contains(&id) { Health::Down } else { Health::Up };
        let path = way(desired, pool, backend, network);
        Target { id, address: backend.socket(), path, settings: backend.health.clone(), start }
    };
    desired.backends().map(target).collect()
}

/// The way that the pool's traffic takes to a backend. A pool behind no VIP has none yet.
fn way(desired: &Desired, pool: &config::Pool, backend: &config::Backend, network: &Network) -> Path {
    let Some(vip) = desired.config.vip_of(pool) else { return Path::Direct };
    let way = |next_hop| Way {
        vip: SocketAddr::new(vip.address, vip.port),
        next_hop,
        source: own_address(desired, network, vip.address),
    };
    match pool.forward {
        Forward::Nat => Path::Direct,
        Forward::Dsr => Path::Dsr(way(network.neighbour(backend.address))),
        Forward::Ipip => Path::Ipip(way(network.next_hop(backend.address))),
    }
}

/// An address of this node of the VIP's family that others can answer to: none of a VIP, and none that holds on this machine
/// or this link alone. The lowest, so that it stays the same.
fn own_address(desired: &Desired, network: &Network, vip: IpAddr) -> Option<IpAddr> {
    let is_of_use = |ip: &&IpAddr| {
        let is_near = match ip {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let is_vip = desired.config.vips.iter().any(|vip| vip.address == **ip);
        ip.is_ipv4() == vip.is_ipv4() && !ip.is_loopback() && !is_near && !is_vip
    };
    network.local.iter().find(is_of_use).copied()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lb_common::layout::NextHop;

    use super::*;

    /// Two backends, of which the second has a next hop.
    fn example(forward: Forward) -> (Desired, Network) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("siplb.toml");
        let text = format!(
            "[node]\ninterfaces = [\"eth0\"]\nhash-key = \"hex:{}\"\n[[vip]]\naddress = \"192.0.2.10\"\n\
             pool = \"p\"\n[[pool]]\nname = \"p\"\nbackend = [{{ name = \"a\", address = \"10.0.0.1\" }}, \
             {{ name = \"b\", address = \"10.0.0.2\" }}]\n",
            "0".repeat(32)
        );
        fs::write(&file, text).unwrap();
        let mut config = config::load(&file).unwrap();
        config.pools[0].forward = forward;
        let hop = NextHop { interface: 3, ..NextHop::default() };
        let network = Network {
            local: ["127.0.0.1", "169.254.1.1", "192.0.2.10", "192.0.2.77", "::1"].map(ip).into(),
            next_hops: [(ip("10.0.0.2"), hop)].into(),
            ..Network::default()
        };
        (Desired::of_file(config), network)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn checks_take_the_way_of_the_traffic() {
        let paths = |forward| {
            let (desired, network) = example(forward);
            let down = ["p/b".to_owned()].into();
            let targets = targets(&desired, &down, &network);
            assert_eq!([targets[0].start, targets[1].start], [Health::Up, Health::Down]);
            [targets[0].path, targets[1].path]
        };
        assert_eq!(paths(Forward::Nat), [Path::Direct; 2]);
        let way = |next_hop| Way {
            vip: "192.0.2.10:5060".parse().unwrap(),
            next_hop,
            source: Some(ip("192.0.2.77")),
        };
        let hop = NextHop { interface: 3, ..NextHop::default() };
        assert_eq!(paths(Forward::Dsr), [Path::Dsr(way(None)), Path::Dsr(way(Some(hop)))]);
        assert_eq!(paths(Forward::Ipip), [Path::Ipip(way(None)), Path::Ipip(way(Some(hop)))]);
    }

    #[test]
    fn a_pool_behind_no_vip_is_checked_at_its_backends_own_addresses() {
        let (mut desired, network) = example(Forward::Dsr);
        desired.config.vips.clear();
        assert_eq!(targets(&desired, &BTreeSet::new(), &network)[0].path, Path::Direct);
    }
}
