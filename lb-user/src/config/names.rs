//! What messages can name: VIPs and backends, by the text of hosts and ports as a Via, a Route or a Request-URI has it.
//!
//! Made from the configuration alone, for the planner to publish; `contradictions` holds it to one meaning for each
//! name. Names are of one VIP each: what names a backend behind one VIP names nothing at another.
//!
//! Some names are facts, the sockets of the VIP and its backends; the others are words that the operator wrote:
//! `names`, `domains`, `aliases`. A word may not name what a fact or an earlier word says otherwise; facts that
//! disagree with each other are what `sockets` refuses.
//!
//! Invariant of a configuration that agrees with itself: among the names of one VIP, each pair of host and port is there
//! once. A host with a name for any port can have names for single ports beside it only if it is a name of the VIP, and
//! those are of backends: the name with the port goes first.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use super::contradictions::Findings;
use super::host;
use super::model::{Config, Pool, Vip};

/// The port that a URI and a Via without one mean (RFC 3261 sections 18.2.2 and 19.1.2).
const SIP_PORT: u16 = 5060;

/// A host and port by which messages name something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The VIP at which it is a name, by its index.
    pub vip: usize,
    /// As it is compared: lower case, no trailing dot, IPv6 in brackets.
    pub host: String,
    /// The port; `None` is the host as written without one.
    pub port: Option<u16>,
    /// Does it hold for every port that may be written, too? Then `port` is `None`. A name of the same host with the
    /// port that is written goes first.
    pub any_port: bool,
    /// What it names.
    pub of: Named,
}

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// The VIP itself.
    Vip,
    /// A backend of its pool.
    Backend {
        /// Index of the pool.
        pool: usize,
        /// Index of the backend in it.
        backend: usize,
    },
}

/// All names of all VIPs, each once. What could not be read has none.
pub fn names(config: &Config) -> Vec<Name> {
    let mut names = Vec::new();
    for (index, vip) in config.vips.iter().enumerate() {
        let pool = config.pools.iter().position(|pool| pool.name == vip.pool);
        let claims = claims(config, Some(vip), pool);
        // What holds for any port makes single ports of the same thing superfluous.
        let wide: HashSet<(&str, Named)> = claims
            .iter()
            .filter(|claim| claim.ports == Ports::Any)
            .map(|claim| (&*claim.host, claim.of))
            .collect();
        let mut seen = HashSet::new();
        for claim in &claims {
            let key = (&*claim.host, claim.of);
            if (claim.ports == Ports::Any || !wide.contains(&key)) && seen.insert((key, claim.ports)) {
                let (port, any_port) = match claim.ports {
                    Ports::Any => (None, true),
                    Ports::Unwritten => (None, false),
                    Ports::One(port) => (Some(port), false),
                };
                names.push(Name { vip: index, host: claim.host.clone(), port, any_port, of: claim.of });
            }
        }
    }
    names
}

/// Which ports behind a host a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ports {
    /// Every one, and none.
    Any,
    /// None.
    Unwritten,
    /// This one.
    One(u16),
}

/// That a host and port name something, and where that is said.
struct Claim {
    host: String,
    ports: Ports,
    of: Named,
    said: Said,
}

/// Where a claim stands: in what is so, or in which word of which list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Said {
    Fact,
    Name(usize),
    Domain(usize),
    Alias(usize),
}

/// The claims of one VIP and its pool, facts before words. Without a VIP, those of a pool that is behind none.
fn claims(config: &Config, vip: Option<&Vip>, pool: Option<usize>) -> Vec<Claim> {
    let mut claims = Claims(Vec::new());
    let backends = || {
        let pool = pool
            .into_iter()
            .flat_map(|pool| config.pools[pool].backends.iter().enumerate().map(move |it| (pool, it)));
        pool.map(|(pool, (backend, it))| (Named::Backend { pool, backend }, it))
    };
    if let Some(vip) = vip {
        claims.socket(vip.address, vip.port, Named::Vip);
    }
    for (of, backend) in backends() {
        claims.socket(backend.address, backend.port, of);
        if let Some(own) = backend.own_port {
            claims.socket(backend.address, own.port, of);
            if let Some(vip) = vip {
                claims.socket(vip.address, own.vip_port, of);
            }
        }
    }
    if let Some(vip) = vip {
        let names = vip.names.iter().enumerate().map(|(nth, word)| (word, Said::Name(nth)));
        let domains = vip.domains.iter().enumerate().map(|(nth, word)| (word, Said::Domain(nth)));
        for (word, said) in names.chain(domains) {
            claims.word(word, Named::Vip, said);
        }
    }
    for (of, backend) in backends() {
        for (nth, word) in backend.aliases.iter().enumerate() {
            claims.word(word, of, Said::Alias(nth));
        }
    }
    claims.0
}

struct Claims(Vec<Claim>);

impl Claims {
    /// An address and port that something has.
    fn socket(&mut self, address: IpAddr, port: u16, of: Named) {
        if port == 0 || address.is_unspecified() {
            return;
        }
        let host = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        self.port(&host, port, of, Said::Fact);
    }

