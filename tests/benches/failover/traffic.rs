//! Numbered requests through siplb, and what became of each.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use siplb_lab::{
    Lab,
    numbered::{Running, listen, number, send, server, socket},
    outage::{Answer, Request},
    topology::CALLERS,
};

/// Between two requests: 1,000 a second, 125 to each of eight groups.
pub(crate) const PERIOD: Duration = Duration::from_millis(1);
/// Users, in turn; each group has about fifty.
const USERS: u64 = 400;

/// Traffic that runs until this is dropped. The sender ends before the listener.
pub(crate) struct Traffic {
    begun: Instant,
    log: Arc<Mutex<Vec<Request>>>,
    _sender: Running,
    _listener: Running,
}

impl Traffic {
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let begun = Instant::now();
        let log = Arc::<Mutex<Vec<Request>>>::default();
        let client = socket(&lab.topology().client, CALLERS, 0)?;
        let (answers, answered) = (client.try_clone()?, Arc::clone(&log));
        let listener = Running::spawn(move |stop| {
            listen(&answers, stop, |text| {
                let at = begun.elapsed();
                let name = server(text).and_then(|name| name.strip_prefix('b')?.parse().ok());
                if let (Some(number), Some(server)) = (number(text), name)
                    && let Some(request) = locked(&answered).get_mut(number as usize)
                {
                    request.answer.get_or_insert(Answer { server, at });
                }
            });
        });
        let sent = Arc::clone(&log);
        let sender = Running::spawn(move |stop| {
            let told = send(&client, PERIOD, USERS, stop, |_| {
                locked(&sent).push(Request { sent: begun.elapsed(), answer: None });
            });
            if let Err(error) = told {
                // What is not sent is missed by who waits for it.
                eprintln!("failover: the sender ended: {error:#}");
            }
        });
        Ok(Self { begun, log, _sender: sender, _listener: listener })
    }

    /// Time since it began.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What was sent so far.
    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<Request>> {
        locked(&self.log)
    }
}

/// Answers on a backend's socket, for ever: the process that runs it is killed.
pub(crate) fn serve_for_ever(arguments: &[String]) -> Result<()> {
    let [address, name] = arguments else { anyhow::bail!("a server takes an address and a name") };
    let socket = siplb_lab::numbered::socket_here(address.parse().context("an address and a port")?)?;
    siplb_lab::numbered::serve(&socket, name, &false.into(), |_| ());
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
