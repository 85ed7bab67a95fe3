//! `[pool.source]`: where the members of a pool come from, when the file doesn't list them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::choice::GroupBy;
use super::cursor::Table;
use super::problem::Fault;
use super::syntax::{self, NAME_LIMIT};
use super::value::{choice, text};

const DNS_PORT: u16 = 53;
const ETCD_PORT: u16 = 2379;
/// A domain name's longest as text (RFC 1035 section 2.3.4), and a label's.
const DOMAIN_LIMIT: usize = 253;
const LABEL_LIMIT: usize = 63;

/// Where the members of a pool come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// A file of its own.
    File {
        /// Absolute.
        path: PathBuf,
    },
    /// SRV records (RFC 2782).
    Dns(Dns),
    /// Keys of etcd.
    Etcd(Etcd),
}

/// What to ask the DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dns {
    /// Names that have SRV records, in lower case without a trailing dot; at least one.
    pub names: Vec<String>,
    /// What makes a group.
    pub group_by: GroupBy,
    /// Name servers; those of `/etc/resolv.conf` if empty.
    pub resolver: Vec<SocketAddr>,
}

/// What to ask etcd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Etcd {
    /// Members of the cluster; at least one. The first that answers is asked.
    pub endpoints: Vec<Endpoint>,
    /// What the keys begin with; ends in a slash.
    pub prefix: String,
}

/// Host and port of a member of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port of its clients.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "http://[{host}]:{port}")
        } else {
            write!(f, "http://{host}:{port}")
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Source {
    /// The word of the file for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Dns(_) => "dns",
            Self::Etcd(_) => "etcd",
        }
    }
}

impl fmt::Display for Source {
    /// The kind, and what of it is asked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => write!(f, "file {}", path.display()),
            Self::Dns(dns) => write!(f, "dns {}", dns.names.join(", ")),
            Self::Etcd(etcd) => {
                let endpoints: Vec<String> = etcd.endpoints.iter().map(Endpoint::to_string).collect();
                write!(f, "etcd {} at {}", etcd.prefix, endpoints.join(", "))
            }
        }
    }
}

/// The group of the targets of a name, where a name makes a group: what is behind its service and protocol.
pub fn group_of_name(name: &str) -> &str {
    name.splitn(3, '.').nth(2).unwrap_or(name)
}

/// Which of the sources it is, before its other keys are read.
#[derive(Clone, Copy)]
enum Kind {
    File,
    Dns,
    Etcd,
}

/// Reads the table.
pub(super) fn source(table: &mut Table<'_>) -> Source {
    let kind = table.need("kind", "kind = \"etcd\", or \"file\", or \"dns\"", None, text(kind));
    match kind {
        Some(Kind::Dns) => Source::Dns(dns(table)),
        Some(Kind::Etcd) => Source::Etcd(etcd(table)),
        Some(Kind::File) => Source::File {
            path: table.need("path", "path = \"/etc/siplb/pool.toml\"", PathBuf::new(), text(syntax::path)),
        },
        None => {
            // Which keys belong here is not known; one complaint is enough.
            table.know(&["path", "names", "group-by", "resolver", "endpoints", "prefix"]);
            Source::File { path: PathBuf::new() }
        }
    }
}

fn kind(word: &str) -> Result<Option<Kind>, Fault> {
    match word {
        "file" => Ok(Some(Kind::File)),
        "dns" => Ok(Some(Kind::Dns)),
        "etcd" => Ok(Some(Kind::Etcd)),
        _ => Err(Fault::new(format!("\"{word}\" is not known here"), "give \"file\", \"dns\" or \"etcd\"")),
    }
}

fn dns(table: &mut Table<'_>) -> Dns {
    let names = table.list("names", text(srv_name));
    needs_one(table, "names", names.len(), "names = [\"_sip._udp.registrars.example.com\"]");
    let group_by = table.take("group-by", GroupBy::default(), choice);
    if group_by == GroupBy::Name {
        one_group_a_name(table, &names);
    }
    Dns { names, group_by, resolver: table.list("resolver", text(resolver)) }
}

