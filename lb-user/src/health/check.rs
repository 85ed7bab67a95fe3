//! One check, made: the request, its retransmissions and the wait for the answer, over a transport of its own. Called by
//! the prober's task for each backend, once an interval.
use std::{net::SocketAddr, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Outcome,
    options::{Reading, Request},
    path::Path,
    schedule,
    transport::Transport,
    wire::Wire,
};

/// As much of a datagram as is looked at. The headers that matter come first; a longer answer is read cut off.
const READ_BYTES: usize = 4096;

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// How it ended.
    pub(super) outcome: Outcome,
    /// What came along the way.
    pub(super) traffic: Traffic,
}

/// Datagrams of one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Requests sent, the first one included.
    pub(super) sent: u64,
    /// Datagrams from the backend that did not answer this check.
    pub(super) strays: u64,
    /// What was wrong with the last one that was no SIP, if any was not.
    flaw: Option<&'static str>,
}

/// The answer that ends a check.
struct Final {
    code: u16,
    retry_after: Option<Duration>,
}

/// Checks `backend` once, by `path`. Takes `timeout` at most; in haste it sends again sooner.
pub(super) async fn run(
    backend: SocketAddr,
    path: &Path,
    timeout: Duration,
    is_hasty: bool,
    wire: &Wire,
) -> Report {
    let (started, mut traffic) = (Instant::now(), Traffic::default());
    let conversation = async {
        let transport = Transport::open(backend, path, wire).await?;
        converse(transport, (timeout, is_hasty), &mut traffic).await
    };
    let outcome = match timeout_at(started + timeout, conversation).await {
        Ok(Ok(Final { code, retry_after })) => {
            Outcome::Answer { code, round_trip: started.elapsed(), retry_after }
        }
        Ok(Err(failure)) => failure,
        // A stranger's garbage must not end a check that a good answer could still pass, so it counts only now.
        Err(_) => traffic.flaw.map_or(Outcome::Timeout { after: timeout }, Outcome::Malformed),
    };
    Report { outcome, traffic }
}

/// Sends and listens until a final answer comes: the answer, or what ended the check without one.
async fn converse(
    mut transport: Transport,
    (timeout, is_hasty): (Duration, bool),
    traffic: &mut Traffic,
) -> Result<Final, Outcome> {
    let started = Instant::now();
    let (from, to) = transport.ends();
    let request = Request::new(from, to, &mut rand::rng());
    let mut sendings = schedule::sendings(timeout, is_hasty).map(|offset| started + offset).peekable();
    let mut datagram = [0; READ_BYTES];
    loop {
        let due = sendings.peek().copied();
        tokio::select! {
            // Sending first: however much comes in, the request goes out again when it should.
            biased;
            () = sleep_until(due.unwrap_or(started)), if due.is_some() => {
                sendings.next();
                transport.send(request.as_bytes()).await?;
                traffic.sent += 1;
            }
            length = transport.receive(&mut datagram) => match request.read(&datagram[..length?]) {
                Reading::Final { code, retry_after_s } => {
                    let retry_after = retry_after_s.map(|seconds| Duration::from_secs(seconds.into()));
                    return Ok(Final { code, retry_after });
                }
                Reading::Provisional => {}
                Reading::Stray => traffic.strays += 1,
                Reading::Malformed(flaw) => {
                    traffic.strays += 1;
                    traffic.flaw = Some(flaw);
                }
            },
        }
    }
}
