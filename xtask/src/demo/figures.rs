//! What came of the demo: its JSON, its table, and what of it would be a broken promise.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// The figures; the serialized ones are stable.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) users: u64,
    pub(super) registered: u64,
    pub(super) calls: u64,
    pub(super) calls_ok: u64,
    pub(super) not_found: u64,
    /// Users registered on each server, by the server's own word.
    pub(super) per_backend: BTreeMap<String, u64>,
    pub(super) killed: String,
    /// From the SIGKILL to `siplb status` saying that the server is down.
    pub(super) detected_ms: u64,
    /// Calls to users of the other servers, from before the kill until after it was seen.
    pub(super) other_users_calls: u64,
    pub(super) other_users_failed: u64,
    /// Complete calls to the killed server's users, after they had registered anew.
    pub(super) after_reregister_ok: u64,
    /// Calls to them that failed once the server was back; they are on its stand-ins still.
    pub(super) after_return_failed: u64,
    #[serde(skip)]
    pub(super) story: Killed,
}

/// What only the table tells, all about the killed server and its users.
#[derive(Debug)]
pub(super) struct Killed {
    pub(super) victims: u64,
    pub(super) reregistered: u64,
    /// Where they registered while their server was dead.
    pub(super) stand_ins: Vec<(String, u64)>,
    pub(super) sent_again_meanwhile: u64,
    /// From its answering again to `siplb status` saying that it is up.
    pub(super) back: Duration,
    pub(super) after_return_not_found: u64,
    pub(super) others_failed_after_return: u64,
    /// Of its users, after they were sent home.
    pub(super) registered_at_home: u64,
    pub(super) called_at_home: u64,
}

impl Figures {
    /// What should not have happened.
    pub(super) fn broken_promises(&self) -> Vec<String> {
        let story = &self.story;
        let on_servers: u64 = self.per_backend.values().sum();
        let promises = [
            (
                self.registered == self.users,
                format!("{} of {} users registered", self.registered, self.users),
            ),
            (on_servers == self.users, format!("the servers know {on_servers} of {} users", self.users)),
            (self.per_backend.values().all(|&users| users > 0), "a server was left without users".to_owned()),
            (self.calls_ok == self.users, format!("{} of {} calls were complete", self.calls_ok, self.users)),
            (self.other_users_calls > 0, "nobody was called while the server died".to_owned()),
            (
                self.other_users_failed == 0,
                format!("{} calls to others' users failed", self.other_users_failed),
            ),
            (
                self.after_reregister_ok == story.victims,
                format!("{} of {} could be called on stand-ins", self.after_reregister_ok, story.victims),
            ),
            (
                story.others_failed_after_return == 0,
                format!("the return cost {} others a call", story.others_failed_after_return),
            ),
            (
                self.after_return_failed == 0,
                format!("the return cost {} of its own users a call", self.after_return_failed),
            ),
            (
                story.called_at_home == story.victims,
                format!("{} of {} could be called at home again", story.called_at_home, story.victims),
            ),
        ];
        promises.into_iter().filter(|(kept, _)| !kept).map(|(_, breach)| breach).collect()
    }

    fn rows(&self) -> Vec<[String; 2]> {
        let Self { users, killed, story, .. } = self;
        let victims = story.victims;
        let spread: Vec<_> =
            self.per_backend.iter().map(|(server, users)| (server.clone(), *users)).collect();
        vec![
            ["users registered through the VIP".into(), format!("{} of {users}", self.registered)],
            ["where they are, by the servers' own word".into(), list(&spread)],
            [
                "complete calls (INVITE, 200, ACK, BYE, 200)".into(),
                format!("{} of {}", self.calls_ok, self.calls),
            ],
            ["not found (404)".into(), self.not_found.to_string()],
            [format!("{killed} killed with SIGKILL, out after"), format!("{} ms", self.detected_ms)],
            [
                "calls to the others' users meanwhile".into(),
                format!(
                    "{}, {} failed, {} messages sent again",
                    self.other_users_calls, self.other_users_failed, story.sent_again_meanwhile
                ),
            ],
            [
                format!("{killed}'s users registered again"),
                format!("{} of {victims}: {}", story.reregistered, list(&story.stand_ins)),
            ],
            ["complete calls to them".into(), format!("{} of {victims}", self.after_reregister_ok)],
            [format!("{killed} started again, back in after"), format!("{} ms", story.back.as_millis())],
            [
                "calls to its users, who stay on the stand-ins".into(),
                format!(
                    "{} failed, {} of them with 404",
                    self.after_return_failed, story.after_return_not_found
                ),
            ],
            ["calls to everybody else".into(), format!("{} failed", story.others_failed_after_return)],
            [
                format!("{killed}'s users sent home, registered again"),
                format!("{} of {victims}", story.registered_at_home),
            ],
            ["complete calls to them".into(), format!("{} of {victims}", story.called_at_home)],
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["what was done", "what came of it"]).add_rows(self.rows());
        writeln!(out, "{table}")?;
        let Self { killed, .. } = self;
        write!(
            out,
            "
The return of {killed} moved nobody: its users had registered on its stand-ins meanwhile. They went home when
`siplb backend ready {killed} --now` said so; by itself that is a handover, after the pool's hold-down.
These registrars do not record-route: ACK and BYE went by the user in the callee's Contact, and
responses by the server's address in Via."
        )
    }
}

/// `b1 250, b2 250`.
fn list(counts: &[(String, u64)]) -> String {
    counts.iter().map(|(server, count)| format!("{server} {count}")).collect::<Vec<_>>().join(", ")
}
