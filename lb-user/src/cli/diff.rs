//! `siplb diff`

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::failure::{Code, Failure};
use super::output::{Columns, print, print_json_lines};
use super::pcap;
use crate::control::api::Digest;
use crate::control::client::Client;
use crate::control::difference::{Difference, differences};
use crate::daemon::block_on;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A node: the control socket of its daemon, a file with what `siplb --json digest` printed there, or `-` for stdin
    #[arg(value_name = "A")]
    first: PathBuf,
    /// Another node [default: this one's daemon]
    #[arg(value_name = "B")]
    second: Option<PathBuf>,
}

/// Says what differs between two nodes. Exits with 1 if anything does.
pub(super) fn run(context: &Context, Args { first, second }: &Args) -> Result<(), Failure> {
    if first == Path::new("-") && second.as_deref() == Some(Path::new("-")) {
        return Err(Failure::new(Code::BadUsage, "stdin is one node only; name a file for the other"));
    }
    let own = || context.ask(|client| async move { client.get("/v1/digest").await });
    let first = digests(first)?;
    let second = second.as_deref().map_or_else(own, digests)?;
    let found = differences(&first, &second);
    if context.json {
        print_json_lines(&found)?;
    } else if found.is_empty() {
        print("the same: every user and every dialog goes to the same backend")?;
    } else {
        print(&table(&found))?;
    }
    if found.is_empty() { Ok(()) } else { Err(Failure::new(Code::Failed, "")) }
}

/// What a node says of itself.
fn digests(node: &Path) -> Result<Vec<Digest>, Failure> {
    if fs::metadata(node).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        let client = Client::new(node);
        return Ok(block_on(async { Ok(client.get("/v1/digest").await) })??);
    }
    let bytes = pcap::read(node)?;
    let digests = serde_json::Deserializer::from_slice(&bytes).into_iter().collect::<Result<Vec<_>, _>>();
    digests.map_err(|error| {
        let what = format!("{} is not what `siplb --json digest` prints ({error})", node.display());
        Failure::new(Code::BadUsage, what)
    })
}

fn table(found: &[Difference]) -> String {
    let mut columns = Columns::new(&["POOL", "ABOUT", "OF", "A", "B"]);
    for Difference { pool, about, of, first, second } in found {
        columns.row([pool, about, of, first, second].map(Clone::clone).into());
    }
    columns.to_string()
}
