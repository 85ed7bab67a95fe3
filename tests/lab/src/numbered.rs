//! Steady traffic in which every request has a number, from a sender and to servers that do little else: what becomes of each
//! can then be told.
//!
//! Servers answer everything with 200, siplb's checks too, and name themselves in the answer.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt};

use crate::Netns;
use crate::topology::{SIP_PORT, VIP};

/// How often a thread that waits for packets looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);
/// Room for what comes while a thread is not given its turn.
const BUFFER: usize = 16 << 20;

/// A thread that ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a thread, which is to look at what it is given whether it is to end.
    pub fn spawn(work: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        Self { stop, thread: Some(thread::spawn(move || work(&stopped))) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic has told its reason already.
            let _ = thread.join();
        }
    }
}

/// A socket in a namespace.
///
/// # Errors
/// When the address is not there, or taken.
pub fn socket(netns: &Netns, address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    netns.run(|| socket_here((address, port).into()))
}

/// A socket in the namespace of this thread.
///
/// # Errors
/// As [`socket`].
pub fn socket_here(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address).with_context(|| format!("a socket at {address}"))?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("a socket's buffer")?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

/// Sends requests to the VIP until it is told to end, one each `period`, for so many users in turn; each is told to `sent`
/// before it goes. Says how many it were. Time that was lost is not made up for: a burst would measure the length of queues.
///
/// # Errors
/// When the socket has no address.
pub fn send(
    socket: &UdpSocket,
    period: Duration,
    users: u64,
    stop: &AtomicBool,
    mut sent: impl FnMut(u64),
) -> Result<u64> {
    let from = socket.local_addr()?;
    let mut number = 0;
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let message = message(number, users, from);
        sent(number);
        // What can't be sent is lost as well, and missed like the rest.
        let _ = socket.send_to(message.as_bytes(), (VIP, SIP_PORT));
        number += 1;
        due = (due + period).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(number)
}

fn message(number: u64, users: u64, from: SocketAddr) -> String {
    let user = number % users;
    format!(
        "MESSAGE sip:n{user:04}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKn{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:numbered@example.com>;tag=1\r\nTo: <sip:n{user:04}@example.com>\r\n\
         Call-ID: numbered-{number}\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The number in a request or in its answer.
pub fn number(text: &str) -> Option<u64> {
    header(text, "Call-ID: numbered-")?.parse().ok()
}

/// Who wrote an answer.
pub fn server(text: &str) -> Option<&str> {
    header(text, "Server: ")
}

fn header<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    Some(text.lines().find_map(|line| line.strip_prefix(start))?.trim())
}

/// Answers whatever comes, and tells it to `taken`.
pub fn serve(socket: &UdpSocket, name: &str, stop: &AtomicBool, mut taken: impl FnMut(&str)) {
    each_message(socket, stop, |text, from| {
        taken(text);
        let headers = text.split_once("\r\n").map_or("", |(_, headers)| headers);
        let answer = format!("SIP/2.0 200 OK\r\nServer: {name}\r\n{headers}");
        // A client that is gone is told by the network, and need not be told of here.
        let _ = socket.send_to(answer.as_bytes(), from);
    });
}

/// Takes answers that come from the VIP.
pub fn listen(socket: &UdpSocket, stop: &AtomicBool, mut take: impl FnMut(&str)) {
    let vip = SocketAddr::from((VIP, SIP_PORT));
    each_message(socket, stop, |text, from| {
        if from == vip {
            take(text);
        }
    });
}

fn each_message(socket: &UdpSocket, stop: &AtomicBool, mut take: impl FnMut(&str, SocketAddr)) {
    let mut buffer = [0; 2_048];
    while !stop.load(Ordering::Relaxed) {
        // It also fails when the time is over, or an earlier answer met nobody.
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let Ok(text) = std::str::from_utf8(&buffer[..length])
        {
            take(text, from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{message, number, server};

    #[test]
    fn numbers_and_names_are_found_again() {
        let request = message(1_234, 200, "198.51.100.10:5062".parse().unwrap());
        assert_eq!(number(&request), Some(1_234));
        assert!(request.starts_with("MESSAGE sip:n0034@example.com SIP/2.0\r\n"), "{request}");
        assert_eq!(server(&request), None);
        assert_eq!(server("SIP/2.0 200 OK\r\nServer: b3\r\nCall-ID: x\r\n\r\n"), Some("b3"));
        assert_eq!(number("SIP/2.0 200 OK\r\nServer: b3\r\nCall-ID: x\r\n\r\n"), None);
    }
}
