//! `siplb register`

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use env_logger::{Env, TimestampPrecision};
use tokio::signal::unix::{SignalKind, signal};

use super::backend::{alias, name, socket};
use super::failure::Failure;
use crate::config::{self, Endpoint, Etcd, Member};
use crate::daemon::block_on;
use crate::source::etcd::register::register;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A member of the etcd cluster; can be repeated
    #[arg(long = "etcd", required = true, value_name = "URL", value_parser = endpoint)]
    endpoints: Vec<Endpoint>,
    /// What the keys of the pool begin with, as in its `source`
    #[arg(long, value_parser = prefix)]
    prefix: String,
    /// Name of the backend, unique in the pool
    #[arg(value_parser = name)]
    name: String,
    /// Its address as the nodes reach it, with a port if that is not 5060
    #[arg(value_name = "ADDRESS[:PORT]", value_parser = socket)]
    address: SocketAddr,
    /// Its group [default: one of its own, of its name]
    #[arg(long, value_parser = name)]
    group: Option<String>,
    /// The lowest healthy one in the group serves
    #[arg(long, default_value_t = 0)]
    priority: u8,
    /// Weight of the group [default: what another member states, or 100]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    weight: Option<u32>,
    /// A host name, with or without a port, by which it names itself; can be repeated
    #[arg(long = "alias", value_name = "HOST[:PORT]", value_parser = alias)]
    aliases: Vec<String>,
    /// After so many seconds without a sign of life it is taken out
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(3..=3600))]
    ttl: u64,
}

/// Keeps a backend's key in etcd until SIGTERM or SIGINT. Its log goes to stderr.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    env_logger::Builder::from_env(Env::default().default_filter_or("info"))
        .format_timestamp(Some(TimestampPrecision::Millis))
        .format_target(false)
        .init();
    let etcd = Etcd { endpoints: args.endpoints.clone(), prefix: args.prefix.clone() };
    let member = Member {
        port: args.address.port(),
        group: args.group.clone(),
        priority: args.priority,
        weight: args.weight,
        aliases: args.aliases.clone(),
        ..Member::new(args.name.clone(), args.address.ip())
    };
    let ttl = Duration::from_secs(args.ttl);
    Ok(block_on(async {
        let listen = |kind| signal(kind).context("signals can't be listened to");
        let (mut terminate, mut interrupt) =
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let end = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        register(&etcd, &member, ttl, end).await;
        Ok(())
    })?)
}

fn endpoint(text: &str) -> Result<Endpoint, config::Fault> {
    config::endpoint(text)
}

fn prefix(text: &str) -> Result<String, config::Fault> {
    config::prefix(text)
}
