//! `siplb lookup`

use super::context::Context;
use super::failure::Failure;
use super::output::{or_dash, print, print_json};
use crate::control::Error;
use crate::control::api::Owner;
use crate::control::client::with_query;
use crate::pool::lookup::{Which, lookup};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The user, such as sip:alice@example.com or tel:+12015550123
    uri: String,
    /// The pool, where there are several
    #[arg(long)]
    pool: Option<String>,
    /// The VIP, where there are several
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    vip: Option<String>,
}

/// Says who owns a user: by the daemon's live tables, or by those of the file that `-c` names.
pub(super) fn run(context: &Context, Args { uri, pool, vip }: &Args) -> Result<(), Failure> {
    let (pool, vip) = (pool.as_deref(), vip.as_deref());
    let owner: Owner = match context.of_file()? {
        Some(file) => {
            lookup(uri, Which { pool, vip }, &file.desired, &file.plan, file.seed).map_err(Error::from)?
        }
        None => {
            let path = with_query("/v1/lookup", &[("uri", Some(uri)), ("pool", pool), ("vip", vip)]);
            context.ask(|client| async move { client.get(&path).await })?
        }
    };
    if context.json {
        return print_json(&owner);
    }
    print(&format!(
        "{} is at {} (group {}, slot {}, pool {})",
        owner.key,
        or_dash(owner.backend.as_ref()),
        or_dash(owner.group.as_ref()),
        owner.slot,
        owner.pool
    ))
}
