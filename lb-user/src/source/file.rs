//! The members in a file of their own: `[[backend]]` tables with the keys of `[[pool.backend]]`.
//!
//! The file is looked at every second and read when it has changed. Replace it by a rename: half of a file is read as
//! such, and refused if it is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::sleep;

use super::{Answer, Source, SourceError};
use crate::config::{self, Member};

const PACE: Duration = Duration::from_secs(1);

/// Reads the members from a file.
///
/// # Errors
/// When it can't be read, or is wrong.
pub fn read(path: &Path) -> Result<Vec<Member>, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    config::members(&text, &path.display().to_string()).map_err(SourceError::Wrong)
}

/// By what a file that was replaced or written to is told from what it was.
type Stamp = (SystemTime, u64, u64);

/// A file that is watched.
pub(super) struct File {
    path: PathBuf,
    /// Of what was read last, right or wrong.
    read: Option<Stamp>,
}

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: None }
    }

    fn stamp(&self) -> std::io::Result<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(&self.path)?;
        Ok((metadata.modified()?, metadata.len(), metadata.ino()))
    }

    async fn answer(&mut self) -> Result<Answer, SourceError> {
        loop {
            let stamp = self.stamp();
            if stamp.is_err() {
                self.read = None;
            }
            let stamp =
                stamp.map_err(|source| SourceError::Unreadable { path: self.path.clone(), source })?;
            if self.read.replace(stamp) != Some(stamp) {
                return Ok(Answer { members: read(&self.path)?, ..Answer::default() });
            }
            sleep(PACE).await;
        }
    }
}

impl Source for File {
    fn next(&mut self) -> BoxFuture<'_, Result<Answer, SourceError>> {
        self.answer().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[backend]]\nname = \"a1\"\naddress = \"10.0.0.11\"\ngroup = \"a\"\nweight = 50\n";

    #[tokio::test]
    async fn a_file_is_read_at_once_and_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.toml");
        fs::write(&path, ONE).unwrap();
        let mut file = File::new(path.clone());
        let members = file.next().await.unwrap().members;
        assert_eq!((members[0].name.as_str(), members[0].port, members[0].weight), ("a1", 5060, Some(50)));

        fs::write(&path, ONE.replace("10.0.0.11", "nowhere")).unwrap();
        let error = file.next().await.unwrap_err().to_string();
        let expected = format!("{}:3: backend.address: \"nowhere\" is not an address", path.display());
        assert!(error.starts_with(&expected), "{error}");

        fs::remove_file(&path).unwrap();
        assert!(matches!(file.next().await, Err(SourceError::Unreadable { .. })));
        fs::write(&path, ONE).unwrap();
        assert_eq!(file.next().await.unwrap().members, members, "one that came back is told");
    }
}
