//! What the daemon shows of its checks: the answer to `siplb health`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::core::Core;
use super::journal::shown_time;
use super::live::Live;
use crate::config;
use crate::control::Error;
use crate::control::error::Kind;
use crate::control::health::{Check, Counts, Health, Which};
use crate::health::history::{self, History};
use crate::health::state::Sign;
use crate::health::{Outcome, Status};
use crate::pool::path;

impl<D: Live> Core<D> {
    /// What the checks say of the backends that are asked after.
    ///
    /// # Errors
    /// When there are none of that name, or in that pool.
    pub fn checks(&self, which: &Which) -> Result<Vec<Health>, Error> {
        let known: BTreeMap<String, Status> =
            self.prober.snapshot().into_iter().map(|status| (status.backend.clone(), status)).collect();
        let is_meant = |pool: &config::Pool, backend: &config::Backend| {
            which.pool.as_ref().is_none_or(|name| *name == pool.name)
                && which.name.as_ref().is_none_or(|name| *name == backend.name)
        };
        let meant = self.desired.backends().filter(|(pool, backend)| is_meant(pool, backend));
        let shown = |(pool, backend): (&config::Pool, &config::Backend)| {
            let id = path(&pool.name, &backend.name);
            let status = known.get(&id)?;
            let history = self.prober.history(&id)?;
            Some(shown(pool, backend, status, &history, which.name.is_some()))
        };
        let shown: Vec<Health> = meant.filter_map(shown).collect();
        if shown.is_empty() && (which.name.is_some() || which.pool.is_some()) {
            return Err(not_found(which));
        }
        Ok(shown)
    }
}

fn not_found(which: &Which) -> Error {
    let name = which.name.as_ref().map_or("no backend".to_owned(), |name| format!("no backend \"{name}\""));
    let pool = which.pool.as_ref().map_or(String::new(), |pool| format!(" in a pool \"{pool}\""));
    Error::new(Kind::NotFound, format!("there is {name}{pool}"), "see `siplb backend list`")
}

fn shown(
    pool: &config::Pool,
    backend: &config::Backend,
    status: &Status,
    history: &History,
    is_whole: bool,
) -> Health {
    let settings = &backend.health;
    let kept = history.iter().count();
    let skipped = if is_whole { 0 } else { kept.saturating_sub(1) };
    let counts = status.counts;
    Health {
        pool: pool.name.clone(),
        name: backend.name.clone(),
        address: status.address,
        health: status.health.to_string(),
        since_s: status.for_duration.as_secs(),
        overloaded_for_s: status.spared_for.map(|time| time.as_secs()),
        streak: status.streak,
        fall: settings.fall,
        rise: settings.rise,
        interval_ms: whole_ms(settings.interval),
        timeout_ms: whole_ms(settings.timeout),
        round_trip_ms: status.round_trip.map(ms),
        counts: Counts {
            passed: counts.passed,
            failed: counts.failed,
            not_made: counts.not_made,
            requests: counts.requests,
            strays: counts.strays,
        },
        checks: history.iter().skip(skipped).map(check).collect(),
    }
}

fn check(check: &history::Check) -> Check {
    let (code, round_trip) = match check.outcome {
        Outcome::Answer { code, round_trip, .. } => (Some(code), Some(round_trip)),
        _ => (None, None),
    };
    let result = match check.sign {
        Sign::Passed => "passed",
        Sign::Failed => "failed",
        Sign::None => "not-made",
    };
    Check {
        time: Timestamp::try_from(check.at).map(shown_time).unwrap_or_default(),
        result: result.to_owned(),
        code,
        round_trip_ms: round_trip.map(ms),
        took_ms: ms(check.took),
        requests: check.requests,
        cause: check.cause.to_string(),
        outcome: check.outcome.to_string(),
    }
}

/// Milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
