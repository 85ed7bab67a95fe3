//! Why a verb failed, and the exit code that says so.

use std::process::ExitCode;

use crate::config::LoadError;
use crate::control::Error;
use crate::control::client::ClientError;
use crate::control::error::{Kind, told};

/// Shown at the end of `siplb --help`.
pub(super) const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failed, 2 usage or bad configuration, 3 no daemon, 4 not found.";

/// A complaint with its exit code.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
}

/// The exit codes, but for success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Failed = 1,
    BadUsage = 2,
    NoDaemon = 3,
    NotFound = 4,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What was tried and failed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Failed, message)
    }

    /// Which exit code it is.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// Was it for want of a daemon?
    pub(super) fn is_no_daemon(&self) -> bool {
        self.code == Code::NoDaemon
    }

    /// The same with another complaint.
    pub(super) fn saying(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// What is complained of.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Complains, and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("siplb: {}", self.message);
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(told(&error))
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let message = match error {
            // A line each, which begin with the file's name and the line's number for editors to jump to.
            LoadError::Wrong(problems) => format!("{} is wrong:\n{problems}", problems.file),
            error @ LoadError::Unreadable { .. } => error.to_string(),
        };
        Self::new(Code::BadUsage, message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind {
            Kind::Bad => Code::BadUsage,
            Kind::NotFound => Code::NotFound,
            Kind::Conflict | Kind::Failed => Code::Failed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(error) => error.into(),
            ClientError::NoDaemon { .. } | ClientError::Hangs { .. } => {
                Self::new(Code::NoDaemon, error.to_string())
            }
            ClientError::NotPermitted { .. } | ClientError::Garbled(_) => Self::failed(error.to_string()),
        }
    }
}
