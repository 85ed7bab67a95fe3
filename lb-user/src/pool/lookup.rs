//! Who owns a user: the question of `siplb lookup`, answered by the scanner that the kernel program runs too.

use lb_common::decide::{Decision, OnHost, Source, decide};
use lb_common::layout::{Address, KeyKind, Named, Port};
use lb_common::reason::Reason;
use lb_common::sip::{Bytes, Message, user};
use lb_common::slot::slot;
use serde::{Deserialize, Serialize};

use super::planner::rules;
use super::{Desired, Plan};
use crate::config::{Config, KeyRule, Vip};

/// The owner of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The URI that was asked about.
    pub uri: String,
    /// The canonical user in it, as it was written, percent-encoded where it is not printable ASCII.
    pub key: String,
    /// Its slot.
    pub slot: u32,
    /// The group that has the slot now.
    pub group: Option<String>,
    /// The backend that serves the group now.
    pub backend: Option<String>,
    /// The pool.
    pub pool: String,
    /// The VIP in front of it.
    pub vip: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nothing in it that a user's requests could go by.
    #[error("{0:?} names no user")]
    NoUser(String),
    /// No VIP like that.
    #[error("there is no such VIP or pool: {0}")]
    NoVip(String),
    /// Several VIPs, and none was named.
    #[error("there are {} VIPs: {}", .0.len(), .0.join(", "))]
    Ambiguous(Vec<String>),
    /// The pool has other keys.
    #[error("pool {pool} goes by {key}, not by user")]
    OtherKey {
        /// The pool.
        pool: String,
        /// Its key.
        key: KeyRule,
    },
}

impl LookupError {
    /// How to mend it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::NoUser(_) => "give a URI with a user, such as sip:alice@example.com or tel:+12015550123",
            Self::NoVip(_) => "`siplb status` lists VIPs and pools",
            Self::Ambiguous(_) => "say which with --vip ADDRESS:PORT or --pool NAME",
            Self::OtherKey { .. } => "ask `siplb explain` with a whole message",
        }
    }
}

/// Which VIP is meant, where there are several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which<'a> {
    /// The name of its pool.
    pub pool: Option<&'a str>,
    /// Its address and port.
    pub vip: Option<&'a str>,
}

/// Says who owns the user of `uri`.
///
/// # Errors
/// When the URI has no user, the VIP is not clear, or the pool's key is not the user.
pub fn lookup(
    uri: &str,
    which: Which<'_>,
    desired: &Desired,
    plan: &Plan,
    seed: u64,
) -> Result<Owner, LookupError> {
    let vip = find(&desired.config, which)?;
    let pool = desired.config.pool(&vip.pool).ok_or_else(|| LookupError::NoVip(vip.pool.clone()))?;
    if matches!(pool.key, KeyRule::CallId | KeyRule::Source) {
        return Err(LookupError::OtherKey { pool: pool.name.clone(), key: pool.key });
    }
    let mut rules = rules(vip, Some(pool), seed);
    if pool.key == KeyRule::From {
        // A user is looked up by the same hash, wherever his requests name him.
        rules.key = KeyKind::User as u8;
    }
    let no_user = || LookupError::NoUser(uri.to_owned());
    if uri.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        return Err(no_user());
    }
    let text = format!("OPTIONS {uri} SIP/2.0\r\n\r\n");
    let message = Bytes::new(text.as_bytes());
    let nowhere = Source { address: Address::default(), port: Port::default() };
    // A user is asked for, not a server: no name counts.
    let at_vip = OnHost::new(text.as_bytes(), &rules, |_, _| Named::NOBODY);
    let Decision { reason: Reason::Forwarded, key, .. } = decide(at_vip, &nowhere) else {
        return Err(no_user());
    };
    let slot = slot(key.hash);
    let group = plan.pool(&pool.name).and_then(|pool| pool.owner(slot as usize));
    Ok(Owner {
        uri: uri.to_owned(),
        key: canonical_user(message, key.at, key.end, rules.number_tail),
        slot,
        group: group.map(|group| group.name.clone()),
        backend: group.and_then(|group| group.active.as_ref()).map(|(name, _)| name.clone()),
        pool: pool.name.clone(),
        vip: vip.socket().to_string(),
    })
}

/// The canonical user of a user part, for people.
pub(crate) fn canonical_user(message: Bytes<'_>, at: u64, end: u64, number_tail: u8) -> String {
    let user = user::canonical(message, at, end.min(message.len()), number_tail);
    printable(&user.bytes()[..user.length as usize])
}

/// Text for people and JSON: percent-encoded where it is not printable ASCII.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let show = |byte: &u8| match byte {
        0x21..=0x7e if *byte != b'%' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(show).collect()
}

fn find<'a>(config: &'a Config, which: Which<'_>) -> Result<&'a Vip, LookupError> {
    let fits = |vip: &&Vip| {
        which.pool.is_none_or(|pool| pool == vip.pool)
            && which
                .vip
                .is_none_or(|text| text == vip.socket().to_string() || text == vip.address.to_string())
    };
    let fitting: Vec<&Vip> = config.vips.iter().filter(fits).collect();
    match fitting.as_slice() {
        [vip] => Ok(vip),
        [] => Err(LookupError::NoVip(which.vip.or(which.pool).unwrap_or("none is configured").to_owned())),
        several => Err(LookupError::Ambiguous(several.iter().map(|vip| vip.socket().to_string()).collect())),
    }
}
