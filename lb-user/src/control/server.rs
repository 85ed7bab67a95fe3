//! The daemon's side of the control socket. Each request becomes a job for the one task that owns the daemon's state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::api::{
    AddBackend, Backend, Digest, Done, Events, EventsSince, Explanation, InPool, Lookup, NewBackend, Owner,
    Packets, SetState, SetWeight, Status, Timing, Unnamed,
};
use super::error::{Error, Kind};
use super::health::{Health, Which};
use crate::config;
use crate::daemon::{Core, Live, explain};
use crate::datapath::Sizes;
use crate::pool::changes::Named;
use crate::pool::{Change, Plan};

/// Something to do with the daemon's state.
pub type Job<D> = Box<dyn FnOnce(&mut Core<D>) + Send>;

/// Packets of one `explain` request, as bytes of JSON: some ten thousand packets.
const BODY_LIMIT: usize = 64 << 20;

/// Longest wait for an event.
const EVENTS_WAIT_LIMIT: Duration = Duration::from_secs(60);

/// What runs packets through the program. Not a job: loading takes longer than the daemon's task may be kept.
pub trait Explain: Send + Sync + 'static {
    /// Explains packets; the plan has the names for what the program's tables have numbers for.
    ///
    /// # Errors
    /// When the program can't be loaded, or doesn't take a packet.
    fn explain(&self, plan: &Plan, packets: &Packets) -> Result<Vec<Explanation>, Error>;
}

/// Explains by the live tables.
#[derive(Clone, Debug)]
pub struct LiveExplain {
    /// Where they are pinned.
    pub pin_dir: PathBuf,
    /// Their sizes.
    pub sizes: Sizes,
}

impl Explain for LiveExplain {
    fn explain(&self, plan: &Plan, packets: &Packets) -> Result<Vec<Explanation>, Error> {
        explain::live(&self.pin_dir, &self.sizes, plan, packets)
    }
}

/// What the handlers share.
struct Daemon<D> {
    jobs: UnboundedSender<Job<D>>,
    explain: Arc<dyn Explain>,
}

impl<D> Clone for Daemon<D> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), explain: Arc::clone(&self.explain) }
    }
}

impl<D: Live> Daemon<D> {
    /// Has the daemon's task do something, and waits for the answer.
    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Core<D>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let ended = || Error::failed("the daemon is ending");
        // Whoever asked may have gone meanwhile; what was asked for is done all the same.
        let job = Box::new(move |core: &mut Core<D>| drop(answer.send(job(core))));
        self.jobs.send(job).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    async fn change(&self, change: Change, timing: Timing) -> Answer<Done> {
        self.ask(move |core| core.change(&change, timing)).await.map(Json)
    }
}

type Answer<T> = Result<Json<T>, Error>;
type On<D> = State<Daemon<D>>;

/// Serves requests on `listener` until it is dropped.
///
/// # Errors
/// When the socket fails.
pub async fn serve<D: Live>(
    listener: UnixListener,
    jobs: UnboundedSender<Job<D>>,
    explain: impl Explain,
) -> std::io::Result<()> {
    let daemon = Daemon { jobs, explain: Arc::new(explain) };
    axum::serve(listener, router(daemon)).await
}