fn one_group_a_name(table: &Table<'_>, names: &[String]) {
    for (nth, name) in names.iter().enumerate() {
        let group = group_of_name(name);
        if group.len() > NAME_LIMIT {
            let what = format!("\"{group}\" is too long for the name of a group");
            table.refuse("names", Fault::new(what, format!("use a name of at most {NAME_LIMIT} bytes")));
        } else if names[..nth].iter().any(|other| group_of_name(other) == group) {
            let what = format!("two names make the group \"{group}\"");
            table.refuse("names", Fault::new(what, "leave one of them out"));
        }
    }
}

fn etcd(table: &mut Table<'_>) -> Etcd {
    let endpoints = table.list("endpoints", text(endpoint));
    needs_one(table, "endpoints", endpoints.len(), "endpoints = [\"http://10.0.0.51:2379\"]");
    let example = "prefix = \"/siplb/registrars/\"";
    Etcd { endpoints, prefix: table.need("prefix", example, String::new(), text(prefix)) }
}

fn needs_one(table: &Table<'_>, key: &'static str, count: usize, example: &str) {
    if !table.has(key) {
        table.refuse_absence(key, example);
    } else if count == 0 && table.is_empty_list(key) {
        table.refuse(key, Fault::new("names nothing", format!("write {example}")));
    }
}

/// A name that SRV records have: `_service._protocol.name`.
fn srv_name(word: &str) -> Result<String, Fault> {
    let name = word.strip_suffix('.').unwrap_or(word).to_ascii_lowercase();
    let is_label = |label: &str| {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=LABEL_LIMIT).contains(&label.len()) && label.bytes().all(is_legal)
    };
    let labels: Vec<&str> = name.split('.').collect();
    let is_name = name.len() <= DOMAIN_LIMIT && labels.iter().all(|label| is_label(label));
    if is_name && labels.len() >= 3 && labels[..2].iter().all(|label| label.starts_with('_')) {
        return Ok(name);
    }
    let mend = "write service, protocol and domain, such as _sip._udp.example.com";
    Err(Fault::new(format!("\"{word}\" is not the name of an SRV record"), mend))
}

/// The address of a name server, with a port if that is not 53.
fn resolver(word: &str) -> Result<SocketAddr, Fault> {
    let address = |word: &str| word.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT)).ok();
    word.parse().ok().or_else(|| address(word)).filter(|socket| socket.port() != 0).ok_or_else(|| {
        Fault::new(format!("\"{word}\" is not the address of a name server"), "give one such as 10.0.0.53")
    })
}

/// `http://HOST[:PORT]`
pub fn endpoint(word: &str) -> Result<Endpoint, Fault> {
    let wrong = |why: &str, mend: &str| Err(Fault::new(format!("\"{word}\" {why}"), mend));
    let example = "give one such as http://10.0.0.51:2379";
    if word.starts_with("https://") {
        return wrong(
            "takes TLS, which is not spoken with etcd yet",
            "use http:// on a network that is yours alone",
        );
    }
    let Some(rest) = word.strip_prefix("http://") else { return wrong("is not the URL of an etcd", example) };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':').or(Some(""))),
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let is_host =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte));
    match port.map_or(Ok(ETCD_PORT), str::parse) {
        Ok(port) if port != 0 && is_host => Ok(Endpoint { host: host.to_owned(), port }),
        _ => wrong("is not the URL of an etcd", example),
    }
}

/// What keys begin with, so that it ends in a slash.
pub fn prefix(word: &str) -> Result<String, Fault> {
    let trimmed = word.trim_end_matches('/');
    if trimmed.is_empty() {
        return Err(Fault::new(format!("\"{word}\" is no prefix"), "give one such as /siplb/registrars/"));
    }
    Ok(format!("{trimmed}/"))
}
