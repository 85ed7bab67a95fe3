//! `siplb plan`

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::backend::{self, body};
use super::context::Context;
use super::failure::Failure;
use super::output::{Columns, count, percent, print, print_json};
use crate::config::{self, Config, LoadError};
use crate::control::Error;
use crate::control::api::{LoadPreview, MovePreview, PoolPreview, Preview};
use crate::control::proposal::{Proposal, Proposed, Which};
use crate::daemon::only_by_restart;
use crate::net::Network;
use crate::pool::preview::preview;
use crate::pool::{Changes, Desired, Facts, Ids, Plan, Planner, State};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Ask no daemon: take what this file says for live, with every backend up and nothing done at run time
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(subcommand)]
    change: Option<Change>,
}

/// What `siplb backend` could do.
#[derive(Subcommand)]
enum Change {
    /// What if this backend were added?
    Add(backend::Add),
    /// What if this backend were removed?
    Remove(backend::Named),
    /// What if this backend were drained?
    Drain(backend::Named),
    /// What if this backend were active again?
    Ready(backend::Named),
    /// What if this backend were taken out?
    Maintenance(backend::Named),
    /// What if this backend's group had another weight?
    Weight(backend::Weight),
    /// What if this backend were as the file says again?
    Reset(backend::Named),
}

/// Says what a change would do: asks the daemon, or compares files.
pub(super) fn run(context: &Context, Args { from, change }: Args) -> Result<(), Failure> {
    let change = change.map(proposal);
    let preview: Preview = match from {
        Some(from) => of_files(context, &from, change)?,
        None => {
            let proposal = match change {
                Some(change) => change,
                None => of_named_file(context)?,
            };
            context.ask(|client| async move { client.post("/v1/plan", &proposal).await })?
        }
    };
    if context.json { print_json(&preview) } else { print(&shown(&preview)) }
}

fn proposal(change: Change) -> Proposal {
    let which = |named: backend::Named| Which { name: named.name, pool: named.pool };
    let state = |named, state| Proposal::State { which: which(named), state };
    match change {
        Change::Add(add) => Proposal::Add(body(add)),
        Change::Remove(named) => Proposal::Remove(which(named)),
        Change::Drain(named) => state(named, State::Draining),
        Change::Ready(named) => state(named, State::Active),
        Change::Maintenance(named) => state(named, State::Maintenance),
        Change::Weight(backend::Weight { named, weight }) => Proposal::Weight { which: which(named), weight },
        Change::Reset(named) => Proposal::Reset(which(named)),
    }
}

/// A reload, of the file that was named or of the daemon's own. A daemon may run as somebody who may read more than whoever
/// asks: so the text travels, and not the name.
fn of_named_file(context: &Context) -> Result<Proposal, Failure> {
    let Some(file) = context.named_file() else { return Ok(Proposal::Reload) };
    let text = std::fs::read_to_string(file)
        .map_err(|source| LoadError::Unreadable { path: file.to_owned(), source })?;
    Ok(Proposal::File { name: file.display().to_string(), text })
}

/// From one file to another, or to itself with a change.
fn of_files(context: &Context, from: &Path, change: Option<Proposal>) -> Result<Preview, Failure> {
    let old = config::load(from)?;
    let before = plan(&old, &Desired::of_file(old.clone()))?;
    let Some(change) = change else {
        let new = context.load()?;
        let (was, desired) = (Desired::of_file(old.clone()), Desired::of_file(new.clone()));
        let changes = desired.differences(&was);
        let mut found = preview(&before, (&desired, &plan(&new, &desired)?), changes);
        let fixed = only_by_restart((&old.node, &old.limits), (&new.node, &new.limits));
        found.notes.extend(fixed.iter().map(|key| format!("{key} takes a restart of the daemon")));
        return Ok(found);
    };
    let Proposed::Change(change) = Proposed::try_from(change)? else {
        return Err(Failure::failed("a file was compared with itself"));
    };
    let (mut changes, done) = Changes::default().with(&old, &change).map_err(Error::from)?;
    let done = if changes == Changes::default() { Vec::new() } else { vec![done] };
    let (desired, notes) = Desired::new(&old, &mut changes);
    let mut found = preview(&before, (&desired, &plan(&old, &desired)?), done);
    found.notes.extend(notes);
    Ok(found)
}

fn plan(config: &Config, desired: &Desired) -> Result<Plan, Failure> {
    let key = config.node.hash_key.load().map_err(anyhow::Error::from)?;
    Ok(Planner::new(key.seed, Ids::default()).plan(desired, Facts::NONE, &Network::default()))
}

/// For people.
fn shown(preview: &Preview) -> String {
    let mut parts = Vec::new();
    let list = |head: &str, sentences: &[String]| -> String {
        let lines = sentences.iter().map(|sentence| format!("\n  {sentence}"));
        format!("{head}{}", lines.collect::<String>())
    };
    parts.push(match preview.changes.as_slice() {
        [] => "Nothing would change.".to_owned(),
        changes => list("This would change:", changes),
    });
    if !preview.warnings.is_empty() {
        parts.push(list("Beware:", &preview.warnings));
    }
    if !preview.notes.is_empty() {
        parts.push(list("Note:", &preview.notes));
    }
    let moved: Vec<&PoolPreview> = preview.pools.iter().filter(|pool| pool.moved_slots > 0).collect();
    if moved.is_empty() && !preview.changes.is_empty() {
        parts.push("No user would move.".to_owned());
    }
    for pool in moved {
        parts.extend([head(pool), moves(&pool.moves), loads(&pool.loads)]);
    }
    parts.join("\n\n")
}

fn head(pool: &PoolPreview) -> String {
    let PoolPreview { moved_slots, least_slots, slots, to_other_groups_slots, .. } = pool;
    let least = if moved_slots == least_slots {
        "the least that these loads take".to_owned()
    } else {
        format!("at least {} would have to for these loads", percent(pool.least))
    };
    let within = match to_other_groups_slots {
        0 => "all of them within their group".to_owned(),
        other if other == moved_slots => "all of them to another group".to_owned(),
        _ => format!("{} to another group", percent(pool.to_other_groups)),
    };
    format!(
        "Pool {}: {} of its users would move ({} of {} slots; {least}), {within}.",
        pool.pool,
        percent(pool.moved),
        count(*moved_slots),
        count(*slots),
    )
}

fn moves(moves: &[MovePreview]) -> String {
    let mut columns = Columns::new(&["FROM", "TO", ">SLOTS", ">USERS"]);
    for moved in moves {
        columns.row(vec![
            place(&moved.from_group, &moved.from_backend),
            place(&moved.to_group, &moved.to_backend),
            moved.slots.to_string(),
            percent(moved.share),
        ]);
    }
    columns.to_string()
}

fn loads(loads: &[LoadPreview]) -> String {
    let mut columns = Columns::new(&["GROUP", "BACKEND", ">BEFORE", ">AFTER"]);
    for load in loads {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
        let backend = load.backend.clone().unwrap_or_else(|| "nobody".to_owned());
        columns.row(vec![name(&load.group), backend, percent(load.before), percent(load.after)]);
    }
    columns.to_string()
}

/// Group and backend, as one word.
fn place(group: &Option<String>, backend: &Option<String>) -> String {
    match (group, backend) {
        (Some(group), Some(backend)) => format!("{group}/{backend}"),
        _ => "nobody".to_owned(),
    }
}
