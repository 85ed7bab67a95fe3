//! Who is at the other end of the control socket, by the kernel's word (`SO_PEERCRED`, unix(7)).
//!
//! The socket's permissions decide who may ask at all; this is for the log, which says of every change who asked for it.

use std::fmt;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use nix::unistd::{Uid, User};
use tokio::net::UnixListener;

use crate::daemon::journal::Who;

/// A process that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    /// Its user and its number; none where the kernel does not say.
    credentials: Option<(u32, Option<i32>)>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Asker {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        Self { credentials: credentials.map(|credentials| (credentials.uid(), credentials.pid())) }
    }
}

impl Asker {
    /// As the journal has it.
    pub(super) fn who(self) -> Who {
        Who::Operator(self.credentials.map(|(uid, _)| uid))
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((uid, pid)) = self.credentials else { return f.write_str("somebody") };
        // Those who have left no name are told by number.
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => write!(f, "{} (uid {uid}", user.name)?,
            _ => write!(f, "uid {uid} (without a name")?,
        }
        match pid {
            Some(pid) => write!(f, ", process {pid})"),
            None => f.write_str(")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asker_is_told_by_name_and_number() {
        let of = |uid, pid| Asker { credentials: Some((uid, pid)) }.to_string();
        assert_eq!(of(0, Some(7)), "root (uid 0, process 7)");
        assert_eq!(of(4_000_000_000, None), "uid 4000000000 (without a name)");
        assert_eq!(Asker { credentials: None }.to_string(), "somebody");
    }
}
