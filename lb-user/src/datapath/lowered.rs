//! An [`Image`] as the entries of the maps, and what two of them differ in. Pure: no kernel here.

use std::collections::{BTreeMap, HashMap};

use std::net::SocketAddr;

use lb_common::decide::{ANY_PORT, NO_PORT, name_hash};
use lb_common::layout::{
    Address, Backend, Endpoint, EndpointKey, EndpointKind, Group, Host, Mode, NameKey, Named, NamedKind,
    NextHop, Port, Ports, Socket, Sums, Vip,
};

use super::image::{self, Image, NamePort, Phase, Slots, Standing};

/// Entries of every map for one half.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lowered {
    pub(super) ports: Box<PortsOf>,
    pub(super) endpoints: BTreeMap<EndpointKey, Endpoint>,
    pub(super) vips: BTreeMap<u32, Vip>,
    pub(super) tables: BTreeMap<u32, Slots>,
    pub(super) groups: BTreeMap<u32, Group>,
    pub(super) backends: BTreeMap<u32, Backend>,
    pub(super) next_hops: BTreeMap<u32, NextHop>,
    pub(super) sockets: BTreeMap<u32, Socket>,
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
            endpoints: BTreeMap::new(),
            vips: BTreeMap::new(),
            tables: BTreeMap::new(),
            groups: BTreeMap::new(),
            backends: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            sockets: BTreeMap::new(),
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
        // Backends behind one router share its entry.
        let mut next_hops = HashMap::new();
        for (&id, backend) in &image.backends {
            let next_hop = backend
                .next_hop
                .map_or(0, |hop| *next_hops.entry(hop).or_insert_with(|| lowered.add_next_hop(hop)));
            lowered.add_backend(id, backend, next_hop);
        }
        lowered.add_ways_back(image);
        // An address of the node or of a peer wins over a backend's: that is how the packet's way is judged.
        for (&address, &host) in &image.hosts {
            lowered.add_host(address.into(), host);
        }
        for (&id, vip) in &image.vips {
            lowered.add_vip(image, id, vip);
        }
        for (&id, vip) in &image.vips {
            lowered.add_own_ports(image, id, vip);
        }
        lowered
    }

    fn add_vip(&mut self, image: &Image, id: u32, vip: &image::Vip) {
        let (address, port) = parts(vip.socket);
        self.add_host(address, Host::Vip);
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
            self.names.insert(NameKey { host, port, vip: id }, meant);
        }
    }

    /// A port that is one backend's own is another entry of the same VIP.
    fn add_own_ports(&mut self, image: &Image, id: u32, vip: &image::Vip) {
        let entry = self.vips[&id];
        let address = Address::from(vip.socket.ip());
        for (&own, backend) in image.backends.iter().filter(|(_, backend)| backend.vip == Some(id)) {
            if let Some(ports) = backend.own_port {
                let port = Port::new(ports.vip_port);
                let mut entry = Vip { own, sums: Sums::new(&address, port), ..entry };
                entry.rules.own = named(image, own);
                self.add_vip_socket(address, port, entry);
            }
        }
    }

    fn add_vip_socket(&mut self, address: Address, port: Port, entry: Vip) {
        Ports::set(&mut self.ports.0.vips, port);
        // The first entry of a VIP has its number, the others stand behind all of these.
        let id = if entry.own == 0 { entry.id } else { following(&self.vips) };
        self.vips.insert(id, entry);
        self.add_endpoint(EndpointKey::udp(EndpointKind::Vip, address, port), id);
    }

    fn add_host(&mut self, address: Address, host: Host) {
        self.add_endpoint(EndpointKey::host(address), host as u32);
    }

    fn add_endpoint(&mut self, key: EndpointKey, means: u32) {
        self.endpoints.insert(key, Endpoint { means, pad: 0 });
    }

    fn add_backend(&mut self, id: u32, backend: &image::Backend, next_hop: u32) {
        let (address, port) = parts(backend.socket);
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
        self.add_host(address, Host::Backend);
    }

    /// The ways back from backends' SIP sockets, and then from their own ports': the first of a backend has its number, the
    /// others stand behind all of these.
    fn add_ways_back(&mut self, image: &Image) {
        // In the other modes the backend answers as the VIP itself.
        let behind_vips = || {
            image.backends.iter().filter(|(_, backend)| backend.mode == Mode::Nat).filter_map(
                |(&id, backend)| {
                    let number = backend.vip?;
                    Some((id, backend, number, image.vips.get(&number)?.socket))
                },
            )
        };
        for (id, backend, vip, socket) in behind_vips() {
            self.add_way_back(id, id, backend.socket, (vip, socket));
        }
        for (id, backend, vip, mut socket) in behind_vips() {
            if let Some(own) = backend.own_port {
                socket.set_port(own.vip_port);
                let own_socket = SocketAddr::new(backend.socket.ip(), own.port);
                self.add_way_back(following(&self.sockets), id, own_socket, (vip, socket));
            }
        }
    }

    fn add_way_back(&mut self, id: u32, backend: u32, from: SocketAddr, (vip, to): (u32, SocketAddr)) {
        let ((address, port), (vip_address, vip_port)) = (parts(from), parts(to));
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
        self.sockets.insert(id, socket);
        self.add_endpoint(EndpointKey::udp(EndpointKind::Backend, address, port), id);
    }

    fn add_next_hop(&mut self, hop: NextHop) -> u32 {
        let id = following(&self.next_hops);
        self.next_hops.insert(id, hop);
        id
    }
}

/// The id behind the last one.
fn following<V>(entries: &BTreeMap<u32, V>) -> u32 {
    entries.last_key_value().map_or(1, |(&last, _)| last + 1)
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
        let hosts = lowered.endpoints.keys().filter(|key| key.kind == EndpointKind::Host as u8);
        assert_eq!(hosts.count(), 5);
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
        let of = |kind, text| {
            let (address, port) = parts(socket(text));
            lowered.endpoints[&EndpointKey::udp(kind, address, port)].means
        };
        assert_eq!(of(EndpointKind::Vip, "192.0.2.10:5060"), 1);
        let vip = lowered.vips[&of(EndpointKind::Vip, "192.0.2.10:15061")];
        assert_eq!((vip.id, vip.own, vip.rules.own.backend), (1, 2, 2));
        assert_eq!(lowered.backends[&2].own_port, Port::new(5071));
        let back = lowered.sockets[&of(EndpointKind::Backend, "10.0.0.12:5071")];
        assert_eq!((back.port, back.backend), (Port::new(15_061), 2));
        assert_eq!(lowered.sockets[&of(EndpointKind::Backend, "10.0.0.12:5070")].port, Port::new(5060));
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
            let named = names[&NameKey { host: name_hash(host.as_bytes(), 1), port, vip: 1 }];
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
