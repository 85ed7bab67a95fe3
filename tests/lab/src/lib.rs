//! A whole SIP service on one machine: clients, a node, second-stage servers, each in a network namespace.
//!
//! ```text
//!  client namespace          node namespace                 one namespace a backend
//!  198.51.100.10 callers     198.51.100.1  c0   b1 10.0.0.1 ---- eth0 10.0.0.11 Kamailio
//!  198.51.100.20 callees --- eth0               b2 10.0.0.1 ---- eth0 10.0.0.12 Kamailio
//!                            192.0.2.10 VIP, on lo          ...
//! ```
//!
//! Everybody has an IPv6 address as well. [`topology::Shape`] has what else there can be: one network for all backends, a
//! telephone behind a NAT, and a second node.
//!
//! `cargo xtask demo`, `cargo xtask soak` and the end-to-end tests build on it. The network is real (veth pairs, the kernel's own
//! forwarding), and so are the servers (Kamailio) and the traffic (sipp); only the wires are short.
//!
//! Invariant: whatever a [`Lab`] makes carries its name, so that [`clean`] removes all of it without having
//! been told anything: after a failure, after Ctrl-C, and also when the run that made it was killed.

pub mod baresip;
pub mod dnsmasq;
pub mod etcd;
pub mod handover;
pub mod interrupt;
pub mod kamailio;
pub mod keepalived;
mod lab;
pub mod netns;
pub mod numbered;
pub mod outage;
pub mod process;
pub mod siplb;
pub mod sipp;
pub mod topology;

pub use baresip::Baresip;
pub use dnsmasq::Dnsmasq;
pub use etcd::Etcd;
pub use kamailio::{Kamailio, Naming, Proxy};
pub use keepalived::Keepalived;
pub use lab::{Lab, clean};
pub use netns::Netns;
pub use process::Process;
pub use siplb::Siplb;
pub use sipp::{Seat, Sipp, Tally};
pub use topology::{Family, Shape, Topology};
