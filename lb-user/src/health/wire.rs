//! Packet sockets (packet(7)): frames go out by an interface and MAC address of our choice, and packets from a VIP are heard
//! although the VIP is an address of this node, before the network stack would drop them for that. No sysctl is needed.
//!
//! One socket sends for all checks, and one listens for each VIP; closing such a socket takes the kernel some milliseconds,
//! so that checks don't have any of their own. A filter in the kernel keeps everything else from the listener: a
//! packet that the stack gets pays some nanoseconds for each VIP with `dsr` or `ipip`, and one that XDP forwards pays nothing.
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lb_common::layout::NextHop;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::JoinHandle,
    time::sleep,
};

use super::{
    filter,
    packet::{self, News},
};

/// As much of a packet as is looked at.
const READ_BYTES: usize = 4096;
/// News that wait for one check; what comes beyond is dropped, as by a socket whose buffer is full.
const WAITING: usize = 16;
/// Pause after a failure of a listener.
const RETRY: Duration = Duration::from_millis(100);

/// Sends and listens for the checks of one prober. Sockets are opened when the first check needs them.
#[derive(Debug, Default)]
pub(super) struct Wire {
    sockets: Mutex<Sockets>,
}

#[derive(Debug, Default)]
struct Sockets {
    sender: Option<Arc<AsyncFd<Socket>>>,
    listeners: BTreeMap<SocketAddr, Listener>,
}

/// Hears what comes from one VIP.
#[derive(Debug)]
struct Listener {
    checks: Checks,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The checks that wait for news, by the address and port that they are made from.
type Checks = Arc<Mutex<BTreeMap<SocketAddr, mpsc::Sender<Heard>>>>;

/// News of a check, owned.
#[derive(Debug)]
pub(super) enum Heard {
    /// What the VIP sent.
    Answer(Vec<u8>),
    /// Why the packet did not arrive.
    Undelivered(&'static str),
    /// Where nobody listens.
    Refused(&'static str),
}

/// One check's part of the wire, until it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    sender: Arc<AsyncFd<Socket>>,
    checks: Checks,
    from: SocketAddr,
    news: mpsc::Receiver<Heard>,
}

impl Wire {
    /// A line for a check from this address and port to that VIP. Must be called within a tokio runtime.
    pub(super) fn line(&self, from: SocketAddr, vip: SocketAddr) -> io::Result<Line> {
        let mut sockets = lock(&self.sockets);
        let sender = match &sockets.sender {
            Some(sender) => Arc::clone(sender),
            None => Arc::clone(sockets.sender.insert(Arc::new(sender()?))),
        };
        let checks = match sockets.listeners.get(&vip) {
            Some(listener) => Arc::clone(&listener.checks),
            None => {
                let listener = Listener::start(vip)?;
                Arc::clone(&sockets.listeners.entry(vip).or_insert(listener).checks)
            }
        };
        let (tell, news) = mpsc::channel(WAITING);
        lock(&checks).insert(from, tell);
        Ok(Line { sender, checks, from, news })
    }

    /// Listens to these VIPs at most.
    pub(super) fn keep(&self, vips: &BTreeSet<SocketAddr>) {
        lock(&self.sockets).listeners.retain(|vip, _| vips.contains(vip));
    }
}

impl Line {
    /// Sends a frame.
    pub(super) async fn send(&self, frame: &[u8], hop: &NextHop) -> io::Result<()> {
        let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
        let address = link_address(hop.interface, ethertype, hop.destination);
        let sent = self.sender.async_io(Interest::WRITABLE, |socket| socket.send_to(frame, &address)).await;
        sent.map(drop)
    }

    /// Waits for news.
    pub(super) async fn hear(&mut self) -> Heard {
        match self.news.recv().await {
            Some(heard) => heard,
            // The VIP is gone, and this check about to be.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.checks).remove(&self.from);
    }
}

impl Listener {
    fn start(vip: SocketAddr) -> io::Result<Self> {
        let (ethertype, filter) = match vip.ip() {
            IpAddr::V4(ip) => (libc::ETH_P_IP, filter::ipv4(ip, vip.port())),
            IpAddr::V6(ip) => (libc::ETH_P_IPV6, filter::ipv6(ip, vip.port())),
        };
        // Without the link header: what VLAN a packet came by is no matter.
        let socket = open(Type::DGRAM, ethertype as u16)?;
        socket.attach_filter(&filter)?;
        let checks = Checks::default();
        let task = tokio::spawn(listen(watched(socket, Interest::READABLE)?, vip, Arc::clone(&checks)));
        Ok(Self { checks, task })
    }
}

/// The life of a listener, until it is aborted.
async fn listen(socket: AsyncFd<Socket>, vip: SocketAddr, checks: Checks) {
    let mut buffer = [0; READ_BYTES];
    loop {
        let received = socket.async_io(Interest::READABLE, |mut socket| socket.read(&mut buffer)).await;
        let length = match received {
            Ok(length) => length,
            Err(error) => {
                log::warn!("answers of {vip} to checks can't be received: {error}");
                sleep(RETRY).await;
                continue;
            }
        };
        let Some((check, news)) = packet::read(&buffer[..length], vip) else { continue };
        if let Some(tell) = lock(&checks).get(&check) {
            // Nobody waits any more, or too much is waiting already: both are a lost datagram.
            let _ = tell.try_send(match news {
                News::Answer(datagram) => Heard::Answer(datagram.to_vec()),
                News::Undelivered(reason) => Heard::Undelivered(reason),
                News::Refused(reason) => Heard::Refused(reason),
            });
        }
    }
}

fn sender() -> io::Result<AsyncFd<Socket>> {
    // Protocol 0 hears nothing.
    watched(open(Type::RAW, 0)?, Interest::WRITABLE)
}

/// A socket that tokio tells when it is ready.
fn watched(socket: Socket, interest: Interest) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a `Socket` owns its descriptor, which is open and the same until it is dropped.
    let watched = unsafe { AsyncFd::register_with_interest(socket, interest) };
    Ok(watched?)
}

fn open(kind: Type, ethertype: u16) -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(ethertype.to_be()));
    let socket = Socket::new(Domain::PACKET, kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Where a frame leaves, and to whom.
fn link_address(interface: u32, ethertype: u16, destination: [u8; 6]) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the platform's types of socket addresses.
    let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    link.sll_family = libc::AF_PACKET as u16;
    link.sll_protocol = ethertype.to_be();
    link.sll_ifindex = interface.cast_signed();
    link.sll_halen = destination.len() as u8;
    link.sll_addr[..destination.len()].copy_from_slice(&destination);
    // SAFETY: the storage holds a `sockaddr_ll`, whose length this is.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) }
}

/// Nothing panics while it holds one of these locks, and each entry stands for itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
