//! The sections of the file, each read into its part of the configuration: which keys there are, their defaults and
//! their bounds.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use lb_common::limits::DOMAINS_LIMIT;

use super::cursor::Table;
use super::hash_key::HashKey;
use super::member::{Member, SIP_PORT};
use super::model::{Config, KeepAlives, Limits, Node, OwnPort, Pool, Vip};
use super::problem::{Fault, Problems};
use super::value::{choice, port, text, time, transport, whole};
use super::{checks, host, member, metrics, prefix, source, syntax};
use crate::health::Settings;
use crate::pool::Windows;

/// A server that has just crashed often does so again; and what was a network's hiccup is over by then.
const HOLD_DOWN: Duration = Duration::from_secs(30);
/// The address of what has no legible one. Never legal itself.
const BLANK_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The whole file.
pub(super) fn config(root: &mut Table<'_>) -> Config {
    let (node, peers) = root.table("node", |table| (node(table), table.list("peers", text(syntax::address))));
    let health = root.table("health", |table| checks::settings(table, &Settings::default()));
    let vips = root.tables("vip", vip);
    let pools = root.tables("pool", |table| pool(table, &health));
    let handover = root.table("handover", handover);
    let limits = root.table("limits", limits);
    let metrics = root.table("metrics", metrics::metrics);
    Config { node, health, vips, pools, handover, limits, metrics, peers, warnings: Problems::default() }
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
        on_change: table.take("on-change", None, |value| text(syntax::path)(value).map(Some)),
        tunnel_source: prefix::tunnel_source(table),
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
        keep_alives: table.table("keep-alives", keep_alives),
    };
    if vip.domains.len() > DOMAINS_LIMIT {
        let what = format!("has {} domains, more than the kernel's {DOMAINS_LIMIT}", vip.domains.len());
        let mend = "keep the busiest; requests for the others are balanced as well, only more slowly";
        table.refuse("domains", Fault::new(what, mend));
    }
    vip
}

fn keep_alives(table: &mut Table<'_>) -> KeepAlives {
    let default = KeepAlives::default();
    KeepAlives {
        crlf: table.take("crlf", default.crlf, choice),
        double_crlf: table.take("double-crlf", default.double_crlf, choice),
        nul: table.take("nul", default.nul, choice),
        stun: table.take("stun", default.stun, choice),
        junk: table.take("junk", default.junk, choice),
    }
}

fn handover(table: &mut Table<'_>) -> Windows {
    const WINDOW_MAX: Duration = Duration::from_secs(3600);
    let (default, bounds) = (Windows::default(), Duration::ZERO..=WINDOW_MAX);
    Windows {
        record: table.take("record", default.record, time(bounds.clone())),
        finish: table.take("finish", default.finish, time(bounds)),
    }
}

fn pool(table: &mut Table<'_>, defaults: &Settings) -> Pool {
    const HOLD_DOWN_MAX: Duration = Duration::from_secs(24 * 3600);
    let health = table.table("health", |table| checks::settings(table, defaults));
    let backends = table.tables("backend", |table| backend(table, &health));
    let has_source = table.has("source");
    let source = table.table("source", |table| has_source.then(|| source::source(table)));
    if has_source && table.has("backend") {
        let mend =
            "list the backends here, or let the source give them all; `siplb backend add` adds to both";
        table.refuse("backend", Fault::new("stands beside a source, which gives the whole pool", mend));
    }
    Pool {
        name: table.need("name", "name = \"registrars\"", String::new(), text(syntax::name)),
        forward: table.take("forward", Default::default(), choice),
        key: table.take("key", Default::default(), choice),
        number_tail: table.take("number-tail", 0, whole("a number of digits", 0..=32_u8)),
        on_group_down: table.take("on-group-down", Default::default(), choice),
        failback: table.take("failback", Default::default(), choice),
        hold_down: table.take("hold-down", HOLD_DOWN, time(Duration::ZERO..=HOLD_DOWN_MAX)),
        health,
        source,
        backends: member::settle(backends),
    }
}

/// A backend as it is written, and how it is checked.
fn backend(table: &mut Table<'_>, defaults: &Settings) -> (Member, Settings) {
    let member = member(table);
    (member, table.table("health", |table| checks::settings(table, defaults)))
}

/// What a list of members says of one.
pub(super) fn member(table: &mut Table<'_>) -> Member {
    let name = table.need("name", "name = \"a1\"", String::new(), text(syntax::name));
    let address = table.need("address", "address = \"10.0.0.11\"", BLANK_ADDRESS, text(syntax::address));
    let own_port = own_port(table);
    Member {
        port: table.take("port", SIP_PORT, port),
        group: table.take("group", None, |value| text(syntax::name)(value).map(Some)),
        priority: table.take("priority", 0, whole("a priority", 0..=u8::MAX)),
        weight: table.take("weight", None, |value| whole("a weight", 1..=10_000_u32)(value).map(Some)),
        aliases: table.list("aliases", text(host::host_and_port)),
        vip_port: own_port.map(|own| own.vip_port),
        vip_port_to: own_port.map(|own| own.port),
        ..Member::new(name, address)
    }
}

/// Both ports or neither: one alone leads to nothing, or to a socket whose replies nobody could tell from others.
fn own_port(table: &mut Table<'_>) -> Option<OwnPort> {
    let own = OwnPort { vip_port: table.take("vip-port", 0, port), port: table.take("vip-port-to", 0, port) };
    match (table.has("vip-port"), table.has("vip-port-to")) {
        (true, true) => Some(own),
        (true, false) => {
            let mend = "add vip-port-to = 5061, say: a port on which the server listens for this alone, other than \
                        its port, by which its replies are known";
            table.refuse("vip-port", Fault::new("is without vip-port-to", mend));
            None
        }
        (false, true) => {
            let mend =
                "add vip-port = 15061, say: the port of the VIP that leads there; or leave the line out";
            table.refuse("vip-port-to", Fault::new("is without vip-port", mend));
            None
        }
        (false, false) => None,
    }
}

/// Bounds are what ids of 16 bits can tell apart, 0 being none, and what memory can reasonably be asked for.
/// What has no id has a least size as well, below which it would be of no use.
fn limits(table: &mut Table<'_>) -> Limits {
    let ids = whole("a number of map entries", 1..=65_535_u32);
    Limits {
        pools: table.take("pools", 16, whole("a number of pools", 1..=1024_u32)),
        backends: table.take("backends", 4096, &ids),
        groups: table.take("groups", 4096, &ids),
        vips: table.take("vips", 256, whole("a number of VIPs", 1..=4096_u32)),
        fragments: table.take("fragments", 16_384, whole("a number of fragments", 256..=1_048_576_u32)),
        transactions: table.take(
            "transactions",
            131_072,
            whole("a number of transactions", 1_024..=4_194_304_u32),
        ),
        names: table.take("names", 32_768, whole("a number of names", 64..=1_048_576_u32)),
    }
}
