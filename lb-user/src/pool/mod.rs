//! What is wanted, brought together with what is up: one image of the datapath.
//!
//! In the order in which a change travels: [`changes`] holds what the operator changed at run time, [`desired`] lays it
//! over the configuration file ([`runtime`] tells what of it goes before the file), [`handover`] leads each pool from the
//! [`roster`] in effect to the one that is wanted, [`election`] says which member of each group serves and which groups keep
//! their slots, [`Planner`] makes a [`Plan`] of it with the numbers that [`ids`] gives out, [`lookup`] and [`digest`] answer
//! questions about a plan, and [`moves`] and [`preview`] say what turning one into another means for the users. Called by the
//! daemon on every change, and by the verbs that work from a file alone.
//!
//! Invariant: a plan follows from configuration, changes, courses, health, network and ids alone. Neither the order in
//! which they came about nor any earlier plan matters, so that every node that knows the same decides the same. What has
//! a history is in the courses alone: who is away, and which handover is under way.
pub mod changes;
mod courses;
mod deal;
pub mod desired;
pub mod digest;
pub mod election;
mod facts;
#[cfg(test)]
pub(crate) mod fixture;
pub mod handover;
#[cfg(test)]
mod handover_tests;
pub mod ids;
pub mod lookup;
pub mod moves;
mod plan;
mod planner;
pub mod preview;
pub mod roster;
pub mod runtime;
#[cfg(test)]
mod tests;

pub use changes::{Change, Changes, NewBackend, Refusal, State};
pub use courses::Courses;
pub use desired::Desired;
pub use facts::Facts;
pub use handover::{Course, Windows};
pub use ids::Ids;
pub use plan::{GroupPlan, HandoverPlan, Plan, PoolPlan};
pub use planner::Planner;
pub use roster::Roster;

/// The name of a pool's member, backend or group, that is unique in the configuration: names hold no slash.
pub fn path(pool: &str, name: &str) -> String {
    format!("{pool}/{name}")
}
