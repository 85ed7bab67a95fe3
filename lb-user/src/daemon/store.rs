//! What outlives the daemon, in the state folder: the operator's changes (`runtime.json`), the ids in use (`ids.json`),
//! the backends that are down (`down.json`), the members that sources gave last (`sources.json`), what the pools have in
//! effect (`courses.json`), the journal (`events.jsonl`), and the lock that keeps a second daemon away (`lock`).
//!
//! A file is replaced in one step, by a rename after its content has reached the disk: a crash leaves the old one or
//! the new one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::course;
use super::journal::Journal;
use super::sources::Stored;
use crate::pool::{Changes, Ids};

/// The state folder, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    _lock: Flock<File>,
}

const CHANGES: &str = "runtime.json";
const IDS: &str = "ids.json";
const DOWN: &str = "down.json";
const COURSES: &str = "courses.json";
const SOURCES: &str = "sources.json";

impl Store {
    /// Makes the folder if it isn't there, and locks it.
    ///
    /// # Errors
    /// When the folder can't be written, or another daemon has it.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let unwritable = |error: io::Error| {
            anyhow!(
                "the state folder {} can't be written ({error}); run as root, or mend state-dir",
                folder.display()
            )
        };
        fs::create_dir_all(folder).map_err(unwritable)?;
        let file = File::options().create(true).append(true).open(folder.join("lock")).map_err(unwritable)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err((_, nix::Error::EWOULDBLOCK)) => bail!(
                "another siplb runs already with the state folder {}: stop it first, or give this one a state-dir, \
                 a socket and a pin-dir of its own",
                folder.display()
            ),
            Err((_, error)) => Err(unwritable(error.into())),
        }
    }

    /// The journal, which is kept in the folder.
    pub(super) fn journal(&self) -> Journal {
        Journal::open(&self.folder)
    }

    /// The stored changes; none where nothing was stored.
    ///
    /// # Errors
    /// When the file can't be read, or isn't what was written there.
    pub(super) fn changes(&self) -> Result<Changes> {
        self.load(CHANGES)
    }

    /// Stores the changes.
    ///
    /// # Errors
    /// When the disk refuses; what was stored before is there still.
    pub(super) fn store_changes(&self, changes: &Changes) -> Result<()> {
        self.store(CHANGES, changes)
    }

    /// The stored ids; none where nothing was stored.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub(super) fn ids(&self) -> Result<Ids> {
        let ids: Ids = self.load(IDS)?;
        if !ids.is_sound() {
            bail!("{} gives a number twice; remove the file", self.folder.join(IDS).display());
        }
        Ok(ids)
    }

    /// Stores the ids.
    ///
    /// # Errors
    /// As [`Store::store_changes`].
    pub(super) fn store_ids(&self, ids: &Ids) -> Result<()> {
        self.store(IDS, ids)
    }

    /// The stored backends that are down, by path; none where nothing was stored.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub(super) fn down(&self) -> Result<BTreeSet<String>> {
        self.load(DOWN)
    }

    /// Stores which backends are down.
    ///
    /// # Errors
    /// As [`Store::store_changes`].
    pub(super) fn store_down(&self, down: &BTreeSet<String>) -> Result<()> {
        self.store(DOWN, down)
    }

    /// The stored members of pools that have a source; none where nothing was stored.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub(super) fn sources(&self) -> Result<Stored> {
        self.load(SOURCES)
    }

    /// Stores the members of pools that have a source.
    ///
    /// # Errors
    /// As [`Store::store_changes`].
    pub(super) fn store_sources(&self, stored: &Stored) -> Result<()> {
        self.store(SOURCES, stored)
    }

    /// The stored courses; none where nothing was stored.
    ///
    /// # Errors
    /// As [`Store::changes`].
    pub(super) fn courses(&self) -> Result<course::Stored> {
        self.load(COURSES)
    }

    /// Stores the courses.
    ///
    /// # Errors
    /// As [`Store::store_changes`].
    pub(super) fn store_courses(&self, courses: &course::Stored) -> Result<()> {
        self.store(COURSES, courses)
    }

    fn load<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} can't be understood; mend it, or remove it", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
        }
    }

    fn store<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.folder.join(name);
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        replace(&path, &text).with_context(|| format!("{} can't be written", path.display()))
    }
}

/// Replaces a file in one step.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        // On a full disk not even half a file is to stay; what counts is the error at hand.
        let _ = fs::remove_file(&new);
    })?;
    // The rename itself is in the folder.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back_and_a_second_daemon_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        assert_eq!(store.changes().unwrap(), Changes::default());
        let mut changes = Changes::default();
        changes.pools.entry("p".into()).or_default().removed.insert("a1".into());
        store.store_changes(&changes).unwrap();
        assert_eq!(store.changes().unwrap(), changes);
        let refusal = Store::open(&folder.path().join("state")).unwrap_err().to_string();
        assert!(refusal.starts_with("another siplb runs already"), "{refusal}");
        drop(store);
        assert_eq!(Store::open(&folder.path().join("state")).unwrap().changes().unwrap(), changes);
    }

    #[test]
    fn a_broken_file_is_named_with_its_mend() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        fs::write(folder.path().join(CHANGES), "{").unwrap();
        assert!(format!("{:#}", store.changes().unwrap_err()).contains("runtime.json can't be understood"));
        fs::write(folder.path().join(IDS), r#"{"vips":{"limit":2,"given":2,"taken":{"a":1,"b":1}}}"#)
            .unwrap();
        assert!(store.ids().unwrap_err().to_string().contains("gives a number twice"));
    }
}
