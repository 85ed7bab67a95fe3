//! One check, made: a socket, the request, its retransmissions and the wait for the answer. Called by the prober's
//! task for each backend, once an interval.
//!
//! Every check has a connected UDP socket of its own. Connected, so that the kernel drops what other hosts send and
//! reports a closed port (ICMP) at once as an error; its own, so that late answers and late errors to one check can't
//! reach the next, and so that a changed address or route of the node holds from the next check on. The kernel picks
//! the source address: the node's own, by the route to the backend.
use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Outcome,
    options::{Reading, Request},
    schedule,
};

/// As much of a datagram as is looked at. The headers that matter come first; a longer answer is read cut off.
const READ_BYTES: usize = 4096;

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// How it ended.
    pub(super) outcome: Outcome,
    /// What came along the way.
    pub(super) traffic: Traffic,
}

/// Datagrams of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Requests sent, the first one included.
    pub(super) sent: u64,
    /// Datagrams from the backend that did not answer this check.
    pub(super) strays: u64,
    /// What was wrong with the last one that was no SIP, if any was not.
    flaw: Option<&'static str>,
}

/// Checks `backend` once. Takes `timeout` at most.
pub(super) async fn run(backend: SocketAddr, timeout: Duration) -> Report {
    let (started, mut traffic) = (Instant::now(), Traffic::default());
    let outcome = match timeout_at(started + timeout, converse(backend, timeout, &mut traffic)).await {
        Ok(Ok(code)) => Outcome::Answer { code, round_trip: started.elapsed() },
        Ok(Err(error)) => outcome_of(&error),
        // A stranger's garbage must not end a check that a good answer could still pass, so it counts only now.
        Err(_) => traffic.flaw.map_or(Outcome::Timeout { after: timeout }, Outcome::Malformed),
    };
    Report { outcome, traffic }
}

/// Sends and listens until a final answer comes; its status code.
async fn converse(backend: SocketAddr, timeout: Duration, traffic: &mut Traffic) -> io::Result<u16> {
    let started = Instant::now();
    let socket = connect(backend).await?;
    let request = Request::new(socket.local_addr()?, backend, &mut rand::rng());
    let mut sendings = schedule::sendings(timeout).map(|offset| started + offset).peekable();
    let mut datagram = [0; READ_BYTES];
    loop {
        let due = sendings.peek().copied();
        tokio::select! {
            // Sending first: however much comes in, the request goes out again when it should.
            biased;
            () = sleep_until(due.unwrap_or(started)), if due.is_some() => {
                sendings.next();
                socket.send(request.as_bytes()).await?;
                traffic.sent += 1;
            }
            length = socket.recv(&mut datagram) => match request.read(&datagram[..length?]) {
                Reading::Final(code) => return Ok(code),
                Reading::Provisional => {}
                Reading::Stray => traffic.strays += 1,
                Reading::Malformed(flaw) => {
                    traffic.strays += 1;
                    traffic.flaw = Some(flaw);
                }
            },
        }
    }
}

async fn connect(backend: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match backend {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(backend).await?;
    Ok(socket)
}

/// An error is the backend's only if the network made it: what the node itself lacks (sockets, memory, permission)
/// must not take a pool down.
fn outcome_of(error: &io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            Outcome::Unreachable(error.to_string())
        }
        _ => Outcome::NotMade(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_networks_errors_count_against_a_backend() {
        for errno in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH] {
            assert!(
                matches!(outcome_of(&io::Error::from_raw_os_error(errno)), Outcome::Unreachable(_)),
                "{errno}"
            );
        }
        for errno in
            [libc::EMFILE, libc::ENOBUFS, libc::EPERM, libc::EADDRNOTAVAIL, libc::ENETDOWN, libc::EMSGSIZE]
        {
            assert!(
                matches!(outcome_of(&io::Error::from_raw_os_error(errno)), Outcome::NotMade(_)),
                "{errno}"
            );
        }
    }
}
