//! Checks that take the way of the traffic, between real network stacks: what would lose the traffic fails the check, in the
//! time that `docs/operations.md` states, and the node needs no setting to hear the answers.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use lb_user::{
    datapath::{
        Mode,
        decap::{self, Addresses},
    },
    health::{Event, Health, News, Path, Prober, Settings, Target, Way},
    net::{Network, Watcher},
};
use siplb_lab::{
    Lab,
    topology::{Host, SIP_PORT, VIP},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};

const NODE6: &str = "fd00::1";
const BACKEND6: &str = "fd00::11";
const VIP6: &str = "2001:db8::10";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a busy machine may add to a promise.
const BUSY: Duration = Duration::from_secs(2);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Answers every request to an address with 200, until it is dropped.
struct Server {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(host: &Host, address: IpAddr) -> Result<Self> {
        let socket = host.netns.run(|| Ok(UdpSocket::bind((address, SIP_PORT))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let serve = move || {
            let mut datagram = [0; 2048];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut datagram) else { continue };
                let request = String::from_utf8_lossy(&datagram[..length]);
                let copied = |line: &&str| {
                    ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
                };
                let headers: Vec<&str> = request.split("\r\n").filter(copied).collect();
                let answer =
                    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"));
                // While the address is away, an answer can't leave.
                let _ = socket.send_to(answer.as_bytes(), client);
            }
        };
        Ok(Self { is_over, thread: Some(thread::spawn(serve)) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A node and a backend in namespaces, with addresses of both families, and a VIP of each on the backend's lo.
struct Stage {
    lab: Lab,
}

impl Stage {
    fn set(name: &str) -> Result<Self> {
        let lab = Lab::create(&format!("siplb-checks-{name}"), 1)?;
        let (node, host) = (&lab.topology().node, &lab.topology().backends[0]);
        // The stack of this node drops what comes from an address of its own, and need not be told otherwise.
        node.set("ipv4/conf/all/accept_local", "0")?;
        node.ip(&format!("addr add {VIP6}/128 dev lo"))?;
        node.ip(&format!("addr add {NODE6}/64 dev b1 nodad"))?;
        host.netns.ip(&format!("addr add {BACKEND6}/64 dev eth0 nodad"))?;
        let stage = Self { lab };
        for vip in [IpAddr::from(VIP), ip(VIP6)] {
            stage.vip("add", vip)?;
        }
        Ok(stage)
    }

    fn host(&self) -> &Host {
        &self.lab.topology().backends[0]
    }

    /// Gives a VIP to the backend, or takes it away.
    fn vip(&self, verb: &str, vip: IpAddr) -> Result<()> {
        let bits = if vip.is_ipv4() { 32 } else { 128 };
        self.host().netns.ip(&format!("addr {verb} {vip}/{bits} dev lo")).map(drop)
    }

    /// Attaches `siplb decap` on the backend.
    fn attach(&self) -> Result<()> {
        let addresses = Addresses {
            outer: [self.host().address.into(), ip(BACKEND6)].into(),
            inner: [VIP.into(), ip(VIP6)].into(),
        };
        let attached = self
            .host()
            .netns
            .run(|| Ok(decap::attach(&self.lab.pin_dir(), "eth0", Mode::Native, &addresses)?));
        attached.map(drop)
    }

    fn detach(&self) -> Result<()> {
        ensure!(decap::detach(&self.lab.pin_dir(), "eth0")?, "it was attached");
        Ok(())
    }

    /// Calls `test` in the node's namespace with the checks of a backend running.
    fn check<F>(&self, backend: IpAddr, path: impl Fn(&Network) -> Path + Sync, test: F) -> Result<()>
    where
        F: AsyncFnOnce(&mut Checks) -> Result<()> + Send,
    {
        self.lab.topology().node.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let network = learn(backend).await?;
                let (sender, events) = unbounded_channel();
                let target = Target {
                    id: "p/b1".into(),
                    address: SocketAddr::new(backend, SIP_PORT),
                    path: path(&network),
                    settings: settings(),
                    start: Health::Down,
                };
                let prober = Prober::spawn(vec![target], sender);
                test(&mut Checks { prober, events }).await
            })
        })
    }
}

/// What the daemon would learn of the network, when it has learnt the way to the backend.
async fn learn(backend: IpAddr) -> Result<Network> {
    let (sender, mut networks) = unbounded_channel();
    let _watcher = Watcher::spawn(vec!["b1".into()], vec![backend], sender);
    let found = timeout(PATIENCE, async {
        loop {
            match networks.recv().await {
                Some(network) if network.next_hops.contains_key(&backend) => return Ok(network),
                Some(_) => {}
                None => bail!("the watcher has ended"),
            }
        }
    });
    found.await.with_context(|| format!("no way to {backend}"))?
}

