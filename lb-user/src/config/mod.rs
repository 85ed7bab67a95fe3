//! The configuration file: TOML in, plain typed data out, or everything that is wrong with it at once.
//!
//! `parse` reads the spanned tree by hand and not through serde, which stops at the first error: an operator who has
//! made three mistakes should need one run to see them. The order is text -> tree (toml) -> sections, key by key
//! (`cursor`, `value`, `sections`) -> contradictions between them -> [`Config`]. A `Config` that left here by `parse`
//! has no problem in it.
//!
//! Called by the daemon at start and reload, and by every verb of the command line that takes a file; verbs that
//! change backends check what they make with [`contradictions`], and read what they are given with [`name`],
//! [`address`] and [`host_and_port`].
//!
//! Health settings come from `[health]`; a pool overrides them with `[pool.health]` and a backend with
//! `[pool.backend.health]`, or in one line: `health = { interval = "2s" }`. Each key is inherited by itself.
//!
//! Every pool and backend has its settings resolved, as [`Settings`](crate::health::Settings).

mod checks;
mod choice;
mod contradictions;
mod cursor;
mod duration;
mod hash_key;
mod host;
mod member;
mod metrics;
mod model;
mod names;
mod nearest;
mod not_yet;
mod prefix;
mod problem;
mod report;
mod sections;
mod sockets;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use choice::{Choice, Failback, Forward, GroupBy, KeepAlive, KeyRule, OnGroupDown, Transport, XdpMode};
pub use contradictions::{Findings, contradictions};
pub use duration::{parse as duration, serialize as duration_as_text, show as show_duration};
pub use hash_key::{HashKey, HashKeyError, KEY_BYTES_MIN, LoadedKey};
pub use host::{HOST_LIMIT, host, host_and_port};
pub use member::{Member, backends};
pub use model::{Backend, Config, KeepAlives, Limits, Node, OwnPort, Pool, TunnelSource, Vip};
pub use names::{Name, Named, names};
pub use problem::{Fault, Finding, Problem, Problems};
pub use source::{Dns, Endpoint, Etcd, Source, endpoint, group_of_name, prefix};
pub use syntax::{INTERFACE_LIMIT, NAME_LIMIT, SOCKET_PATH_LIMIT, address, name};

use cursor::Table;
use report::Report;

/// Why a file gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be read.
    #[error("{path} can't be read: {source}; name the config file with -c FILE, or mend its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is wrong: every problem on a line of its own.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

/// Reads the text of a configuration file; `file` is how messages call it.
///
/// # Errors
/// Everything that is wrong, by line.
pub fn parse(text: &str, file: &str) -> Result<Config, Problems> {
    let (tree, syntax) = DeTable::parse_recoverable(text);
    let report = Report::new(text, &syntax);
    let config = Table::root(tree.get_ref(), &report, sections::config);
    if report.is_whole() {
        let Findings { problems, warnings } = contradictions(&config);
        report.find(problems, warnings);
    }
    let (problems, warnings) = report.into_parts();
    if problems.is_empty() {
        Ok(Config { warnings: Problems::new(file, warnings), ..config })
    } else {
        Err(Problems::new(file, problems))
    }
}

/// Reads the text of a list of members, which is a source of a pool; `file` is how messages call it.
///
/// # Errors
/// Everything that is wrong in it, by line. Whether its members agree with each other and with the configuration is not
/// looked into.
pub fn members(text: &str, file: &str) -> Result<Vec<Member>, Problems> {
    let (tree, syntax) = DeTable::parse_recoverable(text);
    let report = Report::new(text, &syntax);
    let members = Table::root(tree.get_ref(), &report, |root| root.tables("backend", sections::member));
    let (problems, _) = report.into_parts();
    if problems.is_empty() { Ok(members) } else { Err(Problems::new(file, problems)) }
}

/// Reads a configuration file.
///
/// # Errors
/// When it can't be read, or is wrong.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
    Ok(parse(&text, &path.display().to_string())?)
}
