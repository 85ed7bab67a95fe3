//! The whole siplb, as a process among real ones: its promises to whoever runs it, kept in network namespaces.
//!
//! Nothing here looks inside. The binary is the released one, the interfaces carry native XDP, users are registered on
//! real Kamailio by real sipp, and what is asserted is what an operator or a caller could see.
//!
//! The binary is `$SIPLB_BINARY`, or the one that `cargo xtask build` leaves.

mod backends;
mod bridged;
mod calls;
mod decap;
mod detection;
mod dialogs;
mod doctor;
mod drain;
mod explain;
mod fleet;
mod foreign;
mod groups;
mod handover;
mod health;
mod home;
mod keys;
mod large;
mod numbered;
mod paths;
mod pins;
mod privilege;
mod refusals;
mod reload;
mod servers;
mod sources;
mod stage;
mod survival;
