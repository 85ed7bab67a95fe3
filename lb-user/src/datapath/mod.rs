//! The kernel program: load, adopt, publish, count, run. This folder alone names aya.
//!
//! Program, maps and links are pinned under `PIN-DIR/v<ABI>/`, so that traffic flows on when the daemon ends, however it
//! ends. A daemon that starts finds the pins, compares them with what it would have made, and adopts them, replacing the
//! program in place where its own differs. Called by `daemon` and by the verbs that work without one.

mod attach;
mod counters;
pub mod decap;
mod elders;
mod error;
mod events;
mod explain;
mod grace;
mod held;
pub mod image;
#[cfg(feature = "log")]
mod kernel_log;
mod lowered;
mod mapping;
mod maps;
mod memory;
mod meta;
mod object;
mod open;
mod pins;
mod probed;
mod publish;
mod scan_loop;
mod transactions;
mod unnamed;
mod watchdog;
mod xdp_on;

pub use attach::{Attached, Mode, detach};
pub use counters::Counters;
pub use error::{AttachError, DatapathError, DecapError, OpenError};
pub use events::Events;
pub use explain::{Explained, Explainer, Runs};
pub use grace::can_wait;
pub use held::Pins;
pub use image::Image;
pub use memory::memory_of_maps;
pub use object::{Code, Sizes};
pub use open::{Adopted, Datapath};
pub use pins::is_on_bpffs;
pub use scan_loop::ScanLoop;
pub use unnamed::Unnamed;
pub use watchdog::{Pinned, SILENCE, Vitals, boot_time_ns};
pub use xdp_on::{Carried, Program, carried};
