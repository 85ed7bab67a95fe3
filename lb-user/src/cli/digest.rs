//! `siplb digest`

use super::context::Context;
use super::failure::Failure;
use super::output::{Columns, print, print_json_lines};
use crate::control::api::Digest;
use crate::daemon;

/// Prints a digest of each lookup table: the daemon's as they are now, or those of the file that `-c` names.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let digests: Vec<Digest> = match context.of_file()? {
        Some(file) => daemon::digests(
            &file.desired,
            &file.plan,
            &Default::default(),
            file.fingerprint,
            |_| None,
            &Default::default(),
        ),
        None => context.ask(|client| async move { client.get("/v1/digest").await })?,
    };
    if context.json {
        return print_json_lines(&digests);
    }
    let mut columns = Columns::new(&["POOL", "DIGEST", "HASH KEY"]);
    for Digest { pool, digest, fingerprint, .. } in digests {
        columns.row(vec![pool, digest, fingerprint]);
    }
    print(&columns.to_string())
}
