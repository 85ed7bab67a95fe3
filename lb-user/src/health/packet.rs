//! The packets of a check that takes the way of traffic: written as a node sends them to a backend, and read as they come
//! back. Pure; [`super::transport`] has them sent and received.
//!
//! Invariant: what is read as news of a check names both of its ends, the VIP and the address and port that it was sent
//! from. All else is nobody's.
use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use etherparse::{
    Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpHeaders, IpNumber, Ipv4Header, Ipv6Header,
    PacketBuilder, UdpHeader, icmpv4, icmpv6,
};
use lb_common::layout::NextHop;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Time to live of what goes to the VIP: enough for the backend, and for a container in it. A backend that has lost the VIP
/// and forwards, to its router or back to a node, must not have the check answered by somebody else.
const TO_VIP: u8 = 2;
/// Time to live of the outer header, which crosses routers.
const TO_BACKEND: u8 = 64;

/// How a check's packets are addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addressing {
    /// Address and port of this node that the check is made from.
    pub(super) from: SocketAddr,
    /// The VIP; of the same family.
    pub(super) to: SocketAddr,
    /// Source and destination of the header around it, if it is encapsulated.
    pub(super) outer: Option<(IpAddr, IpAddr)>,
    /// The way out.
    pub(super) hop: NextHop,
}

impl Addressing {
    /// The frame that carries `payload`.
    pub(super) fn frame(&self, payload: &[u8]) -> io::Result<Vec<u8>> {
        let packet = self.packet(payload)?;
        let hop = &self.hop;
        let mut frame = [hop.destination, hop.source].concat();
        for (protocol, tag) in hop.vlans.protocols.iter().zip(hop.vlans.tags).take(hop.vlans.count as usize) {
            // As they lie in the frame.
            frame.extend([*protocol, tag].map(u16::to_ne_bytes).concat());
        }
        let first = self.outer.map_or(self.to.ip(), |(_, to)| to);
        frame.extend(if first.is_ipv4() { IPV4 } else { IPV6 }.to_be_bytes());
        frame.extend(packet);
        Ok(frame)
    }

    fn packet(&self, payload: &[u8]) -> io::Result<Vec<u8>> {
        let builder = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), TO_VIP),
            (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), TO_VIP),
            _ => return Err(two_families()),
        };
        let mut inner = Vec::new();
        let builder = builder.udp(self.from.port(), self.to.port());
        builder.write(&mut inner, payload).map_err(io::Error::other)?;
        let protocol = if self.to.is_ipv4() { IpNumber::IPV4 } else { IpNumber::IPV6 };
        let mut packet = match self.outer {
            None => return Ok(inner),
            Some((IpAddr::V4(from), IpAddr::V4(to))) => {
                let length = u16::try_from(inner.len()).map_err(io::Error::other)?;
                let header = Ipv4Header::new(length, TO_BACKEND, protocol, from.octets(), to.octets());
                let mut header = header.map_err(io::Error::other)?;
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            Some((IpAddr::V6(from), IpAddr::V6(to))) => Ipv6Header {
                payload_length: u16::try_from(inner.len()).map_err(io::Error::other)?,
                next_header: protocol,
                hop_limit: TO_BACKEND,
                source: from.octets(),
                destination: to.octets(),
                ..Ipv6Header::default()
            }
            .to_bytes()
            .to_vec(),
            Some(_) => return Err(two_families()),
        };
        packet.extend(inner);
        Ok(packet)
    }
}

fn two_families() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "source and destination are of two address families")
}

