//! `siplb run`: from a configuration file to a daemon that serves, and its one loop.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::core::{Core, Start};
use super::journal::Who;
use super::service::Service;
use super::setup;
use super::sources::Sources;
use super::store::Store;
use crate::config::{Config, XdpMode};
use crate::control::api::{Interface, Timing};
use crate::control::scrape;
use crate::control::server::{self, Job};
use crate::datapath::{self, Adopted, Attached, Datapath, Events, Mode};
use crate::health::Event;
use crate::net::{Network, Watcher, sysctl};
use crate::source::{Followers, News};

/// How often a heartbeat is left, and what could not be published is tried again.
const TICK: Duration = Duration::from_secs(1);

/// How often it is looked whether backends have fallen silent under traffic.
const LOOK: Duration = Duration::from_millis(250);

/// Runs the daemon with the configuration that was read from `file`, until it is asked to end.
///
/// # Errors
/// A sentence that says what stands in the way of starting, and how to mend it.
pub async fn run(file: &Path, config: Config) -> Result<()> {
    config.warnings.iter().for_each(|warning| log::warn!("{}:{warning}", config.warnings.file));
    let key = config.node.hash_key.load()?;
    if let Some(warning) = &key.warning {
        log::warn!("{warning}");
    }
    let store = Store::open(&config.node.state_dir)?;
    let (listener, _socket_file) = setup::bind(&config.node.socket)?;
    let sizes = setup::sizes(&config, key.fingerprint);
    let (datapath, found) = Datapath::open(&config.node.pin_dir, &sizes)?;
    log::info!("the datapath below {} is {found}", config.node.pin_dir.display());
    for warning in sysctl::warnings(Path::new("/proc"), &config.node.interfaces, config.has_ipv6()) {
        log::warn!("{warning}");
    }

    let (health_events, health) = mpsc::unbounded_channel();
    let (network_events, network) = mpsc::unbounded_channel();
    let (jobs, requests) = mpsc::unbounded_channel();
    let (source_news, mut members) = mpsc::unbounded_channel();
    let mut sources = Sources::new(Followers::new(source_news), store.sources()?);
    sources.first_answers(&config, &mut members).await;
    let node = config.node.clone();
    let beside = Arc::new(server::OfPins { pin_dir: node.pin_dir.clone(), sizes });
    let figures = setup::bind_metrics(config.metrics.listen).await?;
    let network_now = setup::network(&config, &store).await?;
    let start = Start {
        file: file.to_owned(),
        config,
        fingerprint: key.fingerprint,
        seed: key.seed,
        store,
        sources,
        datapath,
        network: network_now,
        is_adopted: found != Adopted::Fresh,
    };
    let mut core = Core::start(start, health_events)?;
    for interface in core.datapath.replace_elders()? {
        log::info!("{interface} carries this program now, in the place of the other layout's");
    }
    let interfaces = attach(&mut core.datapath, &node.interfaces, node.xdp_mode).inspect_err(|_| {
        // What an earlier daemon left goes on forwarding; what is this one's alone must not stay behind.
        if found == Adopted::Fresh
            && let Err(error) = datapath::detach(&node.pin_dir)
        {
            log::error!("not all could be detached again: {error}");
        }
    })?;
    if let Err(error) = core.datapath.hold() {
        log::warn!("pins that somebody removes will not be made again: {error}");
    }
    let watcher = Watcher::spawn(node.interfaces.clone(), Vec::new(), network_events);
    core.attached(interfaces, watcher);
    if let Some(figures) = figures {
        tokio::spawn(scrape::serve_metrics(figures, jobs.clone(), beside.clone()));
    }
    let server = tokio::spawn(server::serve(listener, jobs, beside));
    log::info!("siplb {} serves on {}", env!("CARGO_PKG_VERSION"), node.socket.display());

    let events = core.datapath.events()?;
    let ended = serve(core, Inputs { health, network, requests, members, events }).await;
    server.abort();
    ended
}

/// Attaches to all interfaces.
fn attach(datapath: &mut Datapath, interfaces: &[String], mode: XdpMode) -> Result<Vec<Interface>> {
    let wanted = match mode {
        XdpMode::Native => Mode::Native,
        XdpMode::Generic => Mode::Generic,
    };
    let attach = |name: &String| {
        match datapath.attach(name, wanted)? {
            Attached::Found => log::info!("{name} carries the program already, in {mode} mode"),
            Attached::Now => log::info!("{name} carries the program now, in {mode} mode"),
        }
        Ok(Interface { name: name.clone(), mode })
    };
    interfaces.iter().map(attach).collect()
}

/// Where events come from.
struct Inputs {
    health: UnboundedReceiver<Event>,
    network: UnboundedReceiver<Network>,
    requests: UnboundedReceiver<Job<Datapath>>,
    members: UnboundedReceiver<News>,
    events: Events,
}

/// One event at a time, until a signal says to end.
async fn serve(mut core: Core<Datapath>, mut inputs: Inputs) -> Result<()> {
    let listen = |kind: SignalKind| signal(kind).context("signals can't be listened to");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut reload = listen(SignalKind::hangup())?;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut service = Service::found();
    service.ready(core.in_short());
    let mut second = interval(TICK);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => return end(&service, "SIGTERM"),
            _ = interrupt.recv() => return end(&service, "SIGINT"),
            // Before all that others can send, so that a flood of it does not look like death.
            _ = second.tick() => {
                core.tick();
                service.alive(core.in_short());
            }
            Some(first) = inputs.health.recv() => core.health(with_waiting(first, &mut inputs.health)),
            Some(job) = inputs.requests.recv() => job(&mut core),
            Some(first) = inputs.network.recv() => {
                // Only the last one is true still.
                core.network(with_waiting(first, &mut inputs.network).pop().expect("it has the first"));
            }
            Some(first) = inputs.members.recv() => core.members(with_waiting(first, &mut inputs.members)),
            Some(()) = reload.recv() => {
                log::info!("SIGHUP: reading the configuration again");
                service.reloading();
                if let Err(error) = core.reload(Timing::default(), &Who::File) {
                    log::error!("the configuration stays as it is: {error}");
                }
                service.ready(core.in_short());
            }
            () = until(core.wake()) => core.turn(),
            _ = look.tick() => core.look(),
            // Last, since whoever forges such packets could keep it busy.
            unreachable = inputs.events.unreachable() => core.unreachable(&unreachable?),
        }
    }
}

/// Waits for a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// An event and those that came while it waited, so that they are one publication.
fn with_waiting<T>(first: T, more: &mut UnboundedReceiver<T>) -> Vec<T> {
    let mut events = vec![first];
    while let Ok(event) = more.try_recv() {
        events.push(event);
    }
    events
}

fn end(service: &Service, signal: &str) -> Result<()> {
    service.stopping();
    log::info!("{signal}: ending. Packets are forwarded on as they are now; `siplb detach` stops that");
    Ok(())
}

/// Runs a future to its end on a runtime of its own.
///
/// # Errors
/// When the runtime can't be made, or as the future.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new().context("no asynchronous runtime")?.block_on(future)
}
