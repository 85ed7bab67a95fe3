//! What `GET /v1/health` answers and `siplb health` prints. As [`super::api`]: it may grow, and doesn't change.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Query of `GET /v1/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// The backend; all of them without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its pool, where the name alone is not enough; alone, all of that pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// What the checks say of one backend, and how they came to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Its pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Where it takes SIP.
    pub address: SocketAddr,
    /// `up` or `down`.
    pub health: String,
    /// For how many seconds it has been so.
    pub since_s: u64,
    /// For how many more seconds it is spared, where it has asked for less (503).
    pub overloaded_for_s: Option<u64>,
    /// Checks in a row that speak against its health.
    pub streak: u32,
    /// How many it takes to take it down.
    pub fall: u32,
    /// How many it takes to bring it back.
    pub rise: u32,
    /// From the start of one check to that of the next, at most.
    pub interval_ms: u64,
    /// How long a check waits for an answer.
    pub timeout_ms: u64,
    /// Round trip of the last check that was answered.
    pub round_trip_ms: Option<f64>,
    /// What happened since it is checked at its address.
    pub counts: Counts,
    /// The last checks, the oldest first: 32 of one backend that was asked after by name, otherwise the last one.
    pub checks: Vec<Check>,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Checks that passed.
    pub passed: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that this node could not make, which count for neither side.
    pub not_made: u64,
    /// Requests sent, retransmissions included.
    pub requests: u64,
    /// Datagrams that answered no check, or one that was over.
    pub strays: u64,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// When it was begun, as RFC 3339 has it.
    pub time: String,
    /// `passed`, `failed` or `not-made`.
    pub result: String,
    /// The status code of the answer, if there was one.
    pub code: Option<u16>,
    /// From the first request to the answer.
    pub round_trip_ms: Option<f64>,
    /// How long it took, however it ended.
    pub took_ms: f64,
    /// Requests sent: 1, and the retransmissions.
    pub requests: u64,
    /// Why it was made when it was: `scheduled`, `refused` (the one before was), `port-unreachable` (seen by the datapath) or
    /// `silent` (packets went there and none came back).
    pub cause: String,
    /// How it ended, in words.
    pub outcome: String,
}
