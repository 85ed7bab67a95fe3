//! Asks etcd's JSON gateway: one request, one connection, the members of the cluster in turn until one answers.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::EtcdError;
use super::messages::{Complaint, CreateWatch, Event, Found, KeyValue, Range, WatchLine, Watching};
use crate::config::Endpoint;

/// For a connection, and for an answer on it.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A watch may have nothing to say for days. That its other end is there still, the kernels find out: within this time and
/// three times the next.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
const KEEPALIVE_PACE: Duration = Duration::from_secs(2);
const KEEPALIVE_TRIES: u32 = 3;

/// Asks the members of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Client {
    endpoints: Vec<Endpoint>,
    /// Who answered last.
    place: usize,
}

impl Client {
    pub(super) fn new(endpoints: Vec<Endpoint>) -> Self {
        Self { endpoints, place: 0 }
    }

    /// What is below a prefix, and the revision of the reading.
    pub(super) async fn read(&mut self, prefix: &str) -> Result<(Vec<KeyValue>, u64), EtcdError> {
        let found: Found = self.ask("/v3/kv/range", &Range::below(prefix)).await?;
        Ok((found.kvs, found.header.revision))
    }

    /// Watches what is below a prefix, from this revision on.
    pub(super) async fn watch(&mut self, prefix: &str, from: u64) -> Result<Watch, EtcdError> {
        let create = CreateWatch { range: Range::below(prefix), start_revision: from.to_string() };
        let (answer, endpoint) = self.post("/v3/watch", &Watching { create_request: create }).await?;
        let Answered { body, connection } = answer;
        Ok(Watch { endpoint, body, _connection: connection, read: BytesMut::new() })
    }

    /// Asks, and reads the first line of the answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        question: &impl Serialize,
    ) -> Result<T, EtcdError> {
        let (answer, endpoint) = self.post(path, question).await?;
        let mut lines = Watch {
            endpoint: endpoint.clone(),
            body: answer.body,
            _connection: answer.connection,
            read: BytesMut::new(),
        };
        let late = |_| EtcdError::Unreachable { endpoint, why: "its answer doesn't come".to_owned() };
        timeout(ANSWER_LIMIT, lines.line()).await.map_err(late)?
    }

    /// Puts a question to one member after the other, the one that answered last first.
    async fn post(&mut self, path: &str, question: &impl Serialize) -> Result<(Answered, String), EtcdError> {
        let question = serde_json::to_vec(question)
            .map(Bytes::from)
            .map_err(|error| EtcdError::Garbled { endpoint: path.to_owned(), why: error.to_string() })?;
        let mut failed = None;
        for turn in 0..self.endpoints.len() {
            let place = (self.place + turn) % self.endpoints.len();
            let endpoint = &self.endpoints[place];
            match timeout(ANSWER_LIMIT, post(endpoint, path, question.clone())).await {
                Ok(Ok(answer)) => {
                    let endpoint = endpoint.to_string();
                    self.place = place;
                    return Ok((answer, endpoint));
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => {
                    failed = Some(EtcdError::Unreachable {
                        endpoint: endpoint.to_string(),
                        why: "it doesn't answer".to_owned(),
                    })
                }
            }
        }
        let nobody = || EtcdError::Unreachable { endpoint: "etcd".to_owned(), why: "no endpoint".to_owned() };
        Err(failed.unwrap_or_else(nobody))
    }
}

/// An answer that has begun.
struct Answered {
    body: Incoming,
    connection: Connection,
}

/// The task that moves a connection's bytes.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Puts a question to one member.
async fn post(endpoint: &Endpoint, path: &str, question: Bytes) -> Result<Answered, EtcdError> {
    let unreachable = |why: String| EtcdError::Unreachable { endpoint: endpoint.to_string(), why };
    let connect = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let stream = timeout(CONNECT_LIMIT, connect).await;
    let stream = stream.map_err(|_| unreachable("no connection comes about".to_owned()))?;
    let stream = stream.map_err(|error| unreachable(error.to_string()))?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_PACE)
        .with_retries(KEEPALIVE_TRIES);
    let guarded = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    guarded.map_err(|error| unreachable(error.to_string()))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreachable(error.to_string()))?;
    let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
    let request = Request::post(path)
        .header(HOST, endpoint.to_string().trim_start_matches("http://"))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(question))
        .map_err(|error| unreachable(error.to_string()))?;
    let response: Response<Incoming> =
        sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    if response.status().is_success() {
        return Ok(Answered { body: response.into_body(), connection });
    }
    let status = response.status();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said = serde_json::from_slice::<Complaint>(&body).map(|complaint| complaint.message);
    let why = said.ok().filter(|said| !said.is_empty()).unwrap_or_else(|| status.to_string());
    Err(EtcdError::Refused { endpoint: endpoint.to_string(), why })
}

/// An answer whose lines come one by one.
pub(super) struct Watch {
    endpoint: String,
    body: Incoming,
    _connection: Connection,
    /// What came of the lines that are not complete yet.
    read: BytesMut,
}

impl Watch {
    /// Waits for the next thing that happens.
    pub(super) async fn next(&mut self) -> Result<Event, EtcdError> {
        let lost = |endpoint: &str, why: String| EtcdError::Lost { endpoint: endpoint.to_owned(), why };
        let line: WatchLine = self.line().await?;
        match line {
            WatchLine { error: Some(error), .. } => Err(lost(&self.endpoint, error.message)),
            WatchLine { result: Some(watched), .. } if watched.compact_revision > 0 => {
                Ok(Event::Compacted(watched.compact_revision))
            }
            WatchLine { result: Some(watched), .. } if watched.canceled => {
                Err(lost(&self.endpoint, watched.cancel_reason))
            }
            WatchLine { result, .. } => {
                Ok(Event::Changes(result.map(|watched| watched.events).unwrap_or_default()))
            }
        }
    }

    async fn line<T: DeserializeOwned>(&mut self) -> Result<T, EtcdError> {
        let lost = |endpoint: &str, why: String| EtcdError::Lost { endpoint: endpoint.to_owned(), why };
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end);
                self.read.advance(1);
                return self.understood(&line);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(lost(&self.endpoint, error.to_string())),
                // The last line need not have an end.
                None if !self.read.is_empty() => {
                    let line = self.read.split();
                    return self.understood(&line);
                }
                None => return Err(lost(&self.endpoint, "the connection is closed".to_owned())),
            }
        }
    }

    fn understood<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, EtcdError> {
        serde_json::from_slice(line)
            .map_err(|error| EtcdError::Garbled { endpoint: self.endpoint.clone(), why: error.to_string() })
    }
}