    /// A host, with or without a port, that the operator says is a name.
    fn word(&mut self, word: &str, of: Named, said: Said) {
        let (host, port) = host::split_port(word);
        match port.and_then(|port| port.parse().ok()) {
            Some(port) => self.port(host, port, of, said),
            None => self.add(host, Ports::Any, of, said),
        }
    }

    /// A host with one port, and without it where none means that one.
    fn port(&mut self, host: &str, port: u16, of: Named, said: Said) {
        self.add(host, Ports::One(port), of, said);
        if port == SIP_PORT {
            self.add(host, Ports::Unwritten, of, said);
        }
    }

    fn add(&mut self, host: &str, ports: Ports, of: Named, said: Said) {
        self.0.extend(spellings(host).into_iter().map(|host| Claim { host, ports, of, said }));
    }
}

/// A host in every spelling that is usual: an IPv6 address compressed (RFC 5952), in full, and in full with leading
/// zeros; and as it was given. Text is compared, not the address.
fn spellings(host: &str) -> Vec<String> {
    let mut all = vec![host.to_owned()];
    let reference = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = reference.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        let groups = |show: fn(u16) -> String| address.segments().map(show).join(":");
        let padded = groups(|group| format!("{group:04x}"));
        let full = groups(|group| format!("{group:x}"));
        for spelling in [address.to_string(), full, padded] {
            let spelling = format!("[{spelling}]");
            if !all.contains(&spelling) {
                all.push(spelling);
            }
        }
    }
    all
}

/// Refuses every word that names what something else is the name of.
pub(super) fn check(config: &Config, found: &mut Findings) {
    let without_vip = |pool: &Pool| config.vip_of(pool).is_none();
    for (index, vip) in config.vips.iter().enumerate() {
        let pool = config.pools.iter().position(|pool| pool.name == vip.pool);
        one_meaning(config, Some(index), &claims(config, Some(vip), pool), found);
    }
    for (index, _) in config.pools.iter().enumerate().filter(|(_, pool)| without_vip(pool)) {
        one_meaning(config, None, &claims(config, None, Some(index)), found);
    }
}

/// The same for the claims of one VIP. One complaint about a word is enough.
fn one_meaning(config: &Config, vip: Option<usize>, claims: &[Claim], found: &mut Findings) {
    let mut hosts: HashMap<&str, Vec<&Claim>> = HashMap::new();
    let mut told = HashSet::new();
    for claim in claims {
        let earlier = hosts.entry(&claim.host).or_default();
        let vip_port = vip.map(|vip| config.vips[vip].port);
        if claim.said != Said::Fact
            && let Some(other) = earlier.iter().find(|other| claim.contradicts(other, vip_port))
            && told.insert((claim.of, claim.said))
        {
            let (what, mend) = claim.fault(config, vip, other);
            found.refuse(claim.path(vip), what, mend);
        }
        earlier.push(claim);
    }
}

impl Claim {
    /// Does a claim about the same host say otherwise, or leave open which of the two holds?
    fn contradicts(&self, other: &Self, vip_port: Option<u16>) -> bool {
        if self.of == other.of {
            return false;
        }
        match (self.ports, other.ports) {
            (Ports::Any, Ports::One(port)) => self.of != Named::Vip || Some(port) == vip_port,
            (Ports::One(port), Ports::Any) => other.of != Named::Vip || Some(port) == vip_port,
            (Ports::Any, _) | (_, Ports::Any) => true,
            (here, there) => here == there,
        }
    }

    fn fault(&self, config: &Config, vip: Option<usize>, other: &Self) -> (String, &'static str) {
        let named = match (other.of, vip) {
            (Named::Backend { pool, backend }, _) => {
                format!("backend \"{}\"", config.pools[pool].backends[backend].name)
            }
            (Named::Vip, Some(vip)) => format!("the VIP {}", config.vips[vip].socket()),
            (Named::Vip, None) => "its VIP".to_owned(),
        };
        match (self.ports, other.ports) {
            (Ports::Any, Ports::One(port)) => (
                format!(
                    "\"{}\" is for any port, but \"{}:{port}\" already names {named}",
                    self.host, other.host
                ),
                "write the port that is meant, or let the host name one of the two",
            ),
            (Ports::One(port), Ports::Any) => (
                format!(
                    "\"{}:{port}\" is among the names of {named}: \"{}\" for any port",
                    self.host, other.host
                ),
                "write the port that is meant there, or let the host name one of the two",
            ),
            (Ports::One(port), _) => {
                (format!("\"{}:{port}\" already names {named}", self.host), "let it name one of the two")
            }
            _ => (format!("\"{}\" already names {named}", self.host), "let it name one of the two"),
        }
    }

    fn path(&self, vip: Option<usize>) -> String {
        let table = match (self.of, vip) {
            (Named::Backend { pool, backend }, _) => format!("pool[{pool}].backend[{backend}]"),
            (Named::Vip, Some(vip)) => format!("vip[{vip}]"),
            (Named::Vip, None) => "vip".to_owned(),
        };
        match self.said {
            Said::Fact => table,
            Said::Name(nth) => format!("{table}.names[{nth}]"),
            Said::Domain(nth) => format!("{table}.domains[{nth}]"),
            Said::Alias(nth) => format!("{table}.aliases[{nth}]"),
        }
    }
}
