//! The members in etcd: one key for each, `PREFIX NAME`, whose value is JSON with the keys of `[[pool.backend]]`.
//!
//! All keys are read, and watched from the revision of that reading on. When the watch ends, by the loss of etcd or
//! because its revision was compacted away, all keys are read anew: an etcd that was restored from a copy may count from
//! less. [`register`] is the backends' side.
//!
//! Spoken is etcd's JSON gateway (`/v3/`), over plain HTTP/1.1 ([`client`]).
mod client;
mod messages;
pub mod register;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Answer, Source, SourceError};
use crate::config::{self, Member};
use client::{Client, Watch};
use messages::{Event, KeyValue};

/// Why etcd has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// Nobody there answers.
    #[error("{endpoint} can't be reached: {why}")]
    Unreachable {
        /// Who was asked.
        endpoint: String,
        /// What the matter is.
        why: String,
    },
    /// It refuses.
    #[error("{endpoint} refuses: {why}")]
    Refused {
        /// Who was asked.
        endpoint: String,
        /// What it says.
        why: String,
    },
    /// What it says is nothing that an etcd would say.
    #[error("{endpoint} is no etcd, or another kind of it: {why}")]
    Garbled {
        /// Who was asked.
        endpoint: String,
        /// What was not understood.
        why: String,
    },
    /// The watch ended.
    #[error("{endpoint} watches no more: {why}")]
    Lost {
        /// Who was asked.
        endpoint: String,
        /// Why.
        why: String,
    },
}

/// Keys that are watched.
pub(super) struct Etcd {
    asked: config::Etcd,
    client: Client,
    watch: Option<Watch>,
    /// What is under each key now.
    values: BTreeMap<String, Vec<u8>>,
    revision: u64,
}

impl Etcd {
    pub(super) fn new(asked: config::Etcd) -> Self {
        let client = Client::new(asked.endpoints.clone());
        Self { asked, client, watch: None, values: BTreeMap::new(), revision: 0 }
    }

    async fn answer(&mut self) -> Result<Answer, SourceError> {
        loop {
            let Some(watch) = &mut self.watch else {
                self.read().await?;
                return self.members();
            };
            match watch.next().await {
                Ok(Event::Changes(changes)) if changes.is_empty() => {}
                Ok(Event::Changes(changes)) => {
                    for change in changes {
                        self.revision = self.revision.max(change.key_value.mod_revision);
                        if change.is_deletion {
                            self.values.remove(&change.key_value.key);
                        } else {
                            self.values.insert(change.key_value.key, change.key_value.value);
                        }
                    }
                    return self.members();
                }
                Ok(Event::Compacted(revision)) => {
                    log::info!("etcd {}: compacted up to {revision}, reading anew", self.asked.prefix);
                    self.watch = None;
                }
                Err(error) => {
                    self.watch = None;
                    return Err(error.into());
                }
            }
        }
    }

    /// Reads all keys, and watches from there on.
    async fn read(&mut self) -> Result<(), EtcdError> {
        let (values, revision) = self.client.read(&self.asked.prefix).await?;
        self.watch = Some(self.client.watch(&self.asked.prefix, revision + 1).await?);
        self.values = values.into_iter().map(|KeyValue { key, value, .. }| (key, value)).collect();
        self.revision = revision;
        Ok(())
    }

    fn members(&self) -> Result<Answer, SourceError> {
        let member = |(key, value): (&String, &Vec<u8>)| member(&self.asked.prefix, key, value);
        let members = self.values.iter().map(member).collect::<Result<_, _>>()?;
        Ok(Answer { members, revision: Some(self.revision), complaint: None })
    }
}

/// The member under a key. Its name is the key's, whatever the value says.
fn member(prefix: &str, key: &str, value: &[u8]) -> Result<Member, SourceError> {
    let wrong = |what: String| SourceError::Entry { key: key.to_owned(), what };
    let member: Member = serde_json::from_slice(value).map_err(|error| wrong(error.to_string()))?;
    let name = key.strip_prefix(prefix).unwrap_or(key).to_owned();
    Member { name, ..member }.checked().map_err(|fault| SourceError::entry(key, &fault))
}

impl Source for Etcd {
    fn next(&mut self) -> BoxFuture<'_, Result<Answer, SourceError>> {
        self.answer().boxed()
    }
}