fn settings() -> Settings {
    Settings {
        interval: Duration::from_millis(250),
        timeout: Duration::from_millis(500),
        fall: 3,
        rise: 2,
        ..Settings::default()
    }
}

/// The checks of one backend.
struct Checks {
    prober: Prober,
    events: UnboundedReceiver<Event>,
}

impl Checks {
    /// Waits for the next change of health, which is to be this one; a fall is to come no later than promised.
    async fn expect(&mut self, health: Health) -> Result<()> {
        let started = Instant::now();
        let event = timeout(PATIENCE, self.events.recv())
            .await
            .with_context(|| format!("not {health}: {:?}", self.prober.snapshot()))?
            .context("the prober lives")?;
        let settings = settings();
        let promise = settings.interval.mul_f64(1.1) * settings.fall + settings.timeout;
        let News::Health(change) = event.news else { bail!("not {health}, but {event:?}") };
        ensure!(change.to == health, "{change:?}");
        ensure!(
            health == Health::Up || started.elapsed() < promise + BUSY,
            "after {:?}, promised {promise:?}",
            started.elapsed()
        );
        println!("{health} after {} ms: {}", started.elapsed().as_millis(), change.reason);
        Ok(())
    }

    /// The same, down, and soon a check says why: not every one of a busy machine gets as far.
    async fn expect_down_because(&mut self, part: &str) -> Result<()> {
        self.expect(Health::Down).await?;
        let told = timeout(PATIENCE, async {
            while !self.prober.snapshot()[0]
                .last
                .as_ref()
                .is_some_and(|(last, _)| last.to_string().contains(part))
            {
                sleep(Duration::from_millis(10)).await;
            }
        });
        told.await.with_context(|| format!("not because \"{part}\": {:?}", self.prober.snapshot()))
    }
}

#[test]
fn dsr_a_vip_that_is_gone_from_lo_is_down() -> Result<()> {
    let stage = Stage::set("dsr")?;
    let host = stage.host();
    for (vip, backend) in [(IpAddr::from(VIP), host.address.into()), (ip(VIP6), ip(BACKEND6))] {
        let mut server = Some(Server::start(host, vip)?);
        let path = |network: &Network| {
            let next_hop = network.next_hops.get(&backend).copied();
            Path::Dsr(Way { vip: SocketAddr::new(vip, SIP_PORT), next_hop, source: None })
        };
        stage.check(backend, path, async |checks| {
            checks.expect(Health::Up).await?;
            stage.vip("del", vip)?;
            // A host that has a route for it and does not forward stays silent about what is not its own.
            checks.expect_down_because("no answer").await?;
            stage.vip("add", vip)?;
            checks.expect(Health::Up).await?;

            // A backend that forwards what is not its own sends it back to the node.
            let family = if vip.is_ipv4() { "ipv4" } else { "ipv6" };
            host.netns.set(&format!("{family}/conf/all/forwarding"), "1")?;
            stage.vip("del", vip)?;
            checks.expect(Health::Down).await?;
            stage.vip("add", vip)?;
            host.netns.set(&format!("{family}/conf/all/forwarding"), "0")?;
            checks.expect(Health::Up).await?;

            server = None;
            checks.expect_down_because("nobody listens").await?;
            server = Some(Server::start(host, vip)?);
            checks.expect(Health::Up).await
        })?;
        drop(server);
    }
    Ok(())
}

#[test]
fn ipip_a_missing_decapsulation_is_down() -> Result<()> {
    let stage = Stage::set("ipip")?;
    let host = stage.host();
    let backends = [IpAddr::from(host.address), ip(BACKEND6)];
    for (vip, node) in [(IpAddr::from(VIP), "10.0.0.1"), (ip(VIP6), NODE6)] {
        for backend in backends {
            println!("{vip} by {backend}");
            let _server = Server::start(host, vip)?;
            let path = |network: &Network| {
                let next_hop = network.next_hops.get(&backend).copied();
                Path::Ipip(Way { vip: SocketAddr::new(vip, SIP_PORT), next_hop, source: Some(ip(node)) })
            };
            stage.attach()?;
            stage.check(backend, path, async |checks| {
                checks.expect(Health::Up).await?;
                stage.detach()?;
                // Errors of the other family are not listened to.
                let is_told = vip.is_ipv4() == backend.is_ipv4();
                checks.expect_down_because(if is_told { "outer header" } else { "no answer" }).await?;
                stage.attach()?;
                checks.expect(Health::Up).await?;
                stage.vip("del", vip)?;
                checks.expect(Health::Down).await?;
                stage.vip("add", vip)?;
                checks.expect(Health::Up).await
            })?;
            let status = host.netns.run(|| Ok(decap::status(&stage.lab.pin_dir(), "eth0")?))?;
            println!("{:?}", status.context("the program is attached")?.packets);
            stage.detach()?;
        }
    }
    Ok(())
}
