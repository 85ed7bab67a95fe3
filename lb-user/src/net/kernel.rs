//! rtnetlink: asks the kernel, hears of changes, and tells it which neighbours are in use. [`super::watcher`] is the
//! caller.
//!
//! Questions and notices have a socket each: notices that nobody has read yet can fill a socket, and answers would be
//! lost with them.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use futures::{StreamExt, TryStreamExt, channel::mpsc::UnboundedReceiver};
use rtnetlink::{
    Handle,
    MulticastGroup::{
        Ipv4Ifaddr, Ipv4Route, Ipv4Rule, Ipv6Ifaddr, Ipv6Route, Ipv6Rule, Link as Links, Neigh, Nexthop,
    },
    RouteMessageBuilder, new_connection, new_multicast_connection,
    packet_core::NetlinkMessage,
    packet_route::{
        RouteNetlinkMessage,
        address::{AddressAttribute, AddressMessage},
        link::{InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, Prop},
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
        route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia},
    },
    sys::{AsyncSocket, SocketAddr},
};
use thiserror::Error;
use tokio::task::JoinHandle;

use super::facts::{Facts, Link, Mac, Neighbour, NeighbourKey, Route, Vlan};

/// Why the kernel could not be asked.
#[derive(Debug, Error)]
pub(super) enum KernelError {
    /// No socket: out of file descriptors, or rtnetlink is denied to this process.
    #[error("cannot open an rtnetlink socket: {0}")]
    Open(#[from] io::Error),
    /// A question was refused, or its answer makes no sense.
    #[error("cannot ask for {what}: {source}")]
    Ask {
        /// What was asked for.
        what: &'static str,
        /// What rtnetlink said.
        source: rtnetlink::Error,
    },
    /// The socket of the notices has ended.
    #[error("the kernel's notices of changes have ended")]
    NoticesEnded,
    /// No answer in time.
    #[error("the kernel didn't answer in time")]
    Silent,
}

/// The kernel of the network namespace that [`Kernel::open`] was called in.
#[derive(Debug)]
pub(super) struct Kernel {
    handle: Handle,
    notices: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    connections: [JoinHandle<()>; 2],
}

impl Drop for Kernel {
    fn drop(&mut self) {
        for connection in &self.connections {
            connection.abort();
        }
    }
}

impl Kernel {
    /// Opens both sockets. Must be called within a tokio runtime.
    pub(super) fn open() -> Result<Self, KernelError> {
        let (questions, handle, _) = new_connection()?;
        let (mut listener, _, notices) = new_multicast_connection(&[
            Links, Neigh, Ipv4Ifaddr, Ipv4Route, Ipv4Rule, Ipv6Ifaddr, Ipv6Route, Ipv6Rule, Nexthop,
        ])?;
        // A notice that finds the socket full is lost, which need not be an error: those before it are still to be read,
        // and to read any is to look again.
        listener.socket_mut().socket_mut().set_no_enobufs(true)?;
        Ok(Self { handle, notices, connections: [tokio::spawn(questions), tokio::spawn(listener)] })
    }

    /// Waits until something has changed, whatever it is.
    pub(super) async fn changed(&mut self) -> Result<(), KernelError> {
        self.notices.next().await.map(drop).ok_or(KernelError::NoticesEnded)
    }

    /// Forgets the changes that were heard of so far.
    pub(super) fn forget_changes(&mut self) {
        while self.notices.try_recv().is_ok() {}
    }

    /// Asks for everything, and for the routes to these addresses.
    ///
    /// Routes are those of packets that this node sends itself: rules that look at the incoming interface or at the
    /// source address of a packet have no say.
    pub(super) async fn look(&self, backends: &[IpAddr]) -> Result<Facts, KernelError> {
        let mut facts = Facts::default();
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await.map_err(failed("addresses"))? {
            facts.addresses.extend(address(&message));
        }
        let mut links = self.handle.link().get().execute();
        while let Some(message) = links.try_next().await.map_err(failed("links"))? {
            facts.links.insert(message.header.index, link(&message));
        }
        for &backend in backends {
            if let Some(route) = self.route(backend).await.map_err(failed("a route"))? {
                facts.routes.insert(backend, route);
            }
        }
        let mut neighbours = self.handle.neighbours().get().execute();
        while let Some(message) = neighbours.try_next().await.map_err(failed("neighbours"))? {
            facts.neighbours.extend(neighbour(&message));
        }
        Ok(facts)
    }

