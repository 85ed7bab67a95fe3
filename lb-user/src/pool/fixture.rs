//! Changes as tests ask for them.

use super::changes::Named;
use super::{Change, NewBackend};

/// A backend whose name is enough.
pub(crate) fn named(name: &str) -> Named {
    Named { pool: None, name: name.to_owned() }
}

/// A new backend of pool `p`, in a group of its own.
pub(crate) fn addition(name: &str, address: &str) -> Change {
    let backend = NewBackend {
        name: name.into(),
        address: address.parse().unwrap(),
        port: 5060,
        group: None,
        priority: 0,
        weight: None,
        aliases: Vec::new(),
    };
    Change::Add { pool: "p".into(), backend }
}
