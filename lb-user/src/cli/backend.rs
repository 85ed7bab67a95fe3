//! `siplb backend`

use std::net::{IpAddr, SocketAddr};

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::output::{Columns, duration, or_dash, percent, print, print_json, print_json_lines};
use crate::config;
use crate::control::api::{AddBackend, Backend, Done, NewBackend, SetState, SetWeight};
use crate::control::client::{Client, ClientError, escaped, with_query};
use crate::pool::State;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// List all backends
    List,
    /// Add a backend, until it is removed
    Add(Add),
    /// Remove a backend, until it is added again
    Remove(Named),
    /// Send a backend no new users: another member of its group, or another group, takes them
    Drain(Named),
    /// Make a backend active again
    Ready(Named),
    /// Take a backend out at once
    Maintenance(Named),
    /// Set the weight of a backend's group
    Weight(Weight),
    /// Go back to what the configuration file says of a backend and of its group's weight
    Reset(Named),
}

#[derive(clap::Args)]
pub(super) struct Named {
    /// Its name
    pub(super) name: String,
    /// Its pool, where two pools have one of that name
    #[arg(long, value_name = "POOL")]
    pub(super) pool: Option<String>,
    #[command(flatten)]
    timing: Timing,
}

/// When users move.
#[derive(clap::Args, Clone, Copy, Default)]
pub(super) struct Timing {
    /// Move users at once: their transactions under way are lost to the server that has them
    #[arg(long)]
    now: bool,
}

impl Timing {
    /// As a part of a query.
    pub(super) fn query(self) -> (&'static str, Option<&'static str>) {
        ("now", self.now.then_some("true"))
    }
}

#[derive(clap::Args)]
pub(super) struct Weight {
    #[command(flatten)]
    pub(super) named: Named,
    /// The weight
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) weight: u32,
}

#[derive(clap::Args)]
pub(super) struct Add {
    /// The pool that gets it
    pool: String,
    /// Its name, unique in the pool
    #[arg(value_parser = name)]
    name: String,
    /// Its address, with a port if that is not 5060
    #[arg(value_name = "ADDRESS[:PORT]", value_parser = socket)]
    address: SocketAddr,
    /// Its group [default: one of its own, of its name]
    #[arg(long, value_parser = name)]
    group: Option<String>,
    /// The lowest healthy one in the group serves
    #[arg(long, default_value_t = 0)]
    priority: u8,
    /// Weight of a new group [default: 100]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    weight: Option<u32>,
    /// A host name, with or without a port, by which it names itself; can be repeated
    #[arg(long = "alias", value_name = "HOST[:PORT]", value_parser = alias)]
    aliases: Vec<String>,
    #[command(flatten)]
    timing: Timing,
}

/// Lists backends, or changes one.
pub(super) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let done = match verb {
        Verb::List => return list(context),
        Verb::Add(add) => {
            let path = with_query("/v1/backends", &[add.timing.query()]);
            context.ask(|client| async move { client.post(&path, &body(add)).await })?
        }
        Verb::Remove(named) => context.ask(|client| async move { client.delete(&named.path("")).await })?,
        Verb::Reset(named) => {
            context.ask(|client| async move { client.delete(&named.path("/changes")).await })?
        }
        Verb::Drain(named) => set_state(context, &named, State::Draining)?,
        Verb::Ready(named) => set_state(context, &named, State::Active)?,
        Verb::Maintenance(named) => set_state(context, &named, State::Maintenance)?,
        Verb::Weight(Weight { named, weight }) => context
            .ask(|client| async move { client.put(&named.path("/weight"), &SetWeight { weight }).await })?,
    };
    print_done(context, &done)
}

/// What was done: a sentence each; then what goes before the file.
pub(super) fn print_done(context: &Context, done: &Done) -> Result<(), Failure> {
    if context.json {
        return print_json(done);
    }
    let mut lines = done.done.clone();
    lines.extend(done.kept.iter().cloned());
    if !done.kept.is_empty() {
        lines.push("`siplb backend reset NAME` goes back to what the file says".to_owned());
    }
    print(&lines.join("\n"))
}

fn list(context: &Context) -> Result<(), Failure> {
    let backends: Vec<Backend> = context.ask(|client| async move { client.get("/v1/backends").await })?;
    if context.json { print_json_lines(&backends) } else { print(&table(&backends)) }
}

/// Backends, a line each.
pub(super) fn table(backends: &[Backend]) -> String {
    let mut columns = Columns::new(&[
        "POOL",
        "BACKEND",
        "ADDRESS",
        "GROUP",
        ">PRIORITY",
        "STATE",
        "HEALTH",
        ">SINCE",
        ">SHARE",
        ">REQUESTS",
        ">REPLIES",
        "LAST CHECK",
    ]);
    for backend in backends {
        columns.row(vec![
            backend.pool.clone(),
            backend.name.clone(),
            SocketAddr::new(backend.address, backend.port).to_string(),
            backend.group.clone(),
            backend.priority.to_string(),
            backend.state.to_string(),
            health(backend),
            duration(backend.since_s),
            percent(backend.share),
            backend.requests.packets.to_string(),
            backend.replies.packets.to_string(),
            or_dash(backend.last_check.as_ref()),
        ]);
    }
    columns.to_string()
}

/// What the checks say, and what follows from it.
fn health(backend: &Backend) -> String {
    let mut health = backend.health.clone();
    if backend.is_overloaded {
        health += ", overloaded";
    }
    if backend.is_held {
        health += ", held";
    }
    health
}

fn set_state(context: &Context, named: &Named, state: State) -> Result<Done, Failure> {
    let put = |client: Client| async move {
        let done: Result<Done, ClientError> = client.put(&named.path("/state"), &SetState { state }).await;
        done
    };
    context.ask(put)
}

pub(super) fn body(add: Add) -> AddBackend {
    let Add { pool, name, address: socket, group, priority, weight, aliases, timing: _ } = add;
    let (address, port) = (socket.ip(), socket.port());
    AddBackend { pool, backend: NewBackend { name, address, port, group, priority, weight, aliases } }
}

impl Named {
    /// The path of the backend, or of what is below it.
    fn path(&self, below: &str) -> String {
        let query = [("pool", self.pool.as_deref()), self.timing.query()];
        with_query(&format!("/v1/backends/{}{below}", escaped(&self.name)), &query)
    }
}

pub(super) fn name(text: &str) -> Result<String, config::Fault> {
    config::name(text)
}

pub(super) fn alias(text: &str) -> Result<String, config::Fault> {
    config::host_and_port(text)
}

/// `10.0.0.11`, `10.0.0.11:5061`, `2001:db8::11` or `[2001:db8::11]:5061`.
pub(super) fn socket(text: &str) -> Result<SocketAddr, config::Fault> {
    const SIP_PORT: u16 = 5060;
    let (address, port) = match text.parse::<SocketAddr>() {
        Ok(socket) if socket.port() != 0 => (socket.ip().to_string(), socket.port()),
        _ => (text.to_owned(), SIP_PORT),
    };
    let address: IpAddr = config::address(&address)?;
    Ok(SocketAddr::new(address, port))
}