    /// The route to an address. The kernel answers with an error where there is none, or where it says to refuse.
    async fn route(&self, to: IpAddr) -> Result<Option<Route>, rtnetlink::Error> {
        let bits = if to.is_ipv4() { 32 } else { 128 };
        // The builder refuses only prefixes longer than the address.
        let Ok(question) = RouteMessageBuilder::<IpAddr>::new().destination_prefix(to, bits) else {
            return Ok(None);
        };
        match self.handle.route().get(question.build()).execute().try_next().await {
            Ok(message) => Ok(message.map(|message| route(&message))),
            Err(rtnetlink::Error::NetlinkError(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells the kernel that the neighbour is in use, which makes it resolve one that it doesn't know and, after some
    /// seconds, verify one that it hasn't heard of lately. Needs CAP_NET_ADMIN.
    ///
    /// Packets that XDP sends don't touch the kernel's entries, so nothing else may tell it.
    pub(super) async fn use_neighbour(&self, (link, address): NeighbourKey) -> Result<(), KernelError> {
        let request = self.handle.neighbours().add(link, address);
        let request = request.state(NeighbourState::None).flags(NeighbourFlags::Use).replace();
        request.execute().await.map_err(failed("a neighbour to be resolved"))
    }
}

fn failed(what: &'static str) -> impl FnOnce(rtnetlink::Error) -> KernelError {
    move |source| KernelError::Ask { what, source }
}

/// This node's end. On a point-to-point link the other attribute is the peer's address; IPv6 mostly has that one alone.
fn address(message: &AddressMessage) -> Option<IpAddr> {
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    let local = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    };
    let only = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    };
    find(local).or_else(|| find(only))
}

fn link(message: &LinkMessage) -> Link {
    let is_up = message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    let mut link = Link { is_up, ..Link::default() };
    let (mut below, mut is_elsewhere, mut tag) = (None, false, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.names.insert(0, name.clone()),
            LinkAttribute::PropList(properties) => {
                link.names.extend(properties.iter().filter_map(alternative_name))
            }
            LinkAttribute::Address(bytes) if message.header.link_layer_type == LinkLayerType::Ether => {
                link.mac = mac(bytes);
            }
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Link(index) => below = Some(*index),
            // The index of the link below is then one of another network namespace, and may be somebody else's here.
            LinkAttribute::LinkNetNsId(_) => is_elsewhere = true,
            LinkAttribute::LinkInfo(infos) => tag = infos.iter().find_map(vlan_tag),
            _ => {}
        }
    }
    let below = below.filter(|_| !is_elsewhere);
    link.vlan = tag.zip(below).map(|((protocol, id), below)| Vlan { protocol, id, below });
    link
}

fn alternative_name(property: &Prop) -> Option<String> {
    if let Prop::AltIfName(name) = property { Some(name.clone()) } else { None }
}

/// Ethertype and id, if this describes a VLAN device. Other kinds of links have a link below as well.
fn vlan_tag(info: &LinkInfo) -> Option<(u16, u16)> {
    let LinkInfo::Data(InfoData::Vlan(attributes)) = info else { return None };
    let (mut protocol, mut id) = (None, None);
    for attribute in attributes {
        match attribute {
            InfoVlan::Protocol(value) => protocol = Some(u16::from(*value)),
            InfoVlan::Id(value) => id = Some(*value),
            _ => {}
        }
    }
    protocol.zip(id)
}

fn route(message: &RouteMessage) -> Route {
    match message.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Route::Local,
        _ => return Route::Other,
    }
    let (mut out, mut gateway) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => out = Some(*index),
            RouteAttribute::Gateway(RouteAddress::Inet(v4)) | RouteAttribute::Via(RouteVia::Inet(v4)) => {
                gateway = Some(IpAddr::V4(*v4));
            }
            // IPv4 by way of an IPv6 router is the second of these (RFC 8950).
            RouteAttribute::Gateway(RouteAddress::Inet6(v6)) | RouteAttribute::Via(RouteVia::Inet6(v6)) => {
                gateway = Some(IpAddr::V6(*v6));
            }
            RouteAttribute::EncapType(_) | RouteAttribute::Encap(_) | RouteAttribute::NewDestination(_) => {
                return Route::Other;
            }
            _ => {}
        }
    }
    // An unspecified gateway is how some kernels say that there is none.
    let gateway = gateway.filter(|gateway| *gateway != IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    out.map_or(Route::Other, |link| Route::Out { link, gateway })
}

