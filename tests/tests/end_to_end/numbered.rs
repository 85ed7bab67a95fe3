//! Steady traffic in which every packet has a number, so that what happens to the daemon can be held against what happened to
//! packets: which were lost, came twice, went elsewhere, or were not answered.
//!
//! The servers are threads with a socket in a backend's namespace: they answer everything, checks included, and remember the
//! numbers. Sender and servers are in one process, so that nothing but the network is between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use siplb_lab::topology::{CALLERS, SIP_PORT, VIP};
use siplb_lab::{Lab, Netns};

/// Between two packets: 2,000 a second.
const PERIOD: Duration = Duration::from_micros(500);
/// How many users the packets are for, in turn.
const USERS: u64 = 200;
/// How often a thread that waits for packets looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);
/// How long the last packets are waited for.
const LAST: Duration = Duration::from_millis(500);
/// Room for what comes while a thread is not given its turn.
const BUFFER: usize = 16 << 20;

/// Which server got which numbers.
type Received = Arc<Mutex<Vec<(String, u64)>>>;

/// A server on each backend, until it is dropped.
pub(crate) struct Servers {
    received: Received,
    running: BTreeMap<String, Running>,
}

/// A thread, and how to end it.
struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
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

impl Servers {
    /// Starts them.
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let mut servers = Self { received: Received::default(), running: BTreeMap::new() };
        for host in &lab.topology().backends {
            let socket = socket(&host.netns, host.address, SIP_PORT)?;
            let (name, received) = (host.name.clone(), Arc::clone(&servers.received));
            let running = spawn(move |stop| serve(&socket, &name, &received, stop));
            servers.running.insert(host.name.clone(), running);
        }
        Ok(servers)
    }

    /// Ends one of them.
    pub(crate) fn end(&mut self, name: &str) {
        self.running.remove(name);
    }
}

/// Traffic that runs until it is finished.
pub(crate) struct Numbered {
    sender: JoinHandle<Result<u64>>,
    stop: Arc<AtomicBool>,
    answered: Arc<Mutex<BTreeSet<u64>>>,
    listener: Running,
    received: Received,
}

/// What became of the packets.
#[derive(Debug)]
pub(crate) struct Account {
    /// How many were sent, numbered from 0.
    pub(crate) sent: u64,
    /// Numbers that reached no server.
    pub(crate) lost: Vec<u64>,
    /// Numbers that reached one more than once.
    pub(crate) twice: Vec<u64>,
    /// Numbers that reached a server and whose answer did not come back.
    pub(crate) unanswered: Vec<u64>,
    /// The servers that had packets of one user, for users who had more than one.
    pub(crate) moved: BTreeMap<u64, BTreeSet<String>>,
}

impl Account {
    /// # Errors
    /// When a packet or an answer was lost or doubled, or a user was with more than one server.
    pub(crate) fn ensure_perfect(&self) -> Result<()> {
        self.ensure_all_arrived()?;
        ensure!(self.moved.is_empty(), "users were with several servers: {:?}", self.moved);
        Ok(())
    }

    /// # Errors
    /// When a packet or an answer was lost or doubled.
    pub(crate) fn ensure_all_arrived(&self) -> Result<()> {
        ensure!(self.sent > 0, "nothing was sent");
        for (what, numbers) in
            [("lost", &self.lost), ("doubled", &self.twice), ("not answered", &self.unanswered)]
        {
            let first = &numbers[..numbers.len().min(20)];
            ensure!(numbers.is_empty(), "{what}: {} of {}, {first:?} ...", numbers.len(), self.sent);
        }
        Ok(())
    }
}

impl Numbered {
    /// Begins to send.
    pub(crate) fn start(lab: &Lab, servers: &Servers) -> Result<Self> {
        lock(&servers.received).clear();
        let client = socket(&lab.topology().client, CALLERS, 0)?;
        let answered = Arc::<Mutex<BTreeSet<u64>>>::default();
        let (replies, numbers) = (client.try_clone()?, Arc::clone(&answered));
        let listener = spawn(move |stop| listen(&replies, &numbers, stop));
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let sender = thread::spawn(move || send(&client, &stopped));
        Ok(Self { sender, stop, answered, listener, received: Arc::clone(&servers.received) })
    }

    /// Ends it, and tells what became of it.
    pub(crate) fn finish(self) -> Result<Account> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow!("the sender panicked"))??;
        thread::sleep(LAST);
        drop(self.listener);
        let received = lock(&self.received);
        let mut times = BTreeMap::<u64, usize>::new();
        let mut homes = BTreeMap::<u64, BTreeSet<String>>::new();
        for (server, number) in received.iter() {
            *times.entry(*number).or_default() += 1;
            homes.entry(number % USERS).or_default().insert(server.clone());
        }
        homes.retain(|_, servers| servers.len() > 1);
        let answered = lock(&self.answered);
        Ok(Account {
            sent,
            lost: (0..sent).filter(|number| !times.contains_key(number)).collect(),
            twice: times.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect(),
            unanswered: times.keys().copied().filter(|number| !answered.contains(number)).collect(),
            moved: homes,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(work: impl FnOnce(&AtomicBool) + Send + 'static) -> Running {
    let stop = Arc::<AtomicBool>::default();
    let stopped = Arc::clone(&stop);
    Running { stop, thread: Some(thread::spawn(move || work(&stopped))) }
}

fn socket(netns: &Netns, address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    netns.run(|| {
        let socket = UdpSocket::bind(SocketAddr::from((address, port)))?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("a socket's buffer")?;
        socket.set_read_timeout(Some(LOOK))?;
        Ok(socket)
    })
}

/// Sends until it is told to end, and says how many it were. Time that was lost is not made up for: a burst would measure
/// the length of queues.
fn send(socket: &UdpSocket, stop: &AtomicBool) -> Result<u64> {
    let from = socket.local_addr()?;
    let mut number = 0;
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        socket.send_to(message(number, from).as_bytes(), (VIP, SIP_PORT)).context("a packet to the VIP")?;
        number += 1;
        due = (due + PERIOD).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(number)
}

fn message(number: u64, from: SocketAddr) -> String {
    format!(
        "MESSAGE sip:n{:04}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKn{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:numbered@example.com>;tag=1\r\nTo: <sip:n{:04}@example.com>\r\n\
         Call-ID: numbered-{number}\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n",
        number % USERS,
        number % USERS
    )
}

/// The number in a message or in its answer.
fn number(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("Call-ID: numbered-"))?.trim().parse().ok()
}

/// Answers whatever comes with 200, and remembers numbers.
fn serve(socket: &UdpSocket, name: &str, received: &Received, stop: &AtomicBool) {
    each_message(socket, stop, |text, from| {
        if let Some(number) = number(text) {
            lock(received).push((name.to_owned(), number));
        }
        let headers = text.split_once("\r\n").map_or("", |(_, headers)| headers);
        // A client that is gone is told by the network, and need not be told of here.
        let _ = socket.send_to(format!("SIP/2.0 200 OK\r\n{headers}").as_bytes(), from);
    });
}

fn listen(socket: &UdpSocket, answered: &Mutex<BTreeSet<u64>>, stop: &AtomicBool) {
    let vip = SocketAddr::from((VIP, SIP_PORT));
    each_message(socket, stop, |text, from| {
        if let (Some(number), true) = (number(text), from == vip) {
            lock(answered).insert(number);
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
