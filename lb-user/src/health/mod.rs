//! What the checks say about each backend: up or down, and why.
//!
//! A check is one SIP OPTIONS over UDP. [`options`] writes it and reads what comes back, [`schedule`] says when to
//! send, [`state`] turns outcomes into health; these three are pure. [`prober`] drives them with sockets and time and
//! tells the daemon what changed. The daemon calls [`Prober::spawn`], [`Prober::update`] on every change of
//! configuration and network, and [`Prober::snapshot`] for `siplb status`.
//!
//! A check takes the way of the traffic ([`path`]): to the backend's own address where the pool's `forward` is `nat`, to
//! the VIP by the backend's MAC address in `dsr`, to the VIP in a packet to the backend in `ipip`. The VIP is an address
//! of the node too, which is why the latter two build frames (`packet`) and go by packet sockets (`wire`).
//!
//! Invariant: health follows from the outcomes of checks alone. What the operator wants of a backend (its state) and
//! what is in the lookup table are decided elsewhere and never feed back into it.
//!
//! How long a dead backend can go unnoticed: its first failing check starts at most `interval` after its death, `fall` of
//! them are needed, and the last one takes up to `timeout`: `fall x interval + timeout`, 3.5 s with the defaults. Where its
//! host refuses the port (its process died), a check fails at once and is repeated after 50 ms: `interval + (fall - 1) x
//! 50 ms`, and less where the datapath sees the refusal first. Under traffic through the node ([`silence`]) the first check
//! after a death does not wait for its time either.
mod check;
mod filter;
pub mod history;
pub mod options;
pub mod overload;
mod packet;
#[cfg(test)]
mod packet_tests;
pub mod path;
pub mod prober;
mod record;
pub mod schedule;
pub mod settings;
pub mod silence;
pub mod state;
mod task;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

pub use history::Cause;
pub use overload::Load;
pub use path::{Path, Way};
pub use prober::{Event, News, Prober, Target};
pub use record::{Counts, Status};
pub use settings::{CodePattern, Settings};
pub use silence::Silence;
pub use state::{Change, Health, Outcome};
