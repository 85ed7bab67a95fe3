//! `siplb health`

use super::context::Context;
use super::failure::Failure;
use super::output::{Columns, duration, or_dash, print, print_json_lines};
use crate::control::client::with_query;
use crate::control::health::{Check, Health};

#[derive(clap::Args)]
pub(super) struct Args {
    /// A backend, to see its last checks [default: the last check of every backend]
    name: Option<String>,
    /// Its pool, where two pools have one of that name; alone, all backends of that pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
}

/// Shows what the checks say, and how they came to it.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let path = with_query("/v1/health", &[("name", args.name.as_deref()), ("pool", args.pool.as_deref())]);
    let backends: Vec<Health> = context.ask(|client| async move { client.get(&path).await })?;
    if context.json {
        return print_json_lines(&backends);
    }
    if args.name.is_none() {
        return print(&table(&backends));
    }
    let told: Vec<String> = backends.iter().map(one).collect();
    print(&told.join("\n\n"))
}

/// A line for each backend.
fn table(backends: &[Health]) -> String {
    let mut columns = Columns::new(&[
        "POOL",
        "BACKEND",
        "ADDRESS",
        "HEALTH",
        ">SINCE",
        ">AGAINST",
        ">PASSED",
        ">FAILED",
        ">RTT MS",
        "LAST CHECK",
    ]);
    for backend in backends {
        columns.row(vec![
            backend.pool.clone(),
            backend.name.clone(),
            backend.address.to_string(),
            health(backend),
            duration(backend.since_s),
            against(backend),
            backend.counts.passed.to_string(),
            backend.counts.failed.to_string(),
            or_dash(backend.round_trip_ms.map(milliseconds)),
            or_dash(backend.checks.last().map(|check| &check.outcome)),
        ]);
    }
    columns.to_string()
}

/// One backend with its last checks.
fn one(backend: &Health) -> String {
    let Health { pool, name, address, counts, .. } = backend;
    let mut columns = Columns::new(&["TIME", "RESULT", ">TOOK MS", ">REQUESTS", "CAUSE", "OUTCOME"]);
    for Check { time, result, took_ms, requests, cause, outcome, .. } in &backend.checks {
        columns.row(vec![
            time.clone(),
            result.clone(),
            milliseconds(*took_ms),
            requests.to_string(),
            cause.clone(),
            outcome.clone(),
        ]);
    }
    format!(
        "{pool}/{name} at {address} is {} for {}, {} against it\n\
         every {} ms, timeout {} ms: {} passed, {} failed, {} not made; {} requests, {} answers to none of them\n\n\
         {columns}",
        health(backend),
        duration(backend.since_s),
        against(backend),
        backend.interval_ms,
        backend.timeout_ms,
        counts.passed,
        counts.failed,
        counts.not_made,
        counts.requests,
        counts.strays,
    )
}

fn health(backend: &Health) -> String {
    let spared = backend.overloaded_for_s.map(|seconds| format!(", overloaded for {}", duration(seconds)));
    format!("{}{}", backend.health, spared.unwrap_or_default())
}

/// How many checks in a row speak against its health, of how many that it takes.
fn against(backend: &Health) -> String {
    let needed = if backend.health == "up" { backend.fall } else { backend.rise };
    format!("{}/{needed}", backend.streak)
}

fn milliseconds(time: f64) -> String {
    format!("{time:.1}")
}
