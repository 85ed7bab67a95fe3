//! The daemon's side of the control socket. Each request becomes a job for the one task that owns the daemon's state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::api::{
    AddBackend, Backend, Digest, Done, Events, EventsSince, Explanation, InPool, Lookup, NewBackend, Owner,
    Packets, SetState, SetWeight, Status, Timing, Unnamed,
};
use super::asker::Asker;
use super::error::{Error, Kind};
use super::health::{Health, Which};
use super::scrape::scrape;
use crate::config;
use crate::daemon::{Core, Live, explain};
use crate::datapath::{Pinned, Sizes};
use crate::pool::changes::Named;
use crate::pool::{Change, Plan};

/// Something to do with the daemon's state.
pub type Job<D> = Box<dyn FnOnce(&mut Core<D>) + Send>;

/// Packets of one `explain` request, as bytes of JSON: some ten thousand packets.
const BODY_LIMIT: usize = 64 << 20;

/// Longest wait for an event.
const EVENTS_WAIT_LIMIT: Duration = Duration::from_secs(60);

/// What is done beside the daemon's task: what takes longer than that may be kept, and what must work while it hangs.
pub trait Beside: Send + Sync + 'static {
    /// Explains packets; the plan has the names for what the program's tables have numbers for.
    ///
    /// # Errors
    /// When the program can't be loaded, or doesn't take a packet.
    fn explain(&self, plan: &Plan, packets: &Packets) -> Result<Vec<Explanation>, Error>;

    /// What is pinned; none where nothing is.
    ///
    /// # Errors
    /// When the pins can't be read.
    fn pinned(&self) -> Result<Option<Pinned>, Error>;
}

/// By the live tables.
#[derive(Clone, Debug)]
pub struct OfPins {
    /// Where they are pinned.
    pub pin_dir: PathBuf,
    /// Their sizes.
    pub sizes: Sizes,
}

impl Beside for OfPins {
    fn explain(&self, plan: &Plan, packets: &Packets) -> Result<Vec<Explanation>, Error> {
        explain::live(&self.pin_dir, &self.sizes, plan, packets)
    }

    fn pinned(&self) -> Result<Option<Pinned>, Error> {
        Pinned::read(&self.pin_dir).map_err(Error::failed)
    }
}

/// What the handlers share.
pub(super) struct Daemon<D> {
    pub(super) jobs: UnboundedSender<Job<D>>,
    pub(super) beside: Arc<dyn Beside>,
}

impl<D> Clone for Daemon<D> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), beside: Arc::clone(&self.beside) }
    }
}

impl<D: Live> Daemon<D> {
    /// Has the daemon's task do something, and waits for the answer.
    pub(super) async fn ask<T: Send + 'static>(
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

    async fn change(&self, ConnectInfo(asker): By, change: Change, timing: Timing) -> Answer<Done> {
        let done = self.ask(move |core| core.change(&change, timing, &asker.who())).await;
        note(asker, "a change", done.as_ref().map(|done| done.done.join("; "))).await;
        done.map(Json)
    }
}

/// Writes down who asked for what, and what came of it. Names of users may come from elsewhere: the log can wait for
/// them, the daemon's task can't.
async fn note(asker: Asker, what: &'static str, outcome: Result<String, &Error>) {
    let outcome = outcome.map_err(ToString::to_string);
    let told = tokio::task::spawn_blocking(move || match outcome {
        Ok(done) => log::info!("{asker} asked for {what}: {done}"),
        Err(refusal) => log::warn!("{asker} asked for {what} and was refused: {refusal}"),
    });
    // It can't be cancelled, and what is wrong with the log is no reason to refuse the answer.
    let _ = told.await;
}

type Answer<T> = Result<Json<T>, Error>;
type On<D> = State<Daemon<D>>;
type By = ConnectInfo<Asker>;

/// Serves requests on `listener` until it is dropped.
///
/// # Errors
/// When the socket fails.
pub async fn serve<D: Live>(
    listener: UnixListener,
    jobs: UnboundedSender<Job<D>>,
    beside: Arc<dyn Beside>,
) -> std::io::Result<()> {
    let daemon = Daemon { jobs, beside };
    axum::serve(listener, router(daemon).into_make_service_with_connect_info::<Asker>()).await
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
        .route("/metrics", get(scrape::<D>))
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
    by: By,
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
    daemon.change(by, Change::Add { pool, backend: NewBackend { aliases, ..backend } }, timing).await
}

async fn remove<D: Live>(
    State(daemon): On<D>,
    by: By,
    Path(name): Path<String>,
    Asked(of): Asked<InPool>,
    Asked(timing): Asked<Timing>,
) -> Answer<Done> {
    daemon.change(by, Change::Remove(Named { pool: of.pool, name }), timing).await
}

async fn set_state<D: Live>(
    State(daemon): On<D>,
    by: By,
    Path(name): Path<String>,
    Asked(of): Asked<InPool>,
    Asked(timing): Asked<Timing>,
    Body(SetState { state }): Body<SetState>,
) -> Answer<Done> {
    daemon.change(by, Change::State(Named { pool: of.pool, name }, state), timing).await
}

async fn set_weight<D: Live>(
    State(daemon): On<D>,
    by: By,
    Path(name): Path<String>,
    Asked(of): Asked<InPool>,
    Asked(timing): Asked<Timing>,
    Body(SetWeight { weight: wanted }): Body<SetWeight>,
) -> Answer<Done> {
    weight(wanted)?;
    daemon.change(by, Change::Weight(Named { pool: of.pool, name }, wanted), timing).await
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

async fn forget_unnamed<D: Live>(State(daemon): On<D>, ConnectInfo(asker): By) -> Answer<Vec<Unnamed>> {
    let forgotten = daemon.ask(|core| core.forget_unnamed()).await;
    let told = forgotten.as_ref().map(|unnamed| format!("{} are forgotten", unnamed.len()));
    note(asker, "hosts that named nobody to be forgotten", told).await;
    forgotten.map(Json)
}

async fn explain_packets<D: Live>(
    State(daemon): On<D>,
    Body(packets): Body<Packets>,
) -> Answer<Vec<Explanation>> {
    let plan = daemon.ask(|core| Ok(core.plan())).await?;
    let beside = Arc::clone(&daemon.beside);
    let explained = tokio::task::spawn_blocking(move || beside.explain(&plan, &packets));
    explained.await.map_err(Error::failed)?.map(Json)
}

async fn reload<D: Live>(
    State(daemon): On<D>,
    ConnectInfo(asker): By,
    Asked(timing): Asked<Timing>,
) -> Answer<Done> {
    let done = daemon.ask(move |core| core.reload(timing, &asker.who())).await;
    note(asker, "a reload", done.as_ref().map(|done| done.done.join("; "))).await;
    done.map(Json)
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
