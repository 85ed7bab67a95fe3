//! What is said to etcd's JSON gateway and by it, of that what is used here. Numbers of 64 bits are text in its JSON, keys
//! and values are in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Deserialize as FromJson, Serialize};

/// Bytes as the gateway writes them.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The first key behind all that begin with `prefix`.
pub(super) fn range_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // Text in UTF-8 has no byte 255, so that nothing is carried.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// `POST /v3/kv/range`: everything below a prefix.
#[derive(Serialize)]
pub(super) struct Range {
    pub(super) key: String,
    pub(super) range_end: String,
}

impl Range {
    pub(super) fn below(prefix: &str) -> Self {
        Self { key: encoded(prefix.as_bytes()), range_end: encoded(&range_end(prefix)) }
    }
}

/// Its answer.
#[derive(FromJson)]
pub(super) struct Found {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) kvs: Vec<KeyValue>,
}

#[derive(FromJson, Default)]
pub(super) struct Header {
    #[serde(default, deserialize_with = "number")]
    pub(super) revision: u64,
}

/// A key, and what is under it.
#[derive(Clone, Debug, FromJson)]
pub(super) struct KeyValue {
    #[serde(deserialize_with = "text")]
    pub(super) key: String,
    #[serde(default, deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
    #[serde(default, deserialize_with = "number")]
    pub(super) mod_revision: u64,
}

/// `POST /v3/watch`
#[derive(Serialize)]
pub(super) struct Watching {
    pub(super) create_request: CreateWatch,
}

#[derive(Serialize)]
pub(super) struct CreateWatch {
    #[serde(flatten)]
    pub(super) range: Range,
    pub(super) start_revision: String,
}

/// One line of its answer, which has no end.
#[derive(FromJson)]
pub(super) struct WatchLine {
    pub(super) result: Option<Watched>,
    pub(super) error: Option<Complaint>,
}

#[derive(FromJson)]
pub(super) struct Watched {
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default, deserialize_with = "number")]
    pub(super) compact_revision: u64,
    #[serde(default)]
    pub(super) cancel_reason: String,
    #[serde(default)]
    pub(super) events: Vec<Change>,
}

/// Something happened to a key.
#[derive(Clone, Debug, FromJson)]
pub(super) struct Change {
    #[serde(default, rename = "type", deserialize_with = "is_delete")]
    pub(super) is_deletion: bool,
    #[serde(rename = "kv")]
    pub(super) key_value: KeyValue,
}

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Event {
    /// In their order; none where the watch only shows that it is there.
    Changes(Vec<Change>),
    /// What was to be watched is not kept any more, up to this revision.
    Compacted(u64),
}

/// A refusal of the gateway.
#[derive(FromJson)]
pub(super) struct Complaint {
    #[serde(default, alias = "error")]
    pub(super) message: String,
}

/// `POST /v3/lease/grant`
#[derive(Serialize)]
pub(super) struct Grant {
    #[serde(rename = "TTL")]
    pub(super) ttl: String,
}

/// `POST /v3/lease/keepalive`, and `/v3/lease/revoke`
#[derive(Serialize)]
pub(super) struct OfLease {
    #[serde(rename = "ID")]
    pub(super) id: String,
}

/// Answer to both `grant` and, within `result`, `keepalive`.
#[derive(FromJson)]
pub(super) struct Lease {
    #[serde(default, rename = "ID", deserialize_with = "number")]
    pub(super) id: u64,
    #[serde(default, rename = "TTL", deserialize_with = "number")]
    pub(super) ttl: u64,
}

/// Answer to `keepalive`.
#[derive(FromJson)]
pub(super) struct KeptAlive {
    pub(super) result: Option<Lease>,
    pub(super) error: Option<Complaint>,
}

/// `POST /v3/kv/put`
#[derive(Serialize)]
pub(super) struct Put {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) lease: String,
}

/// An answer of which nothing is used.
#[derive(FromJson)]
pub(super) struct Nothing {}

/// A number, as text or as itself.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match serde_json::Value::deserialize(from)? {
        serde_json::Value::String(text) => text.parse().map_err(D::Error::custom),
        value => value.as_u64().ok_or_else(|| D::Error::custom(format!("{value} is not a number"))),
    }
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    String::from_utf8(bytes(from)?).map_err(D::Error::custom)
}

/// Absent means that the key was written.
fn is_delete<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let kind = serde_json::Value::deserialize(from)?;
    Ok(kind == "DELETE" || kind == 1)
}
