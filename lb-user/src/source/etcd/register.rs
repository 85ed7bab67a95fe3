//! `siplb register`: keeps a backend's key in etcd for as long as it runs, and not much longer.
//!
//! The key hangs on a lease, which is renewed three times in its time to live. When nobody renews it any more, because
//! the machine or its network is gone, etcd removes the key; when the registration ends in order, it removes it itself.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep;

use super::EtcdError;
use super::client::Client;
use super::messages::{Grant, KeptAlive, Lease, Nothing, OfLease, Put, encoded};
use crate::config::{Etcd, Member};

/// Pause before etcd is asked again that did not answer.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Registers a member below the prefix until `end` comes, and takes it out then. Whatever fails on the way is logged, and
/// tried again.
pub async fn register(etcd: &Etcd, member: &Member, ttl: Duration, end: impl Future<Output = ()>) {
    let mut registration =
        Registration { client: Client::new(etcd.endpoints.clone()), etcd, member, ttl, lease: None };
    tokio::select! {
        () = end => {}
        () = registration.keep() => {}
    }
    registration.end().await;
}

struct Registration<'a> {
    client: Client,
    etcd: &'a Etcd,
    member: &'a Member,
    ttl: Duration,
    lease: Option<u64>,
}

impl Registration<'_> {
    /// Without end.
    async fn keep(&mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.step().await {
                Ok(()) => {
                    pause = PAUSE_MIN;
                    sleep(self.ttl / 3).await;
                }
                Err(error) => {
                    log::warn!(
                        "{} is not registered, or not for long: {error}; trying again",
                        self.member.name
                    );
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Renews the lease, or takes a new one and writes the key.
    async fn step(&mut self) -> Result<(), EtcdError> {
        if let Some(lease) = self.lease {
            let kept: KeptAlive =
                self.client.ask("/v3/lease/keepalive", &OfLease { id: lease.to_string() }).await?;
            match kept {
                KeptAlive { result: Some(Lease { ttl: 1.., .. }), .. } => return Ok(()),
                KeptAlive { error, .. } => {
                    let why = error.map(|error| error.message).unwrap_or_default();
                    log::warn!("{}: the lease is over, taking a new one {why}", self.member.name);
                    self.lease = None;
                }
            }
        }
        let grant = Grant { ttl: self.ttl.as_secs().to_string() };
        let Lease { id, ttl } = self.client.ask("/v3/lease/grant", &grant).await?;
        self.lease = Some(id);
        let key = format!("{}{}", self.etcd.prefix, self.member.name);
        let value = serde_json::to_vec(self.member).unwrap_or_default();
        let put = Put { key: encoded(key.as_bytes()), value: encoded(&value), lease: id.to_string() };
        let put: Result<Nothing, EtcdError> = self.client.ask("/v3/kv/put", &put).await;
        if put.is_err() {
            // A lease without the key would be renewed for nothing.
            self.lease = None;
        }
        put?;
        // A cluster that takes long to elect a leader gives more than was asked for.
        log::info!("{key} is registered, for {ttl} s at a time");
        Ok(())
    }

    /// Takes the key out.
    async fn end(&mut self) {
        let Some(lease) = self.lease else { return };
        let revoked: Result<Nothing, EtcdError> =
            self.client.ask("/v3/lease/revoke", &OfLease { id: lease.to_string() }).await;
        match revoked {
            Ok(_) => log::info!("{} is registered no more", self.member.name),
            Err(error) => log::warn!(
                "{} stays registered until its lease is over, in {} s at most: {error}",
                self.member.name,
                self.ttl.as_secs()
            ),
        }
    }
}
