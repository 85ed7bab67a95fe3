//! `siplb explain`

use std::path::PathBuf;

use super::context::Context;
use super::failure::Failure;
use super::output::{Columns, or_dash, print, print_json_lines};
use super::pcap;
use crate::control::api::{Explanation, Hex, Packets};
use crate::daemon;

/// Packets that are asked about at once: each question loads the program anew, and an answer should come soon.
const BATCH: usize = 10_000;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Captures (pcap or pcapng); `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Each FILE is one SIP message, sent to the first VIP from an example client
    #[arg(long)]
    payload: bool,
}

/// Runs packets through the program: with the daemon's live tables, or those of the file that `-c` names.
pub(super) fn run(context: &Context, Args { files, payload }: &Args) -> Result<(), Failure> {
    let mut packets = Vec::new();
    for file in files {
        if *payload {
            packets.push(pcap::read(file)?);
        } else {
            packets.extend(pcap::frames(file)?);
        }
    }
    let file = context.of_file()?;
    let mut explained: Vec<Explanation> = Vec::new();
    for batch in packets.chunks(BATCH) {
        let batch: Vec<Hex> = batch.iter().cloned().map(Hex).collect();
        let batch = if *payload { Packets::Messages(batch) } else { Packets::Frames(batch) };
        let first = explained.len();
        let answers: Vec<Explanation> = match &file {
            Some(file) => {
                let sizes = daemon::sizes(&file.desired.config, file.fingerprint);
                daemon::explain::private(&sizes, &file.plan, &batch)?
            }
            None => context.ask(|client| async move { client.post("/v1/explain", &batch).await })?,
        };
        explained
            .extend(answers.into_iter().map(|answer| Explanation { index: first + answer.index, ..answer }));
    }
    if context.json { print_json_lines(&explained) } else { print(&table(&explained)) }
}

fn table(explained: &[Explanation]) -> String {
    // A change in progress is the exception, and its column would be empty else.
    let is_changing = explained.iter().any(|packet| packet.transaction.is_some());
    let mut names = vec![
        ">#",
        "VERDICT",
        "XDP",
        "REASON",
        "METHOD",
        "KEY FROM",
        "KEY",
        ">SLOT",
        "GROUP",
        "BACKEND",
        "NOT DECIDED BY",
    ];
    let place = names.len() - 1;
    if is_changing {
        names.insert(place, "TRANSACTION");
    }
    let mut columns = Columns::new(&names);
    for packet in explained {
        let mut cells = vec![
            packet.index.to_string(),
            packet.verdict.clone(),
            packet.xdp.clone(),
            packet.reason.clone(),
            or_dash(packet.method.as_ref()),
            packet.key_source.clone(),
            or_dash(packet.key.as_ref()),
            or_dash(packet.slot),
            or_dash(packet.group.as_ref()),
            or_dash(packet.backend.as_ref()),
            packet.passed_over.join(" "),
        ];
        if is_changing {
            cells.insert(place, or_dash(packet.transaction.as_ref().map(|transaction| &transaction.course)));
        }
        columns.row(cells);
    }
    columns.to_string()
}