fn router<D: Live>(daemon: Daemon<D>) -> Router {
    Router::new()
        .route("/v1/status", get(status::<D>))
        .route("/v1/backends", get(backends::<D>).post(add::<D>))
        .route("/v1/backends/{name}", axum::routing::delete(remove::<D>))
        .route("/v1/backends/{name}/state", put(set_state::<D>))
        .route("/v1/backends/{name}/weight", put(set_weight::<D>))
        .route("/v1/lookup", get(lookup::<D>))
        .route("/v1/digest", get(digest::<D>))
        .route("/v1/health", get(health::<D>))
        .route("/v1/events", get(events::<D>))
        .route("/v1/unnamed", get(unnamed::<D>).delete(forget_unnamed::<D>))
        .route("/v1/explain", post(explain_packets::<D>))
        .route("/v1/reload", post(reload::<D>))
        .fallback(async || Error::new(Kind::NotFound, "there is no such request", "see `siplb --help`"))
        .method_not_allowed_fallback(async || {
            Error::new(Kind::Bad, "not with this method", "see `siplb --help`")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(daemon)
}

async fn status<D: Live>(State(daemon): On<D>) -> Answer<Status> {
    daemon.ask(|core| core.status()).await.map(Json)
}

async fn backends<D: Live>(State(daemon): On<D>) -> Answer<Vec<Backend>> {
    daemon.ask(|core| core.backends()).await.map(Json)
}

async fn add<D: Live>(
    State(daemon): On<D>,
    Asked(timing): Asked<Timing>,
    Body(AddBackend { pool, backend }): Body<AddBackend>,
) -> Answer<Done> {
    let bad = |fault: config::Fault| Error::new(Kind::Bad, fault.what, fault.mend);
    config::name(&backend.name).map_err(bad)?;
    backend.group.as_deref().map_or(Ok(String::new()), config::name).map_err(bad)?;
    config::address(&backend.address.to_string()).map_err(bad)?;
    if backend.port == 0 {
        return Err(Error::new(Kind::Bad, "0 is not a port", "give a port from 1 to 65535"));
    }
    backend.weight.map_or(Ok(()), weight)?;
    let aliases = backend.aliases.iter().map(|alias| config::host_and_port(alias));
    let aliases = aliases.collect::<Result<_, _>>().map_err(bad)?;
    daemon.change(Change::Add { pool, backend: NewBackend { aliases, ..backend } }, timing).await
}

async fn remove<D: Live>(
    State(daemon): On<D>,
    Path(name): Path<String>,
    Asked(of): Asked<InPool>,
    Asked(timing): Asked<Timing>,
) -> Answer<Done> {
    daemon.change(Change::Remove(Named { pool: of.pool, name }), timing).await
}

async fn set_state<D: Live>(
    State(daemon): On<D>,
    Path(name): Path<String>,
    Asked(of): Asked<InPool>,
    Asked(timing): Asked<Timing>,
    Body(SetState { state }): Body<SetState>,
) -> Answer<Done> {
    daemon.change(Change::State(Named { pool: of.pool, name }, state), timing).await
}

async fn set_weight<D: Live>(
    State(daemon): On<D>,
    Path(name): Path<String>,
    Asked(of): Asked<InPool>,
    Asked(timing): Asked<Timing>,
    Body(SetWeight { weight: wanted }): Body<SetWeight>,
) -> Answer<Done> {
    weight(wanted)?;
    daemon.change(Change::Weight(Named { pool: of.pool, name }, wanted), timing).await
}

async fn lookup<D: Live>(State(daemon): On<D>, Asked(asked): Asked<Lookup>) -> Answer<Owner> {
    daemon.ask(move |core| core.lookup(&asked)).await.map(Json)
}

async fn digest<D: Live>(State(daemon): On<D>) -> Answer<Vec<Digest>> {
    daemon.ask(|core| Ok(core.digests())).await.map(Json)
}

async fn health<D: Live>(State(daemon): On<D>, Asked(which): Asked<Which>) -> Answer<Vec<Health>> {
    daemon.ask(move |core| core.checks(&which)).await.map(Json)
}

async fn events<D: Live>(State(daemon): On<D>, Asked(asked): Asked<EventsSince>) -> Answer<Events> {
    let EventsSince { since, wait_s } = asked;
    let (events, mut news) = daemon.ask(move |core| Ok((core.events(since), core.event_news()))).await?;
    if !events.events.is_empty() || events.last < since || wait_s == 0 {
        return Ok(Json(events));
    }
    let wait = Duration::from_secs(wait_s).min(EVENTS_WAIT_LIMIT);
    // Whether something came, the time is up or the daemon is ending: the next question tells.
    drop(tokio::time::timeout(wait, news.wait_for(|last| *last > since)).await);
    daemon.ask(move |core| Ok(core.events(since))).await.map(Json)
}

async fn unnamed<D: Live>(State(daemon): On<D>) -> Answer<Vec<Unnamed>> {
    daemon.ask(|core| core.unnamed()).await.map(Json)
}

async fn forget_unnamed<D: Live>(State(daemon): On<D>) -> Answer<Vec<Unnamed>> {
    daemon.ask(|core| core.forget_unnamed()).await.map(Json)
}

async fn explain_packets<D: Live>(
    State(daemon): On<D>,
    Body(packets): Body<Packets>,
) -> Answer<Vec<Explanation>> {
    let plan = daemon.ask(|core| Ok(core.plan())).await?;
    let explain = Arc::clone(&daemon.explain);
    let explained = tokio::task::spawn_blocking(move || explain.explain(&plan, &packets));
    explained.await.map_err(Error::failed)?.map(Json)
}

async fn reload<D: Live>(State(daemon): On<D>, Asked(timing): Asked<Timing>) -> Answer<Done> {
    daemon.ask(move |core| core.reload(timing)).await.map(Json)
}

/// The bounds of the file's key of that name.
fn weight(weight: u32) -> Result<(), Error> {
    if (1..=10_000).contains(&weight) {
        return Ok(());
    }
    Err(Error::new(Kind::Bad, format!("{weight} is not a weight"), "give a number from 1 to 10000"))
}

/// A JSON body, whose refusal is an [`Error`].
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Error))]
struct Body<T>(T);

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(Kind::Bad, rejection.body_text(), "send JSON with content-type: application/json")
    }
}

/// A query, whose refusal is an [`Error`].
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Error))]
struct Asked<T>(T);

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Kind::Bad, rejection.body_text(), "see `siplb --help`")
    }
}
