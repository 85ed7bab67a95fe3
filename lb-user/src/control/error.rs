//! Why a request was refused, as it travels: kind, what, and the mend.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::pool::Refusal;
use crate::pool::lookup::LookupError;

/// A refusal. Its kind is the HTTP status on the wire, and the exit code of the verb that asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}{mend}", if mend.is_empty() { "" } else { "; " })]
pub struct Error {
    /// What kind of refusal it is.
    pub kind: Kind,
    /// What is wrong.
    pub what: String,
    /// How to mend it; empty where nobody can say.
    pub mend: String,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request, or the configuration file, is wrong.
    Bad,
    /// It names what isn't there.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// It was tried, and failed.
    Failed,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::Bad => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The kind that a status stands for.
    pub(super) fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::CONFLICT => Self::Conflict,
            status if status.is_client_error() => Self::Bad,
            _ => Self::Failed,
        }
    }
}

/// An [`Error`] as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) error: String,
    #[serde(default)]
    pub(super) mend: String,
}

impl Error {
    /// A refusal in two sentences.
    pub fn new(kind: Kind, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { kind, what: what.into(), mend: mend.into() }
    }

    /// What was tried and failed, where nothing better than the cause can be said.
    pub fn failed(cause: impl std::fmt::Display) -> Self {
        Self::new(Kind::Failed, cause.to_string(), "")
    }
}

/// An error and its causes as one line, where each says something that was not said before: most of ours name their cause
/// themselves, and would have it twice.
pub(crate) fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(told(&error))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.kind.status(), Json(Body { error: self.what, mend: self.mend })).into_response()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::Ambiguous { .. } => Kind::Bad,
            _ if refusal.is_not_found() => Kind::NotFound,
            _ => Kind::Conflict,
        };
        Self::new(kind, refusal.to_string(), refusal.mend())
    }
}

impl From<LookupError> for Error {
    fn from(error: LookupError) -> Self {
        let kind = if matches!(error, LookupError::NoVip(_)) { Kind::NotFound } else { Kind::Bad };
        Self::new(kind, error.to_string(), error.mend())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || std::io::Error::other("disk full");
        let own = anyhow::Error::from(cause()).context("can't be written (disk full); make room");
        assert_eq!(told(&own), "can't be written (disk full); make room");
        let plain = anyhow::Error::from(cause()).context("can't be written");
        assert_eq!(told(&plain), "can't be written: disk full");
    }
}
