//! Steady traffic in which every packet has a number, so that what happens to the daemon can be held against what happened to
//! packets: which were lost, came twice, went elsewhere, or were not answered.
//!
//! The servers are threads with a socket in a backend's namespace (`siplb_lab::numbered`): they answer everything, checks
//! included, and remember the numbers. Sender and servers are in one process, so that nothing but the network is between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use siplb_lab::Lab;
use siplb_lab::numbered::{Running, listen, number, send, serve, socket};
use siplb_lab::topology::{CALLERS, SIP_PORT};

/// Between two packets: 2,000 a second.
const PERIOD: Duration = Duration::from_micros(500);
/// How many users the packets are for, in turn.
const USERS: u64 = 200;
/// How long the last packets are waited for.
const LAST: Duration = Duration::from_millis(500);
/// Which server got which numbers.
type Received = Arc<Mutex<Vec<(String, u64)>>>;

/// A server on each backend, until it is dropped.
pub(crate) struct Servers {
    received: Received,
    running: BTreeMap<String, Running>,
}

impl Servers {
    /// Starts them.
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let mut servers = Self { received: Received::default(), running: BTreeMap::new() };
        for host in &lab.topology().backends {
            let socket = socket(&host.netns, host.address, SIP_PORT)?;
            let (name, received) = (host.name.clone(), Arc::clone(&servers.received));
            let running = Running::spawn(move |stop| {
                serve(&socket, &name, stop, |text| {
                    if let Some(number) = number(text) {
                        lock(&received).push((name.clone(), number));
                    }
                });
            });
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
        let listener = Running::spawn(move |stop| {
            listen(&replies, stop, |text| {
                if let Some(number) = number(text) {
                    lock(&numbers).insert(number);
                }
            });
        });
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let sender = thread::spawn(move || send(&client, PERIOD, USERS, &stopped, |_| ()));
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
