//! `GET /metrics`, on the control socket and over TCP. Where the daemon's task does not answer, the pins do: a loop that
//! hangs is what monitoring is to tell.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use super::error::{Error, Kind};
use super::server::{Beside, Daemon, Job};
use crate::daemon::Live;
use crate::metrics;

/// How long the daemon's task is waited for. Prometheus gives up after ten seconds by default.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves `GET /metrics` and nothing else on `listener` until it is dropped.
///
/// # Errors
/// When the socket fails.
pub async fn serve_metrics<D: Live>(
    listener: TcpListener,
    jobs: UnboundedSender<Job<D>>,
    beside: Arc<dyn Beside>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(scrape::<D>))
        .fallback(async || Error::new(Kind::NotFound, "only /metrics is here", "use the control socket"))
        .method_not_allowed_fallback(async || Error::new(Kind::Bad, "figures can only be read", "use GET"))
        .with_state(Daemon { jobs, beside });
    axum::serve(listener, router).await
}

/// All figures.
pub(super) async fn scrape<D: Live>(State(daemon): State<Daemon<D>>) -> Result<impl IntoResponse, Error> {
    let asked = timeout(PATIENCE, daemon.ask(|core| core.status())).await;
    let text = match asked {
        Ok(status) => metrics::of_status(&status?),
        Err(_) => {
            let beside = Arc::clone(&daemon.beside);
            let pinned = tokio::task::spawn_blocking(move || beside.pinned()).await.map_err(Error::failed)?;
            let hangs = || Error::failed("the daemon's task does not answer, and nothing is pinned");
            metrics::of_pins(&pinned?.ok_or_else(hangs)?)
        }
    };
    Ok(([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text))
}
