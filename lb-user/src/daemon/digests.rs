//! What nodes are compared by: a digest of each lookup table, and the facts that it and the ways of dialogs follow from.
//! Answers `siplb digest`; `siplb diff` holds two of them against each other.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::layout::ABI;

use crate::config::{Config, Pool, show_duration};
use crate::control::api::{self, Facts};
use crate::pool::{Course, Courses, Desired, Plan, PoolPlan, State, digest::digest, path};

/// The digests of all tables, with the facts behind them; `hash_key` is the fingerprint of the key, `source` what a pool's
/// members came from.
pub(crate) fn digests(
    desired: &Desired,
    plan: &Plan,
    down: &BTreeSet<String>,
    hash_key: u32,
    source: impl Fn(&Pool) -> Option<api::Source>,
    courses: &Courses,
) -> Vec<api::Digest> {
    let of = |pool: &PoolPlan| {
        let config = desired.config.pool(&pool.name)?;
        let facts = [
            ("version", version()),
            ("config", settings(&desired.config, config)),
            ("state", states(desired, config)),
            ("health", health(config, down)),
            ("served-by", servers(pool)),
            ("failback", courses.of(&pool.name).map(kept_away).unwrap_or_default()),
            ("handover", courses.of(&pool.name).map(handover).unwrap_or_default()),
            ("source", source(config).map(of_source).unwrap_or_default()),
        ];
        Some(api::Digest {
            pool: pool.name.clone(),
            digest: format!("{:016x}", digest(pool)),
            fingerprint: fingerprint(hash_key),
            facts: facts.map(|(about, facts)| (about.to_owned(), facts)).into_iter().collect(),
        })
    };
    plan.pools.iter().filter_map(of).collect()
}

/// A fingerprint for people.
pub(super) fn fingerprint(number: u32) -> String {
    format!("{number:08x}")
}

fn fact(of: impl Into<String>, is: impl ToString) -> (String, String) {
    (of.into(), is.to_string())
}

fn version() -> Facts {
    [fact("siplb", env!("CARGO_PKG_VERSION")), fact("layout", ABI)].into()
}

/// What of the configuration decides where packets of the pool go: its own settings, its VIP's, and its members.
fn settings(config: &Config, pool: &Pool) -> Facts {
    let mut facts: Facts = [
        fact("key", pool.key),
        fact("number-tail", pool.number_tail),
        fact("forward", pool.forward),
        fact("on-group-down", pool.on_group_down),
        fact("failback", pool.failback),
        fact("hold-down", show_duration(pool.hold_down)),
    ]
    .into();
    if let Some(vip) = config.vip_of(pool) {
        facts.extend([
            fact("vip", format!("{}/{}", vip.socket(), vip.transport)),
            fact("domains", vip.domains.join(" ")),
            fact("names", vip.names.join(" ")),
        ]);
    }
    facts.extend(pool.backends.iter().map(|backend| {
        let mut is = format!(
            "{} group {} priority {} weight {}",
            backend.socket(),
            backend.group,
            backend.priority,
            backend.weight
        );
        if !backend.aliases.is_empty() {
            is += &format!(" aliases {}", backend.aliases.join(" "));
        }
        if let Some(own) = backend.own_port {
            is += &format!(" vip-port {} to {}", own.vip_port, own.port);
        }
        fact(format!("backend {}", backend.name), is)
    }));
    facts
}

/// Of those that are not active.
fn states(desired: &Desired, pool: &Pool) -> Facts {
    let state = |name: &str| desired.state(&pool.name, name);
    let others = pool.backends.iter().filter(|backend| state(&backend.name) != State::Active);
    others.map(|backend| fact(&backend.name, state(&backend.name))).collect()
}

/// Of those that are down.
fn health(pool: &Pool, down: &BTreeSet<String>) -> Facts {
    let is_down = |name: &str| down.contains(&path(&pool.name, name));
    let down = pool.backends.iter().filter(|backend| is_down(&backend.name));
    down.map(|backend| fact(&backend.name, "down")).collect()
}

fn servers(pool: &PoolPlan) -> Facts {
    let active =
        |active: &Option<(String, u32)>| active.as_ref().map_or("nobody", |(name, _)| name).to_owned();
    pool.groups.iter().map(|group| fact(&group.name, active(&group.active))).collect()
}

/// Backends that failed and have not gone home.
fn kept_away(course: &Course) -> Facts {
    course.away().map(|(name, _)| fact(name, "away")).collect()
}

/// The handover that is under way.
fn handover(course: &Course) -> Facts {
    let handover = course.handover.as_ref();
    handover
        .map(|handover| fact("phase", format!("{:?}", handover.phase).to_lowercase()))
        .into_iter()
        .collect()
}

fn of_source(source: api::Source) -> Facts {
    let api::Source { from, revision, digest, error, .. } = source;
    let mut facts: Facts = BTreeMap::from([fact("from", from)]);
    facts.extend(digest.map(|digest| fact("members", digest)));
    facts.extend(revision.map(|revision| fact("revision", revision)));
    facts.extend(error.map(|error| fact("error", error)));
    facts
}
