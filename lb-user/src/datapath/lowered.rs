//! An [`Image`] as the entries of the maps, and what two of them differ in. Pure: no kernel here.

use std::collections::BTreeMap;

use lb_common::layout::{
    Address, Backend, Group, Host, HostKey, NextHop, Port, Ports, Socket, SocketKey, Sums, Vip,
};

use super::image::{Image, Slots};

/// Entries of every map for one half; the half in the keys is 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lowered {
    pub(super) ports: Box<PortsOf>,
    pub(super) vips: BTreeMap<SocketKey, Vip>,
    pub(super) tables: BTreeMap<u32, Slots>,
    pub(super) groups: BTreeMap<u32, Group>,
    pub(super) backends: BTreeMap<u32, Backend>,
    pub(super) next_hops: BTreeMap<u32, NextHop>,
    pub(super) sockets: BTreeMap<SocketKey, Socket>,
    pub(super) hosts: BTreeMap<HostKey, Host>,
}

/// The bitmaps of ports.
#[derive(Clone, PartialEq)]
pub(super) struct PortsOf(pub(super) Ports);

impl std::fmt::Debug for PortsOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ports =
            |bitmap| -> Vec<u16> { (0..=u16::MAX).filter(|&n| Ports::has(bitmap, Port::new(n))).collect() };
        f.debug_struct("Ports")
            .field("vips", &ports(&self.0.vips))
            .field("backends", &ports(&self.0.backends))
            .finish()
    }
}

impl Lowered {
    /// No entry anywhere.
    pub(super) fn empty() -> Self {
        Self {
            ports: Box::new(PortsOf(Ports::EMPTY)),
            vips: BTreeMap::new(),
            tables: BTreeMap::new(),
            groups: BTreeMap::new(),
            backends: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            sockets: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }

    /// The entries that an image stands for.
    pub(super) fn new(image: &Image) -> Self {
        let mut lowered = Self::empty();
        lowered.tables = image.tables.clone();
        lowered.groups = image
            .groups
            .iter()
            .map(|(&id, active)| (id, Group { active: active.unwrap_or(0), pad: 0 }))
            .collect();
        for (&id, vip) in &image.vips {
            let (address, port) = (Address::from(vip.socket.ip()), Port::new(vip.socket.port()));
            let sums = Sums::new(&address, port);
            Ports::set(&mut lowered.ports.0.vips, port);
            let entry = Vip { rules: vip.rules, id, table: vip.table.unwrap_or(0), sums };
            lowered.vips.insert(SocketKey::udp(0, address, port), entry);
        }
        for (&id, backend) in &image.backends {
            lowered.add_backend(image, id, backend);
        }
        // An address of the node or of a peer wins over a backend's: that is how the packet's way is judged.
        for (&address, &host) in &image.hosts {
            lowered.hosts.insert(HostKey { address: address.into(), half: 0 }, host);
        }
        lowered
    }

    fn add_backend(&mut self, image: &Image, id: u32, backend: &super::image::Backend) {
        let (address, port) = (Address::from(backend.socket.ip()), Port::new(backend.socket.port()));
        let sums = Sums::new(&address, port);
        let next_hop = backend.next_hop.map_or(0, |hop| self.add_next_hop(hop));
        self.backends.insert(id, Backend { address, sums, next_hop, port, pad: 0 });
        self.hosts.insert(HostKey { address, half: 0 }, Host::Backend);
        let Some((number, vip)) = backend.vip.and_then(|number| Some((number, image.vips.get(&number)?)))
        else {
            return;
        };
        let (vip_address, vip_port) = (Address::from(vip.socket.ip()), Port::new(vip.socket.port()));
        Ports::set(&mut self.ports.0.backends, port);
        let socket = Socket {
            address: vip_address,
            vip_sums: Sums::new(&vip_address, vip_port),
            backend_sums: sums,
            vip: number,
            backend: id,
            port: vip_port,
            pad: [0; 3],
        };
        self.sockets.insert(SocketKey::udp(0, address, port), socket);
    }

    /// Backends behind one router share its entry.
    fn add_next_hop(&mut self, hop: NextHop) -> u32 {
        if let Some((&id, _)) = self.next_hops.iter().find(|(_, known)| **known == hop) {
            return id;
        }
        let id = self.next_hops.last_key_value().map_or(1, |(&last, _)| last + 1);
        self.next_hops.insert(id, hop);
        id
    }
}

/// What turns one map's entries into another's: keys to remove, entries to write.
pub(super) fn difference<'a, K: Ord + Copy, V: PartialEq>(
    from: &BTreeMap<K, V>,
    to: &'a BTreeMap<K, V>,
) -> (Vec<K>, Vec<(K, &'a V)>) {
    let removed = from.keys().filter(|key| !to.contains_key(key)).copied().collect();
    let written = to
        .iter()
        .filter(|(key, value)| from.get(key) != Some(value))
        .map(|(&key, value)| (key, value))
        .collect();
    (removed, written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::image;
    use lb_common::layout::{KeyKind, Rules};
    use std::net::SocketAddr;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn image() -> Image {
        let rules = Rules {
            seed: 1,
            key: KeyKind::User as u8,
            number_tail: 0,
            domain_count: 0,
            pad: [0; 5],
            domains: [0; 16],
        };
        let hop = NextHop { interface: 3, ..NextHop::default() };
        let backend = |text, vip, next_hop| image::Backend { socket: socket(text), vip, next_hop };
        Image {
            vips: [(1, image::Vip { socket: socket("192.0.2.10:5060"), rules, table: Some(1) })].into(),
            groups: [(1, Some(1)), (2, None)].into(),
            backends: [
                (1, backend("10.0.0.11:5070", Some(1), Some(hop))),
                (2, backend("10.0.0.12:5070", Some(1), Some(hop))),
                (3, backend("10.0.0.13:5080", None, None)),
            ]
            .into(),
            hosts: [("10.0.0.1".parse().unwrap(), Host::Node)].into(),
            ..Image::default()
        }
    }

    #[test]
    fn every_backend_of_a_vip_has_a_way_back() {
        let lowered = Lowered::new(&image());
        assert_eq!(lowered.sockets.len(), 2);
        assert!(lowered.sockets.values().all(|socket| socket.port == Port::new(5060) && socket.vip == 1));
        assert!(Ports::has(&lowered.ports.0.backends, Port::new(5070)));
        assert!(!Ports::has(&lowered.ports.0.backends, Port::new(5080)), "no VIP, no way back");
        assert_eq!(lowered.hosts.len(), 4);
        assert_eq!(lowered.groups[&2].active, 0);
    }

    #[test]
    fn next_hops_are_shared() {
        let lowered = Lowered::new(&image());
        assert_eq!(lowered.next_hops.len(), 1);
        assert_eq!(lowered.backends[&1].next_hop, lowered.backends[&2].next_hop);
        assert_eq!(lowered.backends[&3].next_hop, 0);
    }

    #[test]
    fn difference_is_what_has_to_be_done() {
        let from = BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
        let to = BTreeMap::from([(2, 'b'), (3, 'x'), (4, 'd')]);
        assert_eq!(difference(&from, &to), (vec![1], vec![(3, &'x'), (4, &'d')]));
        assert_eq!(difference(&to, &to), (vec![], vec![]));
    }
}
