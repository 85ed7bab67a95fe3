//! `siplb events`

use std::thread::sleep;
use std::time::Duration;

use super::context::Context;
use super::failure::{Code, Failure};
use super::output::{Columns, json, print, print_json_lines, print_on};
use crate::control::api::{Event, Events};

/// How long the daemon is asked to wait for the next event.
const WAIT_S: u64 = 30;
/// Pause before a daemon that is gone is asked again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only events after this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    since: u64,
    /// Go on with what happens from now on, over restarts of the daemon too
    #[arg(short, long)]
    follow: bool,
}

/// Shows what happened, the oldest first.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let answer = ask(context, args.since, 0)?;
    if args.follow {
        return follow(context, answer);
    }
    if context.json { print_json_lines(&answer.events) } else { print(&table(&answer.events)) }
}

fn ask(context: &Context, since: u64, wait_s: u64) -> Result<Events, Failure> {
    let path = format!("/v1/events?since={since}&wait_s={wait_s}");
    context.ask(|client| async move { client.get(&path).await })
}

/// Prints events as they come, until it is killed or nobody reads any more.
fn follow(context: &Context, mut answer: Events) -> Result<(), Failure> {
    loop {
        for event in &answer.events {
            let text = if context.json { json(event)? } else { line(event) };
            if !print_on(&text)? {
                return Ok(());
            }
        }
        answer = next(context, answer.last)?;
    }
}

/// What happened after event number `last`; where the journal was lost, everything. A daemon that is being restarted is
/// waited for.
fn next(context: &Context, last: u64) -> Result<Events, Failure> {
    let mut has_failed = false;
    loop {
        match ask(context, last, WAIT_S) {
            Ok(answer) if answer.last < last => return ask(context, 0, 0),
            Ok(answer) => return Ok(answer),
            Err(failure) if failure.code() == Code::NoDaemon => {}
            // One that ends while it is asked leaves half an answer.
            Err(_) if !has_failed => has_failed = true,
            Err(failure) => return Err(failure),
        }
        sleep(RETRY);
    }
}

fn table(events: &[Event]) -> String {
    let mut columns = Columns::new(&[">SEQ", "TIME", "EVENT", "SUBJECT", "WHO", "REASON"]);
    for Event { seq, time, event, subject, reason, who } in events.iter().cloned() {
        columns.row(vec![seq.to_string(), time, event.to_string(), subject, who, reason]);
    }
    columns.to_string()
}

/// As a row of the table; what comes later is not known yet, so that widths are those of most rows.
fn line(Event { seq, time, event, subject, reason, who }: &Event) -> String {
    format!("{seq:>5}  {time}  {event:<18}  {subject:<20}  {who:<9}  {reason}")
}
