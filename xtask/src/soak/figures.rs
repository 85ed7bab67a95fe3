//! The outcome of a soak as a table.

use comfy_table::{ContentArrangement, Table, presets};
use siplb_lab::handover::Outcome;

/// A table of two columns.
pub(super) fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["what was done", "what came of it"]).add_rows(rows(outcome));
    table
}

fn rows(outcome: &Outcome) -> Vec<[String; 2]> {
    let during = outcome.changes.iter().filter(|made| made.during.is_some()).count();
    let mut rows = vec![
        [
            "calls that rang".into(),
            format!(
                "{} in {:.0} s: {:.0} a second of {}",
                outcome.calls,
                outcome.seconds,
                outcome.calls as f64 / outcome.seconds,
                outcome.rate
            ),
        ],
        ["for how long".into(), format!("up to {} s each", outcome.ring_s)],
        ["complete (487 or 486, and ACK)".into(), format!("{}, {} not", outcome.completed, outcome.failed)],
        ["registrations".into(), format!("{} of {}", outcome.registered, outcome.registrations)],
        ["lost packets".into(), format!("{} ({} of 1000 each way)", outcome.lost, outcome.loss_permille)],
        ["messages sent again".into(), outcome.sent_again.to_string()],
        [
            "changes of the pool".into(),
            format!("{}, {during} while a handover was under way", outcome.changes.len()),
        ],
    ];
    for made in &outcome.changes {
        let during = made.during.as_deref().map_or(String::new(), |phase| format!(" (while {phase})"));
        rows.push([String::new(), format!("{:5.1} s  {}{during}", made.at_s, made.change)]);
    }
    rows.push([
        "handovers".into(),
        format!("{} (record {} s, finish {} s)", outcome.handovers, outcome.record_s, outcome.finish_s),
    ]);
    for (course, count) in &outcome.transactions {
        rows.push([format!("requests of moving users, {course}"), count.to_string()]);
    }
    rows.extend([
        ["CANCELs without their INVITE".into(), outcome.unknown_cancels.to_string()],
        ["ACKs without their INVITE".into(), outcome.unknown_acks.to_string()],
        ["INVITEs at two servers".into(), outcome.split_calls.to_string()],
        ["REGISTERs at two servers".into(), outcome.split_registrations.to_string()],
        ["seed".into(), outcome.seed.to_string()],
    ]);
    rows
}
