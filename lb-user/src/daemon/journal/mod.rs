//! What happened, and why: the journal behind `siplb events`, kept over restarts.
//!
//! [`super::Core`] has one, and whoever does something worth telling calls [`Journal::record`]. The last 1,024 entries are
//! kept, in memory and in `events.jsonl` in the state folder ([`file`]).
//!
//! Invariant: recording fails nothing and waits for nobody. Numbers grow by one, so that a reader knows what it missed.
mod entry;
mod file;
mod hook;

use std::collections::VecDeque;
use std::path::Path;

use jiff::{Timestamp, Unit};
use tokio::sync::watch;

pub use entry::{Entry, Kind, Who};
use file::JournalFile;
use hook::Hook;

/// Entries that are kept.
pub const KEPT: usize = 1_024;
/// Name of the file in the state folder.
const FILE: &str = "events.jsonl";
/// Longest reason, in bytes; what is longer is cut.
const REASON_BYTES: usize = 2_048;

/// The journal of one daemon.
#[derive(Debug)]
pub struct Journal {
    entries: VecDeque<Entry>,
    last: u64,
    limit: usize,
    file: JournalFile,
    news: watch::Sender<u64>,
    hook: Option<Hook>,
}

impl Journal {
    /// With what stands in the state folder. That nothing can be read or written there is logged, and stops nothing.
    pub(super) fn open(folder: &Path) -> Self {
        Self::with_limit(folder, KEPT)
    }

    fn with_limit(folder: &Path, limit: usize) -> Self {
        let (file, entries) = JournalFile::load(&folder.join(FILE), limit);
        let last = entries.back().map_or(0, |entry| entry.seq);
        Self { entries, last, limit, file, news: watch::channel(last).0, hook: None }
    }

    /// Has this program called for every entry from now on, or none. Must be called within a tokio runtime.
    pub(super) fn call(&mut self, program: Option<&Path>) {
        if self.hook.as_ref().map(Hook::program) != program {
            self.hook = program.map(Hook::new);
        }
    }

    /// Takes down that something happened, now.
    pub fn record(&mut self, event: Kind, subject: impl Into<String>, reason: impl Into<String>, who: &Who) {
        let mut reason = in_one_line(&reason.into());
        if reason.len() > REASON_BYTES {
            reason.truncate(reason.floor_char_boundary(REASON_BYTES));
        }
        self.last += 1;
        let entry = Entry {
            seq: self.last,
            time: shown_time(Timestamp::now()),
            event,
            subject: subject.into(),
            reason,
            who: who.to_string(),
        };
        if self.entries.len() >= self.limit {
            self.entries.pop_front();
        }
        if let Some(hook) = &mut self.hook {
            hook.tell(&entry);
        }
        self.entries.push_back(entry);
        self.file.append(&self.entries);
        self.news.send_replace(self.last);
    }

    /// The entries after number `since`, the oldest first.
    pub fn since(&self, since: u64) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.seq > since).cloned().collect()
    }

    /// Number of the last entry; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Tells whoever waits the number of the last entry whenever there is a new one.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

/// A time as RFC 3339 has it: UTC, to the millisecond.
pub(super) fn shown_time(time: Timestamp) -> String {
    // Rounding fails at the end of time alone.
    let time = time.round(Unit::Millisecond).unwrap_or(time);
    format!("{time:.3}")
}

/// The lines of a text as one, without bytes that upset a terminal or an environment.
fn in_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    const LIMIT: usize = 4;

    fn open(folder: &Path) -> Journal {
        Journal::with_limit(folder, LIMIT)
    }

    fn record(journal: &mut Journal, subject: &str) {
        journal.record(Kind::BackendDown, subject, "no answer within 500 ms", &Who::Checks);
    }

    fn numbers(journal: &Journal) -> Vec<u64> {
        journal.since(0).iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn what_happened_is_told_in_order_and_kept_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path());
        assert_eq!((journal.last(), journal.since(0).len()), (0, 0));
        let news = journal.news();
        record(&mut journal, "p/a1");
        journal.record(Kind::Reload, "siplb.toml", "nothing is changed", &Who::Operator(Some(1000)));
        assert_eq!(*news.borrow(), 2);
        let entries = journal.since(0);
        assert_eq!((entries[1].who.as_str(), entries[1].subject.as_str()), ("uid 1000", "siplb.toml"));
        assert!(entries[0].time.parse::<Timestamp>().is_ok() && entries[0].time.len() == 24, "{entries:?}");
        drop(journal);
        let mut journal = open(folder.path());
        assert_eq!(journal.since(0), entries);
        record(&mut journal, "p/a2");
        assert_eq!(
            (numbers(&journal), journal.since(2).len(), journal.since(9).len()),
            (vec![1, 2, 3], 1, 0)
        );
    }

    #[test]
    fn memory_and_file_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path());
        for number in 1..=50 {
            record(&mut journal, &number.to_string());
            let lines = fs::read_to_string(folder.path().join(FILE)).unwrap().lines().count();
            assert!(lines <= LIMIT * 2, "{lines}");
        }
        assert_eq!(numbers(&journal), [47, 48, 49, 50]);
        assert_eq!(numbers(&open(folder.path())), [47, 48, 49, 50]);
        journal.record(Kind::Reload, "x", "two\n  lines\n\0\n", &Who::File);
        assert_eq!(journal.since(50)[0].reason, "two; lines;  ");
        journal.record(Kind::Source, "x", "ü".repeat(REASON_BYTES), &Who::Source("dns".into()));
        assert!(journal.since(51)[0].reason.len() <= REASON_BYTES);
    }

    #[test]
    fn a_line_that_was_cut_off_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path());
        record(&mut journal, "p/a1");
        record(&mut journal, "p/a2");
        drop(journal);
        let mut file = fs::File::options().append(true).open(folder.path().join(FILE)).unwrap();
        file.write_all(b"{\"seq\":3,\"ti").unwrap();
        let mut journal = open(folder.path());
        record(&mut journal, "p/a3");
        assert_eq!(numbers(&journal), [1, 2, 3]);
        assert_eq!(numbers(&open(folder.path())), [1, 2, 3]);
    }

    #[test]
    fn a_disk_that_refuses_stops_nothing_and_is_made_up_for() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("not-there-yet");
        let mut journal = open(&nowhere);
        record(&mut journal, "p/a1");
        record(&mut journal, "p/a2");
        assert_eq!(numbers(&journal), [1, 2]);
        fs::create_dir(&nowhere).unwrap();
        record(&mut journal, "p/a3");
        assert_eq!(numbers(&open(&nowhere)), [1, 2, 3]);
    }
}