fn neighbour(message: &NeighbourMessage) -> Option<(NeighbourKey, Neighbour)> {
    let (mut address, mut found) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => address = Some(IpAddr::V4(*v4)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address = Some(IpAddr::V6(*v6)),
            NeighbourAttribute::LinkLayerAddress(bytes) => found = mac(bytes),
            _ => {}
        }
    }
    let key = (message.header.ifindex, address?);
    Some((key, Neighbour { state: message.header.state, mac: found }))
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::{
        link::{InfoKind, VlanProtocol},
        route::RouteLwEnCapType,
    };

    use super::*;

    fn link_message(attributes: Vec<LinkAttribute>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.link_layer_type = LinkLayerType::Ether;
        message.attributes = attributes;
        message
    }

    fn vlan_info() -> LinkAttribute {
        let data = vec![InfoVlan::Id(100), InfoVlan::Protocol(VlanProtocol::Ieee8021Ad)];
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(data))])
    }

    #[test]
    fn a_link_is_known_by_all_its_names() {
        let alternative = LinkAttribute::PropList(vec![Prop::AltIfName("uplink".into())]);
        let read = link(&link_message(vec![alternative, LinkAttribute::IfName("eth0".into())]));
        assert_eq!(read.names, ["eth0", "uplink"]);
    }

    #[test]
    fn only_vlan_devices_give_their_frames_to_the_link_below() {
        let expected = Some(Vlan { protocol: 0x88a8, id: 100, below: 7 });
        assert_eq!(link(&link_message(vec![LinkAttribute::Link(7), vlan_info()])).vlan, expected);
        // A veth names its peer in the same attribute.
        assert_eq!(link(&link_message(vec![LinkAttribute::Link(7)])).vlan, None);
        let elsewhere = vec![LinkAttribute::Link(7), LinkAttribute::LinkNetNsId(0), vlan_info()];
        assert_eq!(link(&link_message(elsewhere)).vlan, None);
    }

    #[test]
    fn only_ethernet_has_mac_addresses() {
        let address = LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]);
        assert_eq!(link(&link_message(vec![address.clone()])).mac, Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(link(&link_message(vec![LinkAttribute::Address(vec![10, 0, 0, 1])])).mac, None);
        let mut loopback = link_message(vec![address]);
        loopback.header.link_layer_type = LinkLayerType::Loopback;
        assert_eq!(link(&loopback).mac, None);
    }

    #[test]
    fn a_route_is_a_way_out_unless_it_says_more() {
        let message = |kind, attributes| {
            let mut message = RouteMessage::default();
            message.header.kind = kind;
            message.attributes = attributes;
            message
        };
        let router = RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap()));
        let read = route(&message(RouteType::Unicast, vec![RouteAttribute::Oif(3), router]));
        assert_eq!(read, Route::Out { link: 3, gateway: Some("fe80::1".parse().unwrap()) });
        let read = route(&message(RouteType::Unicast, vec![RouteAttribute::Oif(3)]));
        assert_eq!(read, Route::Out { link: 3, gateway: None });
        let tunnel = vec![RouteAttribute::Oif(3), RouteAttribute::EncapType(RouteLwEnCapType::Mpls)];
        assert_eq!(route(&message(RouteType::Unicast, tunnel)), Route::Other);
        assert_eq!(route(&message(RouteType::Local, vec![RouteAttribute::Oif(1)])), Route::Local);
        assert_eq!(route(&message(RouteType::Broadcast, vec![RouteAttribute::Oif(3)])), Route::Other);
    }

    #[test]
    fn the_near_end_of_a_point_to_point_link_is_ours() {
        let (near, far) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let mut message = AddressMessage::default();
        message.attributes = vec![AddressAttribute::Address(far), AddressAttribute::Local(near)];
        assert_eq!(address(&message), Some(near));
        message.attributes.pop();
        assert_eq!(address(&message), Some(far));
    }
}
