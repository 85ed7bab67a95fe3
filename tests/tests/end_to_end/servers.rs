//! Servers that do little more than tell when a request came, where Kamailio could not say so to the millisecond.
//!
//! They answer every OPTIONS with 200, siplb's checks too, and so stay up.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use siplb_lab::Lab;
use siplb_lab::topology::{CALLERS, DOMAIN, SIP_PORT, VIP};

/// How soon a thread notices that it is to end.
const NAP: Duration = Duration::from_millis(50);
/// Between two probes.
const PACE: Duration = Duration::from_millis(1);

/// A probe that reached a server.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) backend: String,
    pub(crate) at: Instant,
}

/// A server on every backend, and a client that sends numbered probes; dropped, all of them end.
pub(crate) struct Servers {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    arrivals: Receiver<Arrival>,
    threads: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Starts the servers; probes come with [`Servers::probe`].
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (tell, arrivals) = channel();
        let mut threads = Vec::new();
        for host in &lab.topology().backends {
            let socket = host.netns.run(|| Ok(UdpSocket::bind((host.address, SIP_PORT))?))?;
            socket.set_read_timeout(Some(NAP))?;
            let (backend, tell, is_over) = (host.name.clone(), tell.clone(), Arc::clone(&is_over));
            threads.push(thread::spawn(move || serve(&backend, &socket, &tell, &is_over)));
        }
        Ok(Self { is_over, sent: Arc::default(), arrivals, threads })
    }

    /// Sends one probe a millisecond for `user` to the VIP, from now on.
    pub(crate) fn probe(&mut self, lab: &Lab, user: &str) -> Result<()> {
        let socket = lab.topology().client.run(|| Ok(UdpSocket::bind((CALLERS, 0))?))?;
        socket.connect((VIP, SIP_PORT))?;
        let (user, sent, is_over) = (user.to_owned(), Arc::clone(&self.sent), Arc::clone(&self.is_over));
        self.threads.push(thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let number = sent.load(Ordering::Relaxed);
                if socket.send(probe(&user, number).as_bytes()).is_ok() {
                    sent.store(number + 1, Ordering::Relaxed);
                }
                thread::sleep(PACE);
            }
        }));
        Ok(())
    }

    /// Sends these messages to the VIP, which are numbered from 0 on by [`message`].
    pub(crate) fn send(&self, lab: &Lab, messages: &[String]) -> Result<()> {
        let socket = lab.topology().client.run(|| Ok(UdpSocket::bind((CALLERS, 0))?))?;
        socket.connect((VIP, SIP_PORT))?;
        for message in messages {
            socket.send(message.as_bytes())?;
            self.sent.fetch_add(1, Ordering::Relaxed);
            thread::sleep(PACE);
        }
        Ok(())
    }

    /// Ends everything; what came, in the order in which it was sent.
    ///
    /// # Errors
    /// When a probe came to nobody, or more than once.
    pub(crate) fn finish(mut self) -> Result<Vec<Arrival>> {
        self.end();
        let (mut arrivals, sent) = (BTreeMap::new(), self.sent.load(Ordering::Relaxed));
        for arrival in self.arrivals.try_iter() {
            let twice = arrivals.insert(arrival.number, arrival);
            ensure!(twice.is_none(), "came twice: {twice:?}");
        }
        ensure!(arrivals.len() as u64 == sent, "{} of {sent} probes came to a server", arrivals.len());
        Ok(arrivals.into_values().collect())
    }

    /// Ends everything.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // The client first: it was started last, and servers read on while packets come.
        for thread in self.threads.drain(..).rev() {
            let _ = thread.join();
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.end();
    }
}

fn probe(user: &str, number: u64) -> String {
    let uri = format!("sip:{user}@{DOMAIN}");
    message("OPTIONS", &uri, &format!("sip:probe@{DOMAIN}"), &uri, number)
}

/// A request that the servers tell of, with these URIs.
pub(crate) fn message(method: &str, request_uri: &str, from: &str, to: &str, number: u64) -> String {
    format!(
        "{method} {request_uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {CALLERS}:5060;branch=z9hG4bK{number}\r\n\
         From: <{from}>;tag=1\r\n\
         To: <{to}>\r\n\
         Call-ID: probe\r\n\
         CSeq: {number} {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Answers until it is over and nothing more comes.
fn serve(backend: &str, socket: &UdpSocket, tell: &Sender<Arrival>, is_over: &AtomicBool) {
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            continue;
        };
        let at = Instant::now();
        let message = String::from_utf8_lossy(&buffer[..length]);
        if let Some(number) = number(&message) {
            // Nobody listens any more when the test has failed already.
            let _ = tell.send(Arrival { number, backend: backend.to_owned(), at });
        }
        answer(socket, from, &message);
    }
}

/// The number of a probe; none for siplb's checks.
fn number(message: &str) -> Option<u64> {
    let is_probe = message.contains("\r\nCall-ID: probe\r\n");
    let (_, rest) = message.split_once("\r\nCSeq: ").filter(|_| is_probe)?;
    rest.split(' ').next()?.parse().ok()
}

/// 200, with the headers that an answer repeats (RFC 3261 section 8.2.6.2).
fn answer(socket: &UdpSocket, to: SocketAddr, message: &str) {
    let repeated = ["via:", "from:", "to:", "call-id:", "cseq:"];
    let is_repeated = |line: &&str| repeated.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    let headers: Vec<&str> = message.lines().filter(is_repeated).collect();
    let answer = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"));
    // A check whose answer is lost is made again.
    let _ = socket.send_to(answer.as_bytes(), to);
}