/// News of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News<'a> {
    /// What the VIP sent, perhaps cut off.
    Answer(&'a [u8]),
    /// Somebody on the way says (ICMP) that the packet did not arrive, and why.
    Undelivered(&'static str),
    /// The backend's host says (ICMP) that nobody listens there, and where.
    Refused(&'static str),
}

/// Whom an IP packet is news for, by the address and port that the check was sent from, and what the news is.
pub(super) fn read(packet: &[u8], vip: SocketAddr) -> Option<(SocketAddr, News<'_>)> {
    let ip = Ip::read(packet)?;
    match ip.protocol {
        IpNumber::UDP => {
            let (from, to, payload) = ip.udp()?;
            (from == vip).then_some((to, News::Answer(payload)))
        }
        IpNumber::ICMP => {
            let (header, quoted) = Icmpv4Header::from_slice(ip.payload).ok()?;
            Some((quoted_check(quoted, vip)?, icmpv4_news(&header.icmp_type)?))
        }
        IpNumber::IPV6_ICMP => {
            let (header, quoted) = Icmpv6Header::from_slice(ip.payload).ok()?;
            Some((quoted_check(quoted, vip)?, icmpv6_news(&header.icmp_type)?))
        }
        _ => None,
    }
}

const NOBODY_LISTENS: &str = "nobody listens on the VIP's port";
const NOT_TAKEN: &str = "the packet was forwarded on: the VIP is not an address of the backend";

const NOT_DECAPSULATED: &str = "nothing there takes the outer header off";
const FILTERED: &str = "a router or the host refuses the packet";

/// Nothing for what says nothing about the backend.
fn icmpv4_news(kind: &Icmpv4Type) -> Option<News<'static>> {
    use icmpv4::DestUnreachableHeader as Unreachable;
    match kind {
        Icmpv4Type::DestinationUnreachable(Unreachable::FragmentationNeeded { .. }) => None,
        Icmpv4Type::DestinationUnreachable(Unreachable::Port) => Some(News::Refused(NOBODY_LISTENS)),
        Icmpv4Type::DestinationUnreachable(Unreachable::Protocol) => {
            Some(News::Undelivered(NOT_DECAPSULATED))
        }
        Icmpv4Type::DestinationUnreachable(_) => Some(News::Undelivered(FILTERED)),
        Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit) => {
            Some(News::Undelivered(NOT_TAKEN))
        }
        _ => None,
    }
}

fn icmpv6_news(kind: &Icmpv6Type) -> Option<News<'static>> {
    match kind {
        Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port) => {
            Some(News::Refused(NOBODY_LISTENS))
        }
        Icmpv6Type::DestinationUnreachable(_) => Some(News::Undelivered(FILTERED)),
        Icmpv6Type::ParameterProblem(_) => Some(News::Undelivered(NOT_DECAPSULATED)),
        Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded) => {
            Some(News::Undelivered(NOT_TAKEN))
        }
        _ => None,
    }
}

/// The address and port that a check to `vip` was sent from, by the beginning of its packet, encapsulated or not.
fn quoted_check(quoted: &[u8], vip: SocketAddr) -> Option<SocketAddr> {
    let mut ip = Ip::read(quoted)?;
    if matches!(ip.protocol, IpNumber::IPV4 | IpNumber::IPV6) {
        ip = Ip::read(ip.payload)?;
    }
    let (from, to, _) = ip.udp()?;
    (to == vip).then_some(from)
}

/// An IP packet, or as much of its beginning as there is.
struct Ip<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: IpNumber,
    payload: &'a [u8],
}

impl<'a> Ip<'a> {
    /// Nothing for garbage, and for a fragment that is not the first.
    fn read(packet: &'a [u8]) -> Option<Self> {
        let (headers, payload, _) = IpHeaders::from_slice_lax(packet).ok()?;
        let (source, destination): (IpAddr, IpAddr) = match &headers {
            IpHeaders::Ipv4(header, _) if header.fragment_offset.value() != 0 => return None,
            IpHeaders::Ipv4(header, _) => (header.source.into(), header.destination.into()),
            IpHeaders::Ipv6(_, extensions)
                if extensions.fragment.as_ref().is_some_and(|part| part.fragment_offset.value() != 0) =>
            {
                return None;
            }
            IpHeaders::Ipv6(header, _) => (header.source.into(), header.destination.into()),
        };
        Some(Self { source, destination, protocol: payload.ip_number, payload: payload.payload })
    }

    /// Both ends, and what it carries.
    fn udp(&self) -> Option<(SocketAddr, SocketAddr, &'a [u8])> {
        if self.protocol != IpNumber::UDP {
            return None;
        }
        let (header, rest) = UdpHeader::from_slice(self.payload).ok()?;
        let payload = rest.get(..usize::from(header.length).saturating_sub(UdpHeader::LEN)).unwrap_or(rest);
        let from = SocketAddr::new(self.source, header.source_port);
        Some((from, SocketAddr::new(self.destination, header.destination_port), payload))
    }
}
