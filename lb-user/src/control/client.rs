//! The command line's side of the control socket: one request, one connection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::error::{Body, Error, Kind};

/// Asks the daemon behind a socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no siplb listens on {socket} ({source}); start one with `siplb run`, or name its socket with --socket"
    )]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody listens and says nothing.
    #[error(
        "the siplb on {socket} does not answer ({} s were given): it is stopped or hangs; its log may say why, and it can be \
         killed and started again while packets are forwarded",
        patience.as_secs()
    )]
    Hangs {
        /// The socket.
        socket: PathBuf,
        /// How long an answer was waited for.
        patience: Duration,
    },
    /// The socket is not for us.
    #[error("{socket} may not be used ({source}); run as root, or as a member of its group")]
    NotPermitted {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon's refusal.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The connection broke off, or what came is no answer.
    #[error("the daemon's answer can't be understood: {0}; is it the same version as this siplb?")]
    Garbled(String),
}

impl Client {
    /// For a socket; nothing is connected yet.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), patience: None }
    }

    /// The same, waiting no longer than this for an answer: for questions that are answered at once.
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// `GET`.
    ///
    /// # Errors
    /// When there is no daemon, or it refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// When there is no daemon, or it refuses.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    /// `POST` with a body.
    ///
    /// # Errors
    /// When there is no daemon, or it refuses.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(Method::POST, path, json(body)?).await
    }

    /// `PUT` with a body.
    ///
    /// # Errors
    /// When there is no daemon, or it refuses.
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(Method::PUT, path, json(body)?).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let body = self.text(method, path, body).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Garbled(error.to_string()))
    }

    /// What comes back, as it is.
    ///
    /// # Errors
    /// When there is no daemon, it does not answer in time, or it refuses.
    pub async fn text(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let asked = self.exchange(method, path, body);
        let Some(patience) = self.patience else { return asked.await };
        let hangs = |_| ClientError::Hangs { socket: self.socket.clone(), patience };
        tokio::time::timeout(patience, asked).await.map_err(hangs)?
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| {
            let socket = self.socket.clone();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ClientError::NotPermitted { socket, source },
                _ => ClientError::NoDaemon { socket, source },
            }
        })?;
        let garbled = |error: hyper::Error| ClientError::Garbled(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(garbled)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "siplb")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Garbled(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(garbled)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(garbled)?.to_bytes();
        connection.abort();
        if status.is_success() {
            return Ok(body);
        }
        let Body { error, mend } = serde_json::from_slice(&body)
            .map_err(|error| ClientError::Garbled(format!("{status}: {error}")))?;
        Err(Error::new(Kind::of(status), error, mend).into())
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, ClientError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| ClientError::Garbled(error.to_string()))
}

/// A path with a query; empty values are left out.
pub fn with_query(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let pairs = query.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped((*value)?))));
    let pairs: Vec<String> = pairs.collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Text as a part of a path or a query (RFC 3986 section 2).
pub fn escaped(text: &str) -> String {
    let show = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(show).collect()
}
