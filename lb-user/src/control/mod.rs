//! The control socket: HTTP and JSON over a Unix socket, so that `curl --unix-socket` works as well as `siplb` does.
//!
//! [`api`] has what is asked and answered, for both sides; [`server`] hands requests to whoever serves them, in the
//! running program the daemon; [`client`] is what the command line asks through.
//!
//! | method and path | does |
//! | --- | --- |
//! | `GET /v1/status` | everything that is known |
//! | `GET /v1/backends` | all backends |
//! | `POST /v1/backends` | adds one |
//! | `DELETE /v1/backends/NAME?pool=P` | removes one |
//! | `PUT /v1/backends/NAME/state?pool=P` | sets what is wanted of it |
//! | `PUT /v1/backends/NAME/weight?pool=P` | sets the weight of its group |
//! | `DELETE /v1/backends/NAME/changes?pool=P` | goes back to what the file says of it |
//! | `POST /v1/plan` | what a change would do |
//! | `GET /v1/lookup?uri=U&pool=P&vip=V` | who owns a user |
//! | `GET /v1/digest` | one number for each lookup table |
//! | `GET /v1/health?name=N&pool=P` | the last checks of one backend, or the last one of each |
//! | `GET /v1/events?since=N&wait_s=S` | what happened after event N, or the next thing to happen within S seconds |
//! | `POST /v1/explain` | runs packets through the live program |
//! | `POST /v1/reload` | reads the configuration file again |
//! | `GET /metrics` | figures for monitoring, as text |
//!
//! An error is `{"error": what, "mend": how}` with status 400 (bad request), 404 (no such thing), 409 (contradicts what
//! is there) or 500 (tried and failed). A request that is refused has changed nothing.
pub mod api;
mod asker;
pub mod client;
pub mod difference;
pub mod error;
pub mod health;
pub mod proposal;
pub mod scrape;
pub mod server;
#[cfg(test)]
mod tests;

pub use error::Error;
