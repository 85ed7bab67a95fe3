//! An [`Image`] as the entries of the maps, and what two of them differ in. Pure: no kernel here.

use std::collections::BTreeMap;

use std::net::{IpAddr, SocketAddr};

use lb_common::decide::{ANY_PORT, NO_PORT, name_hash};
use lb_common::layout::{
    Address, Backend, Group, Host, HostKey, Mode, NameKey, Named, NamedKind, NextHop, Port, Ports, Socket,
    SocketKey, Sums, Vip,
};

use super::image::{self, Image, NamePort, Phase, Slots, Standing};

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
    pub(super) names: BTreeMap<NameKey, Named>,
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
            names: BTreeMap::new(),
        }
    }

    /// The entries that an image stands for.
    pub(super) fn new(image: &Image) -> Self {
        let mut lowered = Self::empty();
        lowered.tables = image.tables.clone();
        lowered.groups = image
            .groups
            .iter()
            .map(|(&id, group)| {
                let [active, other] = [group.active, group.other].map(|backend| backend.unwrap_or(0));
                (id, Group { active, other })
            })
            .collect();
        for (&id, backend) in &image.backends {
            lowered.add_backend(image, id, backend);
        }
        // An address of the node or of a peer wins over a backend's: that is how the packet's way is judged.
        for (&address, &host) in &image.hosts {
            lowered.hosts.insert(HostKey { address: address.into(), half: 0 }, host);
        }
        for (&id, vip) in &image.vips {
            lowered.add_vip(image, id, vip);
        }
        lowered
    }

    fn add_vip(&mut self, image: &Image, id: u32, vip: &image::Vip) {
        let (address, port) = parts(vip.socket);
        self.hosts.insert(HostKey { address, half: 0 }, Host::Vip);
        let entry = Vip {
            rules: vip.rules,
            id,
            table: vip.table.unwrap_or(0),
            sums: Sums::new(&address, port),
            own: 0,
            change: vip.change.map_or(0, |change| change.number),
            other_table: vip.change.and_then(|change| change.other_table).unwrap_or(0),
            is_switched: vip.change.is_some_and(|change| change.phase == Phase::Switched).into(),
        };
        self.add_vip_socket(address, port, entry);
        // A port that is one backend's own is another entry of the same VIP.
        for (&own, backend) in image.backends.iter().filter(|(_, backend)| backend.vip == Some(id)) {
            if let Some(ports) = backend.own_port {
                let port = Port::new(ports.vip_port);
                let mut entry = Vip { own, sums: Sums::new(&address, port), ..entry };
                entry.rules.own = named(image, own);
                self.add_vip_socket(address, port, entry);
            }
        }
        for (name, meant) in &vip.names {
            let port = match name.port {
                NamePort::None => NO_PORT,
                NamePort::Exactly(port) => u32::from(port),
                NamePort::Any => ANY_PORT,
            };
            let host = name_hash(name.host.as_bytes(), vip.rules.seed);
            let meant = match *meant {
                image::Named::Vip => Named { backend: 0, kind: NamedKind::Vip as u32 },
                image::Named::Backend(backend) => named(image, backend),
            };
            self.names.insert(NameKey { host, port, vip: id as u16, half: 0 }, meant);
        }
    }

    fn add_vip_socket(&mut self, address: Address, port: Port, entry: Vip) {
        Ports::set(&mut self.ports.0.vips, port);
        self.vips.insert(SocketKey::udp(0, address, port), entry);
    }

    fn add_backend(&mut self, image: &Image, id: u32, backend: &image::Backend) {
        let (address, port) = parts(backend.socket);
        let next_hop = backend.next_hop.map_or(0, |hop| self.add_next_hop(hop));
        let own_port = backend.own_port.map_or(Port(0), |own| Port::new(own.port));
        let entry = Backend {
            address,
            sums: Sums::new(&address, port),
            next_hop,
            port,
            own_port,
            mode: backend.mode as u32,
            tunnel: if backend.mode == Mode::Ipip {
                backend.tunnel_source.into()
            } else {
                Address::default()
            },
            is_up: backend.is_up.into(),
        };
        self.backends.insert(id, entry);
        self.hosts.insert(HostKey { address, half: 0 }, Host::Backend);
        let Some((number, vip)) = backend.vip.and_then(|number| Some((number, image.vips.get(&number)?)))
        else {
            return;
        };
        // In the other modes the backend answers as the VIP itself.
        if backend.mode == Mode::Nat {
            self.add_way_back(id, address, port, (number, vip.socket.ip(), vip.socket.port()));
            if let Some(own) = backend.own_port {
                self.add_way_back(id, address, own_port, (number, vip.socket.ip(), own.vip_port));
            }
        }
    }

    fn add_way_back(
        &mut self,
        backend: u32,
        address: Address,
        port: Port,
        (vip, vip_address, vip_port): (u32, IpAddr, u16),
    ) {
        let (vip_address, vip_port) = (Address::from(vip_address), Port::new(vip_port));
        Ports::set(&mut self.ports.0.backends, port);
        let socket = Socket {
            address: vip_address,
            vip_sums: Sums::new(&vip_address, vip_port),
            backend_sums: Sums::new(&address, port),
            vip,
            backend,
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

fn parts(socket: SocketAddr) -> (Address, Port) {
    (Address::from(socket.ip()), Port::new(socket.port()))
}

/// Who gets the messages that name a backend.
fn named(image: &Image, backend: u32) -> Named {
    let (backend, kind) = match image.backends.get(&backend).map(|backend| backend.standing) {
        Some(Standing::Serves) => (backend, NamedKind::Itself),
        Some(Standing::ServedBy(other)) => (other, NamedKind::Stand),
        Some(Standing::Down) => (0, NamedKind::Down),
        None => (0, NamedKind::Nobody),
    };
    Named { backend, kind: kind as u32 }
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
        let rules = Rules { seed: 1, key: KeyKind::User as u8, ..Rules::default() };
        let hop = NextHop { interface: 3, ..NextHop::default() };
        let backend = |text, vip, next_hop| image::Backend::new(socket(text), vip, next_hop);
        let vip = socket("192.0.2.10:5060");
        Image {
            vips: [(
                1,
                image::Vip { socket: vip, rules, table: Some(1), change: None, names: BTreeMap::new() },
            )]
            .into(),
            groups: [(1, image::Group::served_by(Some(1))), (2, image::Group::served_by(None))].into(),
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
        assert_eq!(lowered.hosts.len(), 5);
        assert_eq!(lowered.groups[&2].active, 0);
    }

    #[test]
    fn a_change_in_progress_is_told_to_every_port_of_its_vip() {
        let mut image = image();
        image.backends.get_mut(&2).unwrap().own_port = Some(image::OwnPort { vip_port: 15_061, port: 5071 });
        image.backends.get_mut(&1).unwrap().is_up = false;
        image.groups.insert(1, image::Group { active: Some(1), other: Some(2) });
        let told = |image: &Image| {
            let told = |vip: &Vip| (vip.change, vip.other_table, vip.is_switched);
            Lowered::new(image).vips.values().map(told).collect::<Vec<_>>()
        };
        assert_eq!(told(&image), [(0, 0, 0); 2]);
        let mut change = image::Moving { number: 7, other_table: Some(2), phase: Phase::Recording };
        image.vips.get_mut(&1).unwrap().change = Some(change);
        assert_eq!(told(&image), [(7, 2, 0); 2]);
        change.phase = Phase::Switched;
        image.vips.get_mut(&1).unwrap().change = Some(change);
        assert_eq!(told(&image), [(7, 2, 1); 2]);
        let lowered = Lowered::new(&image);
        assert_eq!((lowered.groups[&1].active, lowered.groups[&1].other), (1, 2));
        assert_eq!((lowered.backends[&1].is_up, lowered.backends[&2].is_up), (0, 1));
    }

    #[test]
    fn a_port_of_its_own_leads_both_ways() {
        let mut image = image();
        image.backends.get_mut(&2).unwrap().own_port = Some(image::OwnPort { vip_port: 15_061, port: 5071 });
        let lowered = Lowered::new(&image);
        let key = |text| {
            let (address, port) = parts(socket(text));
            SocketKey::udp(0, address, port)
        };
        let vip = lowered.vips[&key("192.0.2.10:15061")];
        assert_eq!((vip.id, vip.own, vip.rules.own.backend), (1, 2, 2));
        assert_eq!(lowered.backends[&2].own_port, Port::new(5071));
        let back = lowered.sockets[&key("10.0.0.12:5071")];
        assert_eq!((back.port, back.backend), (Port::new(15_061), 2));
        assert_eq!(lowered.sockets[&key("10.0.0.12:5070")].port, Port::new(5060));
    }

    #[test]
    fn names_lead_to_whoever_serves() {
        let mut image = image();
        let name = |host: &str, port| image::Name { host: host.into(), port };
        image.vips.get_mut(&1).unwrap().names = [
            (name("b1", NamePort::Any), image::Named::Backend(1)),
            (name("b2", NamePort::Exactly(5070)), image::Named::Backend(2)),
            (name("b3", NamePort::None), image::Named::Backend(3)),
            (name("vip", NamePort::None), image::Named::Vip),
        ]
        .into();
        image.backends.get_mut(&2).unwrap().standing = Standing::ServedBy(1);
        image.backends.get_mut(&3).unwrap().standing = Standing::Down;
        let names = Lowered::new(&image).names;
        let of = |host: &str, port| {
            let named = names[&NameKey { host: name_hash(host.as_bytes(), 1), port, vip: 1, half: 0 }];
            (named.backend, NamedKind::of(named.kind.into()))
        };
        assert_eq!(of("B1.", ANY_PORT), (1, NamedKind::Itself));
        assert_eq!(of("b2", 5070), (1, NamedKind::Stand));
        assert_eq!(of("b3", NO_PORT), (0, NamedKind::Down));
        assert_eq!(of("vip", NO_PORT), (0, NamedKind::Vip));
    }

    #[test]
    fn only_nat_has_a_way_back() {
        for mode in [Mode::Dsr, Mode::Ipip] {
            let mut image = image();
            image.backends.values_mut().for_each(|backend| backend.mode = mode);
            assert!(Lowered::new(&image).sockets.is_empty());
        }
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
