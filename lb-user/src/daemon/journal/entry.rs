//! What stands in the journal: one entry for each thing that happened. Also what `siplb events` prints, and what a
//! program of `on-change` is given.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: one more than the one before, over restarts too, for as long as the journal's file is there.
    pub seq: u64,
    /// When, as RFC 3339 has it: UTC, to the millisecond.
    pub time: String,
    /// What happened.
    pub event: Kind,
    /// To whom: `POOL/BACKEND`, a pool, a file, a source, a peer.
    pub subject: String,
    /// Why, as a sentence without a full stop.
    pub reason: String,
    /// Who brought it about: see [`Who`].
    pub who: String,
}

/// What can happen. Names may be added, and don't change: programs of operators read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The daemon has started.
    Started,
    /// Checks found a backend up.
    BackendUp,
    /// Checks found a backend down.
    BackendDown,
    /// A backend asked for less.
    BackendOverloaded,
    /// A backend that had asked for less takes all again.
    BackendRelieved,
    /// The time of a backend that was down has come: its users are handed over to it, or are there.
    Failback,
    /// A change that somebody asked for was accepted.
    ChangeRequested,
    /// It could not be carried out after all; nothing changed.
    ChangeRefused,
    /// A handover began, or has another aim: users are where they were, and their transactions are recorded.
    HandoverRecording,
    /// Its users have moved, and recorded transactions finish where they began.
    HandoverSwitched,
    /// They are back where they were.
    HandoverBack,
    /// It is over, or was called off before anybody had moved.
    HandoverOver,
    /// What is wanted now waits for the end of a handover.
    HandoverAwaited,
    /// Users have moved without a handover.
    MovedAtOnce,
    /// The configuration file was read again.
    Reload,
    /// The configuration file could not be taken; nothing changed.
    ReloadRefused,
    /// What is live could not be brought up to date.
    PublishFailed,
    /// What is live is up to date again.
    Published,
    /// A source brought another pool.
    Source,
    /// A source failed, or works again.
    SourceFailed,
    /// A peer was found to agree or to differ.
    Peer,
    /// Of a newer release, whose journal this one reads after a way back.
    #[serde(other)]
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Kind {
    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::BackendUp => "backend-up",
            Self::BackendDown => "backend-down",
            Self::BackendOverloaded => "backend-overloaded",
            Self::BackendRelieved => "backend-relieved",
            Self::Failback => "failback",
            Self::ChangeRequested => "change-requested",
            Self::ChangeRefused => "change-refused",
            Self::HandoverRecording => "handover-recording",
            Self::HandoverSwitched => "handover-switched",
            Self::HandoverBack => "handover-back",
            Self::HandoverOver => "handover-over",
            Self::HandoverAwaited => "handover-awaited",
            Self::MovedAtOnce => "moved-at-once",
            Self::Reload => "reload",
            Self::ReloadRefused => "reload-refused",
            Self::PublishFailed => "publish-failed",
            Self::Published => "published",
            Self::Source => "source",
            Self::SourceFailed => "source-failed",
            Self::Peer => "peer",
            Self::Other => "other",
        }
    }
}

/// Who brought something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Checks of backends.
    Checks,
    /// The configuration file.
    File,
    /// Somebody at the control socket, by uid where the system told it.
    Operator(Option<u32>),
    /// A source of pools, by its name.
    Source(String),
    /// Another node, by its address or name.
    Peer(String),
    /// The daemon itself.
    Daemon,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checks => f.write_str("checks"),
            Self::File => f.write_str("file"),
            Self::Operator(None) => f.write_str("operator"),
            Self::Operator(Some(uid)) => write!(f, "uid {uid}"),
            Self::Source(name) => write!(f, "source {name}"),
            Self::Peer(name) => write!(f, "peer {name}"),
            Self::Daemon => f.write_str("daemon"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_printed_as_json_has_it() {
        let text = |kind: Kind| serde_json::to_string(&kind).unwrap();
        for kind in [Kind::BackendUp, Kind::PublishFailed, Kind::HandoverSwitched, Kind::Other] {
            assert_eq!(text(kind), format!("\"{kind}\""));
        }
        assert_eq!(serde_json::from_str::<Kind>("\"of-tomorrow\"").unwrap(), Kind::Other);
    }
}
