//! How one check's datagrams travel: by an ordinary socket, or by frames that are addressed as a node's XDP program would
//! address them ([`super::wire`]).
//!
//! Every check has a transport of its own with a port of its own, so that late answers and late errors to one check can't
//! reach the next, and so that a changed address or route of the node holds from the next check on. The source address is
//! the node's own, by the route to the backend. Only what concerns the check is received: an ordinary socket is
//! connected, and the kernel reports a closed port (ICMP) at once as an error; of frames, only what names both ends counts.
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::UdpSocket;

use super::{
    Outcome,
    packet::Addressing,
    path::{Path, Way},
    wire::{Heard, Line, Wire},
};

/// Why a check without a next hop fails.
const NO_NEXT_HOP: &str = "the way to it is not known: no route by a configured interface, or no neighbour";

/// How one check's datagrams travel.
#[derive(Debug)]
pub(super) enum Transport {
    /// By a connected socket.
    Socket { socket: UdpSocket, from: SocketAddr, to: SocketAddr },
    /// In frames.
    Frames {
        addressing: Addressing,
        line: Line,
        /// Holds the port: nobody else gets it, and the stack doesn't call it unreachable. Nobody reads it: where the kernel
        /// takes packets from a local address at all (`accept_local`), it keeps them until the check is over.
        _port: UdpSocket,
    },
}

impl Transport {
    /// For one check of `backend`. The error is how the check ends for want of a transport.
    pub(super) async fn open(backend: SocketAddr, path: &Path, wire: &Wire) -> Result<Self, Outcome> {
        match path {
            Path::Direct => {
                let socket = connect(backend).await.map_err(failure)?;
                let from = socket.local_addr().map_err(failure)?;
                Ok(Self::Socket { socket, from, to: backend })
            }
            Path::Dsr(way) => Self::frames(backend, way, false, wire).await,
            Path::Ipip(way) => Self::frames(backend, way, true, wire).await,
        }
    }

    async fn frames(
        backend: SocketAddr,
        way: &Way,
        is_encapsulated: bool,
        wire: &Wire,
    ) -> Result<Self, Outcome> {
        let hop = way.next_hop.ok_or_else(|| Outcome::Unreachable(NO_NEXT_HOP.to_owned()))?;
        let own = connect(backend).await.and_then(|socket| socket.local_addr()).map_err(failure)?.ip();
        let source = if own.is_ipv4() == way.vip.is_ipv4() { Some(own) } else { way.source };
        let source = source.ok_or_else(|| {
            let family = if way.vip.is_ipv4() { "IPv4" } else { "IPv6" };
            Outcome::NotMade(format!("this node has no {family} address to check {} from", way.vip))
        })?;
        let port = UdpSocket::bind((source, 0)).await.map_err(failure)?;
        let from = port.local_addr().map_err(failure)?;
        let outer = is_encapsulated.then_some((own, backend.ip()));
        let line = wire.line(from, way.vip).map_err(|error| {
            Outcome::NotMade(format!("a packet socket, which takes CAP_NET_RAW, can't be opened: {error}"))
        })?;
        Ok(Self::Frames { addressing: Addressing { from, to: way.vip, outer, hop }, line, _port: port })
    }

    /// Where datagrams come from and go to, as the backend sees it.
    pub(super) fn ends(&self) -> (SocketAddr, SocketAddr) {
        match self {
            Self::Socket { from, to, .. } => (*from, *to),
            Self::Frames { addressing, .. } => (addressing.from, addressing.to),
        }
    }

    /// Sends a datagram. The error is how the check ends.
    pub(super) async fn send(&self, datagram: &[u8]) -> Result<(), Outcome> {
        match self {
            Self::Socket { socket, .. } => socket.send(datagram).await.map(drop),
            Self::Frames { addressing, line, .. } => match addressing.frame(datagram) {
                Ok(frame) => line.send(&frame, &addressing.hop).await,
                Err(error) => Err(error),
            },
        }
        .map_err(failure)
    }

    /// Waits for a datagram, of which as much is read as `datagram` holds; its length. The error is how the check ends.
    pub(super) async fn receive(&mut self, datagram: &mut [u8]) -> Result<usize, Outcome> {
        match self {
            Self::Socket { socket, .. } => socket.recv(datagram).await.map_err(failure),
            Self::Frames { line, .. } => match line.hear().await {
                Heard::Answer(bytes) => {
                    let length = bytes.len().min(datagram.len());
                    datagram[..length].copy_from_slice(&bytes[..length]);
                    Ok(length)
                }
                Heard::Undelivered(reason) => Err(Outcome::Unreachable(reason.to_owned())),
                Heard::Refused(reason) => Err(Outcome::Refused(reason.to_owned())),
            },
        }
    }
}

async fn connect(backend: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match backend {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(backend).await?;
    Ok(socket)
}

/// An error is the backend's only if the network made it: what the node itself lacks (sockets, memory, permission)
/// must not take a pool down.
fn failure(error: io::Error) -> Outcome {
    match error.kind() {
        // Of a datagram socket: a port unreachable error that quotes what this very socket has sent (icmp(7)).
        ErrorKind::ConnectionRefused => Outcome::Refused("nobody listens on its port".to_owned()),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Outcome::Unreachable(error.to_string()),
        _ => Outcome::NotMade(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_networks_errors_count_against_a_backend() {
        let refused = failure(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        assert!(matches!(refused, Outcome::Refused(_)), "{refused}");
        for errno in [libc::EHOSTUNREACH, libc::ENETUNREACH] {
            let outcome = failure(io::Error::from_raw_os_error(errno));
            assert!(matches!(outcome, Outcome::Unreachable(_)), "{errno}");
        }
        for errno in
            [libc::EMFILE, libc::ENOBUFS, libc::EPERM, libc::EADDRNOTAVAIL, libc::ENETDOWN, libc::EMSGSIZE]
        {
            let outcome = failure(io::Error::from_raw_os_error(errno));
            assert!(matches!(outcome, Outcome::NotMade(_)), "{errno}");
        }
    }

    #[tokio::test]
    async fn a_way_that_is_not_known_is_not_replaced_by_another() {
        let backend = "127.0.0.1:5060".parse().unwrap();
        let way = Way { vip: "192.0.2.10:5060".parse().unwrap(), next_hop: None, source: None };
        for path in [Path::Dsr(way), Path::Ipip(way)] {
            let outcome = Transport::open(backend, &path, &Wire::default()).await.unwrap_err();
            assert_eq!(outcome, Outcome::Unreachable(NO_NEXT_HOP.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_node_without_an_address_of_the_vips_family_says_so_of_itself() {
        let vip = "[2001:db8::10]:5060".parse().unwrap();
        let path = Path::Ipip(Way { vip, next_hop: Some(Default::default()), source: None });
        let outcome =
            Transport::open("127.0.0.1:5060".parse().unwrap(), &path, &Wire::default()).await.unwrap_err();
        assert!(matches!(outcome, Outcome::NotMade(_)), "{outcome}");
    }
}
