//! `rewrite`: what is done to a packet whose backend, or whose client, is known.

pub(crate) mod nat;
pub(crate) mod next_hop;
