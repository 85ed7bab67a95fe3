//! The journal's file: a line of JSON for each entry, appended, and written anew when it has grown to twice what is kept.
//!
//! Invariant: a disk that is full or broken stops nothing. The first failure is logged; what can't be written is kept in
//! memory, and written with the next entry that can be.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::store::replace;
use super::Entry;

/// The file of one journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    /// How many entries are kept.
    limit: usize,
    /// What lines can be added to; none where the file must be written anew first.
    open: Option<Open>,
    /// Did the last writing fail?
    is_failing: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    lines: usize,
}

impl JournalFile {
    /// Reads the entries in the file, the last `limit` of them. What can't be read is left out, and logged.
    pub(super) fn load(path: &Path, limit: usize) -> (Self, VecDeque<Entry>) {
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                log::error!("earlier events are lost: {} can't be read ({error})", path.display());
                String::new()
            }
        };
        let lines: Vec<&str> = text.lines().collect();
        let mut entries: VecDeque<Entry> =
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let damaged = lines.len() - entries.len();
        if damaged > 0 {
            log::warn!("{damaged} lines of {} are no events, and are left out", path.display());
        }
        // Only to lines that are whole can more be added.
        let is_whole = damaged == 0 && text.ends_with('\n');
        let open = is_whole.then(|| File::options().append(true).open(path).ok()).flatten();
        let open = open.map(|file| Open { file, lines: lines.len() });
        entries.drain(..entries.len().saturating_sub(limit));
        (Self { path: path.to_owned(), limit, open, is_failing: false }, entries)
    }

    /// Writes the last of `entries`, and those before it that are not written yet.
    pub(super) fn append(&mut self, entries: &VecDeque<Entry>) {
        let written = match &mut self.open {
            Some(open) if open.lines < self.limit * 2 => {
                open.lines += 1;
                entries.back().map_or(Ok(()), |entry| line(entry).and_then(|line| open.file.write_all(&line)))
            }
            _ => self.write_anew(entries),
        };
        match written {
            Ok(()) if self.is_failing => log::info!("events are written to {} again", self.path.display()),
            Err(ref error) if !self.is_failing => {
                log::error!(
                    "events are kept in memory alone: {} can't be written ({error})",
                    self.path.display()
                );
            }
            _ => {}
        }
        self.is_failing = written.is_err();
        if self.is_failing {
            self.open = None;
        }
    }

    fn write_anew(&mut self, entries: &VecDeque<Entry>) -> io::Result<()> {
        let lines: Vec<Vec<u8>> = entries.iter().map(line).collect::<io::Result<_>>()?;
        replace(&self.path, &lines.concat())?;
        let file = File::options().append(true).open(&self.path)?;
        self.open = Some(Open { file, lines: lines.len() });
        Ok(())
    }
}

fn line(entry: &Entry) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}
