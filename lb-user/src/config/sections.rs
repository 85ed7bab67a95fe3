//! The sections of the file, each read into its part of the configuration: which keys there are, their defaults and
//! their bounds.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use lb_common::limits::DOMAINS_LIMIT;

use super::cursor::Table;
use super::hash_key::HashKey;
use super::model::{Backend, Config, Limits, Node, Pool, Vip};
use super::problem::{Fault, Problems};
use super::value::{choice, port, text, time, transport, whole};
use super::{checks, host, not_yet, syntax};
use crate::health::Settings;

const SIP_PORT: u16 = 5060;
const WEIGHT: u32 = 100;
/// The address of what has no legible one. Never legal itself.
const BLANK_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The whole file.
pub(super) fn config(root: &mut Table<'_>) -> Config {
    let (node, peers) = root.table("node", |table| (node(table), table.list("peers", text(syntax::address))));
    let health = root.table("health", |table| checks::settings(table, &Settings::default()));
    let vips = root.tables("vip", vip);
    let pools = root.tables("pool", |table| pool(table, &health));
    let limits = root.table("limits", limits);
    Config { node, health, vips, pools, limits, peers, warnings: Problems::default() }
}

fn node(table: &mut Table<'_>) -> Node {
    let interfaces = table.list("interfaces", text(syntax::interface));
    if !table.has("interfaces") {
        table.refuse_absence(
            "interfaces",
            "interfaces = [\"eth0\"], with every interface that sees clients or backends",
        );
    } else if interfaces.is_empty() {
        table.refuse(
            "interfaces",
            Fault::new("names no interface", "list those that see clients or backends"),
        );
    }
    let blank_key = HashKey::File(PathBuf::new());
    let key_example = "hash-key = \"file:/etc/siplb/hash.key\", the secret that all nodes share";
    Node {
        interfaces,
        xdp_mode: table.take("xdp-mode", Default::default(), choice),
        hash_key: table.need("hash-key", key_example, blank_key, text(HashKey::parse)),
        socket: table.take("socket", "/run/siplb/siplb.sock".into(), text(syntax::socket_path)),
        state_dir: table.take("state-dir", "/var/lib/siplb".into(), text(syntax::path)),
        pin_dir: table.take("pin-dir", "/sys/fs/bpf/siplb".into(), text(syntax::path)),
    }
}

fn vip(table: &mut Table<'_>) -> Vip {
    let vip = Vip {
        address: table.need("address", "address = \"192.0.2.10\"", BLANK_ADDRESS, text(syntax::address)),
        port: table.take("port", SIP_PORT, port),
        transport: table.take("transport", Default::default(), transport),
        pool: table.need(
            "pool",
            "pool = \"...\", the name of the pool behind it",
            String::new(),
            text(syntax::name),
        ),
        domains: table.list("domains", text(host::host)),
        names: table.list("names", text(host::host_and_port)),
    };
    if vip.domains.len() > DOMAINS_LIMIT {
        let what = format!("has {} domains, more than the kernel's {DOMAINS_LIMIT}", vip.domains.len());
        let mend = "keep the busiest; requests for the others are balanced as well, only more slowly";
        table.refuse("domains", Fault::new(what, mend));
    }
    not_yet::vip(table, &vip);
    vip
}

fn pool(table: &mut Table<'_>, defaults: &Settings) -> Pool {
    const HOLD_DOWN_MAX: Duration = Duration::from_secs(24 * 3600);
    let health = table.table("health", |table| checks::settings(table, defaults));
    let backends = table.tables("backend", |table| backend(table, &health));
    let pool = Pool {
        name: table.need("name", "name = \"registrars\"", String::new(), text(syntax::name)),
        forward: table.take("forward", Default::default(), choice),
        key: table.take("key", Default::default(), choice),
        number_tail: table.take("number-tail", 0, whole("a number of digits", 0..=32_u8)),
        on_group_down: table.take("on-group-down", Default::default(), choice),
        failback: table.take("failback", Default::default(), choice),
        hold_down: table.take("hold-down", Duration::ZERO, time(Duration::ZERO..=HOLD_DOWN_MAX)),
        health,
        backends: settle_weights(backends),
    };
    not_yet::forward(table, pool.forward);
    not_yet::failback(table, &pool);
    pool
}

/// A backend, and the weight that it states.
fn backend(table: &mut Table<'_>, defaults: &Settings) -> (Backend, Option<u32>) {
    let name = table.need("name", "name = \"a1\"", String::new(), text(syntax::name));
    let backend = Backend {
        address: table.need("address", "address = \"10.0.0.11\"", BLANK_ADDRESS, text(syntax::address)),
        port: table.take("port", SIP_PORT, port),
        group: table.take("group", name.clone(), text(syntax::name)),
        priority: table.take("priority", 0, whole("a priority", 0..=u8::MAX)),
        weight: WEIGHT,
        aliases: table.list("aliases", text(host::host_and_port)),
        health: table.table("health", |table| checks::settings(table, defaults)),
        name,
    };
    let weight = table.take("weight", None, |value| whole("a weight", 1..=10_000_u32)(value).map(Some));
    not_yet::ports_of_their_own(table);
    not_yet::names_of_backend(table, &backend);
    (backend, weight)
}

/// Gives each backend the weight of its group: its own if it states one, else the first that another member states.
/// Members that state different ones keep them, for the contradiction to be found.
fn settle_weights(backends: Vec<(Backend, Option<u32>)>) -> Vec<Backend> {
    let mut of_group = std::collections::HashMap::new();
    for (backend, stated) in &backends {
        if let Some(weight) = stated {
            of_group.entry(backend.group.clone()).or_insert(*weight);
        }
    }
    let settle = |(backend, stated): (Backend, Option<u32>)| {
        let weight = stated.or(of_group.get(&backend.group).copied()).unwrap_or(WEIGHT);
        Backend { weight, ..backend }
    };
    backends.into_iter().map(settle).collect()
}

/// Bounds are what ids of 16 bits can tell apart, 0 being none, and what memory can reasonably be asked for.
fn limits(table: &mut Table<'_>) -> Limits {
    let ids = whole("a number of map entries", 1..=65_535_u32);
    Limits {
        pools: table.take("pools", 16, whole("a number of pools", 1..=1024_u32)),
        backends: table.take("backends", 4096, &ids),
        groups: table.take("groups", 4096, &ids),
        vips: table.take("vips", 256, whole("a number of VIPs", 1..=4096_u32)),
    }
}
