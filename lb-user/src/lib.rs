//! The control plane of siplb: configuration, pool logic, health, the datapath's loader and the daemon.
//!
//! The modules, in the order a change travels: `config` (and the control socket's requests) say what is wanted,
//! `health` says what is up, `pool` makes one image of both with the slots that `table` deals out, `datapath`
//! publishes that image to the kernel. `daemon` drives them; `cli` talks to `daemon` through `control`. `doctor` says whether
//! this machine can run it all.
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod datapath;
pub mod doctor;
pub mod health;
pub mod metrics;
pub mod net;
pub mod pool;
pub mod source;
pub mod table;
