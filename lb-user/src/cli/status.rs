//! `siplb status`

use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use lb_common::reason::Reason;

use super::alone;
use super::backend;
use super::context::Context;
use super::failure::Failure;
use super::output::{Columns, duration, or_dash, percent, print, print_json};
use crate::control::api::{Phase, Pool, Reasons, RuntimeChange, Status, Transactions, Vip, Watchdog};

/// A status takes milliseconds; a daemon that needs longer than this hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Shows everything that the daemon knows.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let asked = context.ask(|client| async move { client.patient_for(PATIENCE).get("/v1/status").await });
    let status: Status = match asked {
        Err(failure) if failure.is_no_daemon() => return Err(alone::told(context, failure)),
        asked => asked?,
    };
    if context.json {
        return print_json(&status);
    }
    let backends = status.pools.iter().flat_map(|pool| &pool.backends).cloned().collect::<Vec<_>>();
    let parts = [
        head(&status) + &watchdog(&status.watchdog) + &handovers(&status.pools),
        vips(&status.vips),
        sources(&status.pools),
        groups(&status.pools),
        backend::table(&backends),
        runtime(&status.runtime),
        reasons(&status.reasons),
    ];
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    print(&parts.join("\n\n"))
}

fn head(status: &Status) -> String {
    let interfaces =
        status.interfaces.iter().map(|interface| format!("{} ({})", interface.name, interface.mode));
    let panic = status
        .pools
        .iter()
        .filter(|pool| pool.panic)
        .map(|pool| format!("\nNo backend of pool {} is up: sending to all anyway.", pool.name));
    format!(
        "siplb {}, up {}, generation {}, hash key {}, on {}{}",
        status.version,
        duration(status.uptime_s),
        status.generation,
        status.fingerprint,
        interfaces.collect::<Vec<_>>().join(", "),
        panic.collect::<String>()
    )
}

/// What is to be said of the daemon's heartbeat.
fn watchdog(watchdog: &Watchdog) -> String {
    let heartbeat = match watchdog.heartbeat_age_s {
        Some(age) => format!("\nLast heartbeat {age:.1}s ago"),
        None => "\nNo heartbeat yet".to_owned(),
    };
    let alone = match watchdog.alone_s {
        0.0 => String::new(),
        alone => format!(
            "; without a daemon for {} in all, {} packets forwarded meanwhile",
            duration(alone as u64),
            watchdog.alone_packets
        ),
    };
    let pins = watchdog
        .pins_lost
        .as_ref()
        .map(|why| format!("\nThe pins are gone: packets are forwarded only while the daemon lives. {why}"));
    heartbeat + &alone + &pins.unwrap_or_default()
}

/// What is under way, a sentence each.
fn handovers(pools: &[Pool]) -> String {
    let sentence = |pool: &Pool| {
        let handover = pool.handover.as_ref()?;
        let (slots, left) = (percent(handover.share), duration(handover.left_s));
        let mut sentence = match handover.phase {
            Phase::Recording => format!(
                "\nPool {}: {slots} of the users move in {left}; their transactions are recorded.",
                pool.name
            ),
            Phase::Finishing => format!(
                "\nPool {}: {slots} of the users have moved; transactions under way have {left} to finish.",
                pool.name
            ),
        };
        if !handover.leaving.is_empty() {
            sentence += &format!(" Leaving: {}.", handover.leaving.join(", "));
        }
        if handover.awaited {
            sentence += " What was asked for since begins then.";
        }
        Some(sentence)
    };
    pools.iter().filter_map(sentence).collect()
}

fn vips(vips: &[Vip]) -> String {
    let mut columns = Columns::new(&["VIP", "POOL", ">PACKETS", ">BYTES"]);
    for vip in vips {
        let socket = std::net::SocketAddr::new(vip.address, vip.port);
        let name = format!("{socket}/{}", vip.transport);
        columns.row(vec![
            name,
            vip.pool.clone(),
            vip.traffic.packets.to_string(),
            vip.traffic.bytes.to_string(),
        ]);
    }
    columns.to_string() + &vips.iter().map(transactions).collect::<String>()
}

/// What handovers did at a VIP, if there were any.
fn transactions(vip: &Vip) -> String {
    let Transactions { recorded, followed, older, unreadable, full } = vip.transactions;
    if vip.transactions == Transactions::default() {
        return String::new();
    }
    format!(
        "\nRequests of users who were handed over: {recorded} recorded, {followed} followed, {older} older, {unreadable} \
         unreadable, {full} without room."
    )
}

/// Nothing where the file lists all members.
fn sources(pools: &[Pool]) -> String {
    let mut columns = Columns::new(&["POOL", "SOURCE", ">MEMBERS", ">REVISION", ">AGE", "ERROR"]);
    let mut is_empty = true;
    for (pool, source) in pools.iter().filter_map(|pool| Some((pool, pool.source.as_ref()?))) {
        is_empty = false;
        columns.row(vec![
            pool.name.clone(),
            source.from.clone(),
            source.members.to_string(),
            or_dash(source.revision),
            or_dash(source.age_s.map(duration)),
            or_dash(source.error.as_ref()),
        ]);
    }
    if is_empty { String::new() } else { columns.to_string() }
}

fn groups(pools: &[Pool]) -> String {
    let mut columns = Columns::new(&["POOL", "GROUP", ">WEIGHT", ">SLOTS", ">SHARE", "STATE", "SERVED BY"]);
    for (pool, group) in pools.iter().flat_map(|pool| pool.groups.iter().map(move |group| (pool, group))) {
        columns.row(vec![
            pool.name.clone(),
            group.name.clone(),
            group.weight.to_string(),
            group.slots.to_string(),
            percent(group.share),
            if group.up { "up" } else { "down" }.to_owned(),
            or_dash(group.active.as_ref()),
        ]);
    }
    columns.to_string()
}

/// What was done at run time and goes before the file; nothing where nothing was.
fn runtime(changes: &[RuntimeChange]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut columns = Columns::new(&["AT RUN TIME", "POOL", "OF", "VALUE", "FILE SAYS", ">FOR"]);
    for change in changes {
        columns.row(vec![
            change.kind.clone(),
            change.pool.clone(),
            change.name.clone(),
            change.value.clone(),
            or_dash(change.file.as_ref()),
            duration(now.saturating_sub(change.since)),
        ]);
    }
    columns.to_string()
}

/// In the order of their numbers: pass, forward, drop.
fn reasons(reasons: &Reasons) -> String {
    let mut columns = Columns::new(&["VERDICT", "REASON", ">PACKETS", ">BYTES"]);
    let known = Reason::ALL.iter().filter_map(|reason| {
        let traffic = reasons.get(reason.name())?;
        Some((reason.verdict().name(), reason.name(), traffic))
    });
    let is_known = |name: &str| Reason::ALL.iter().any(|reason| reason.name() == name);
    let others = reasons
        .iter()
        .filter(|(name, _)| !is_known(name))
        .map(|(name, traffic)| ("-", name.as_str(), traffic));
    for (verdict, reason, traffic) in known.chain(others) {
        columns.row(vec![
            verdict.into(),
            reason.into(),
            traffic.packets.to_string(),
            traffic.bytes.to_string(),
        ]);
    }
    columns.to_string()
}
