//! Looks at the network whenever it changes, and tells the daemon what came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    Network,
    facts::NeighbourKey,
    kernel::{Kernel, KernelError},
    outlook::{Obstacle, Outlook, outlook},
};

/// Changes come in bursts, a link that comes up brings its addresses and routes: wait for the rest before looking.
const SETTLE: Duration = Duration::from_millis(20);

/// Look after this time even if nothing was heard, and tell the kernel again which neighbours are in use.
const REFRESH: Duration = Duration::from_secs(5);

/// The kernel answers at once; an answer that takes this long never comes.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Pause before rtnetlink is opened anew after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// A look is followed by a pause of this many times what it took, so that on a router whose tables never rest looking
/// costs a tenth of a core at most.
const PAUSE_FACTOR: u32 = 9;

/// Watches the network until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    backends: watch::Sender<Vec<IpAddr>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Starts to watch. `interfaces` are the names of those that carry the XDP program, `backends` the addresses whose
    /// next hops are wanted. The first [`Network`] goes to `networks` at once, then each that differs from the last.
    ///
    /// Must be called within a tokio runtime, in the network namespace that is to be watched. If the kernel can't be
    /// asked, that is logged and tried again; what was told last stays true as far as anybody knows.
    pub fn spawn(interfaces: Vec<String>, backends: Vec<IpAddr>, networks: UnboundedSender<Network>) -> Self {
        let (backends, wanted) = watch::channel(backends);
        let task = tokio::spawn(Watch::new(interfaces, wanted, networks).run());
        Self { backends, task }
    }

    /// Wants the next hops of these backends from now on, and of no others.
    pub fn set_backends(&self, backends: Vec<IpAddr>) {
        self.backends.send_if_modified(|present| {
            let is_new = *present != backends;
            *present = backends;
            is_new
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The state of the watcher's task.
struct Watch {
    interfaces: Vec<String>,
    backends: watch::Receiver<Vec<IpAddr>>,
    networks: UnboundedSender<Network>,
    /// What was told last.
    told: Option<Outlook>,
    /// When the kernel was last told that a neighbour is in use.
    used: BTreeMap<NeighbourKey, Instant>,
}

impl Watch {
    fn new(
        interfaces: Vec<String>,
        backends: watch::Receiver<Vec<IpAddr>>,
        networks: UnboundedSender<Network>,
    ) -> Self {
        Self { interfaces, backends, networks, told: None, used: BTreeMap::new() }
    }

    async fn run(mut self) {
        while !self.networks.is_closed() {
            if let Err(error) = self.watch().await {
                log::warn!("cannot watch the network, will try again in {RETRY:?}: {error}");
                sleep(RETRY).await;
            }
        }
    }

    /// Looks and tells, until nobody listens (which is success) or rtnetlink fails.
    async fn watch(&mut self) -> Result<(), KernelError> {
        let mut kernel = Kernel::open()?;
        while !self.networks.is_closed() {
            // What is heard from here on may be missing from the answers.
            kernel.forget_changes();
            let started = Instant::now();
            let backends = self.backends.borrow_and_update().clone();
            let look = timeout(ANSWER_LIMIT, kernel.look(&backends)).await;
            let facts = look.map_err(|_| KernelError::Silent)??;
            let outlook = outlook(&facts, &self.interfaces, &backends);
            let took = started.elapsed();
            self.use_neighbours(&kernel, &outlook.idle).await;
            self.tell(outlook);
            self.wait(&mut kernel, took).await?;
        }
        Ok(())
    }

    /// Waits for a reason to look again. `took` is how long the last look took.
    async fn wait(&mut self, kernel: &mut Kernel, took: Duration) -> Result<(), KernelError> {
        let pause = (took * PAUSE_FACTOR).clamp(SETTLE, REFRESH);
        let settled = async {
            kernel.changed().await?;
            sleep(pause).await;
            Ok(())
        };
        tokio::select! {
            settled = settled => settled,
            // An error means that the watcher is gone, and this task about to end.
            _ = self.backends.changed() => Ok(()),
            () = self.networks.closed() => Ok(()),
            () = sleep(REFRESH) => Ok(()),
        }
    }

    /// Tells the kernel about neighbours in use, each at most once in [`REFRESH`]: a dead one must not be asked for
    /// again by every notice that it is still dead.
    async fn use_neighbours(&mut self, kernel: &Kernel, idle: &BTreeSet<NeighbourKey>) {
        self.used.retain(|_, at| at.elapsed() < REFRESH);
        for &neighbour in idle {
            if self.used.contains_key(&neighbour) {
                continue;
            }
            self.used.insert(neighbour, Instant::now());
            match timeout(ANSWER_LIMIT, kernel.use_neighbour(neighbour)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::debug!("{} on interface {}: {error}", neighbour.1, neighbour.0),
                Err(_) => return,
            }
        }
    }

    /// Tells the daemon if the network changed, and the log what became of each backend's next hop.
    fn tell(&mut self, outlook: Outlook) {
        let is_new = self.told.as_ref().is_none_or(|told| told.network != outlook.network);
        let told = self.told.take().unwrap_or_default();
        for (backend, hop) in &outlook.network.next_hops {
            if told.network.next_hops.get(backend) != Some(hop) {
                log::info!("the next hop to {backend} is {}", Shown(hop));
            }
        }
        for (backend, obstacle) in &outlook.obstacles {
            if told.obstacles.get(backend) != Some(obstacle) {
                // Checks tell of hosts that are down; at start each is unresolved for a moment.
                let level = match obstacle {
                    Obstacle::Unresolved(_) => log::Level::Debug,
                    _ => log::Level::Info,
                };
                log::log!(level, "no next hop to {backend}: {obstacle}");
            }
        }
        if is_new {
            // Nobody listening is found out by the loop.
            let _ = self.networks.send(outlook.network.clone());
        }
        self.told = Some(outlook);
    }
}

/// A next hop for the log.
struct Shown<'a>(&'a lb_common::layout::NextHop);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(hop) = self;
        let [a, b, c, d, e, g] = hop.destination;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x} by interface {}", hop.interface)?;
        for tag in hop.vlans.tags.iter().take(hop.vlans.count as usize) {
            write!(f, ", VLAN {}", u16::from_be(*tag))?;
        }
        Ok(())
    }
}
