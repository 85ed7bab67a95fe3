//! Numbered SIP messages at a rate, what became of them, and what the machine spent on them: what `cargo xtask bench peers`
//! and `cargo xtask bench flood` measure with.
//!
//! ```text
//! Generator (a CPU of its own)              Sink (XDP on each server's interface)
//! Messages -> live frames -> client's veth ... -> number seen? latency? right server? -> Count
//!                    Idle: what each CPU had left meanwhile
//! ```
//!
//! The programs are `lb-ebpf/src/bin/load.rs`; what they share with this crate is `lb_common::load`. Everything that names
//! aya is in [`programs`].

mod account;
pub mod cost;
mod idle;
mod latency;
mod message;
mod pace;
pub mod programs;
mod search;
mod stat;

pub use account::{Account, within};
pub use idle::{Idle, Used, bind, bind_thread, put_first};
pub use latency::Latencies;
pub use message::{Ends, Kind, Messages, mac};
pub use pace::{Offered, Pace};
pub use programs::{Count, Programs};
pub use search::Search;
pub use stat::Stat;
