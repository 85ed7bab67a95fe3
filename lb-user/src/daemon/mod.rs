//! The daemon: keeps the datapath in the state that follows from the configuration, the operator's changes and the
//! checks, and answers on the control socket. Called by `siplb run`.
//!
//! One task owns everything ([`Core`]) and takes one event at a time: a change of health, of the network, a request, a
//! signal. Whatever happens, it makes a plan of what is known then and publishes it if it differs from what is live.
//!
//! Invariant: the daemon's end, however it comes, changes nothing in the datapath: it forwards on by what was published
//! last. Another daemon adopts it; `siplb detach` takes it off.
mod checks;
mod core;
mod course;
mod digests;
pub mod explain;
#[cfg(test)]
pub(crate) mod fixture;
pub mod journal;
mod live;
mod membership;
#[cfg(test)]
mod order_tests;
mod preview;
#[cfg(test)]
mod rule_tests;
mod run;
mod service;
mod setup;
#[cfg(test)]
mod source_tests;
mod sources;
mod stopwatch;
mod store;
mod suspicion;
mod targets;
#[cfg(test)]
mod tests;
mod view;
mod watchdog;

pub use core::Core;
pub(crate) use digests::digests;
pub use live::{InMemory, Live};
pub(crate) use preview::only_by_restart;
pub(crate) use run::block_on;
pub use run::run;
pub(crate) use setup::{local_addresses, sizes};
