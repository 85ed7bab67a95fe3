//! What monitoring reads: the daemon's status, or what the pins tell without one, as text in the format that Prometheus
//! scrapes (OpenMetrics 1.0).
//!
//! [`of_status`] and [`of_pins`] make plain series of it, purely; they are made anew for each scrape, so that there is one
//! account of what was counted: the datapath's. Called by `control` for `GET /metrics`, and by `siplb metrics`.
//!
//! Invariant: every configured VIP, group and backend has all its series from the start, every reason included.
mod series;
#[cfg(test)]
mod tests;

use lb_common::reason::Reason;

use crate::control::api::{Backend, Pool, Reasons, Status, Traffic};
use crate::datapath::Pinned;
use crate::pool::State;
use series::{Labels, Series, labels};

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The label of what is counted for no VIP.
const NO_VIP: &str = "none";

/// What a daemon knows.
pub fn of_status(status: &Status) -> String {
    let mut series = of_daemon(status);
    series.extend(of_vips(status));
    series.extend(of_pools(&status.pools));
    series.extend(of_backends(&status.pools));
    series::text(series)
}

/// What the pins tell of a datapath whose daemon does not answer.
pub fn of_pins(pinned: &Pinned) -> String {
    let mut series = vec![
        Series::gauge("daemon_answers", "Does a daemon answer?").with([], 0_u64),
        Series::gauge("generation", "Number of the live state").with([], u64::from(pinned.generation)),
        Series::counter("alone_seconds", ALONE_SECONDS).with([], pinned.vitals.alone_ns as f64 / 1e9),
        Series::counter("alone_packets", ALONE_PACKETS).with([], pinned.vitals.alone_packets),
        Series::gauge("packets_since_heartbeat", "Packets forwarded since the last heartbeat")
            .with([], pinned.packets_since),
    ];
    let heartbeat = pinned.silence.map(|silence| silence.as_secs_f64());
    series.extend(heartbeat.map(|age| Series::gauge("heartbeat_age_seconds", HEARTBEAT).with([], age)));
    series::text(series)
}

const HEARTBEAT: &str = "Seconds since the daemon left its last heartbeat in the datapath";
const ALONE_SECONDS: &str =
    "Seconds that the datapath was without a daemon, silences of more than three seconds";
const ALONE_PACKETS: &str = "Packets forwarded while the datapath was without a daemon";

fn of_daemon(status: &Status) -> Vec<Series> {
    let watchdog = &status.watchdog;
    let info = labels([("version", &status.version), ("hash_key", &status.fingerprint)]);
    let mut series = vec![
        Series::gauge("info", "Version of the daemon, and fingerprint of its hash key").with(info, 1_u64),
        Series::gauge("daemon_answers", "Does a daemon answer?").with([], 1_u64),
        Series::gauge("uptime_seconds", "Seconds since the daemon started").with([], status.uptime_s),
        Series::gauge("generation", "Number of the live state").with([], u64::from(status.generation)),
        Series::counter("alone_seconds", ALONE_SECONDS).with([], watchdog.alone_s),
        Series::counter("alone_packets", ALONE_PACKETS).with([], watchdog.alone_packets),
        Series::counter("publish_failures", "Attempts to publish a state that failed")
            .with([], watchdog.publish_failures),
        Series::gauge("pins_kept", "Are program, maps and links pinned, so that they outlive the daemon?")
            .with([], u64::from(watchdog.pins_lost.is_none())),
    ];
    let age = watchdog.heartbeat_age_s;
    series.extend(age.map(|age| Series::gauge("heartbeat_age_seconds", HEARTBEAT).with([], age)));
    series
}

/// By VIP and reason, those included that were never given.
fn of_vips(status: &Status) -> Vec<Series> {
    let mut packets = Series::counter("packets", "Packets, by VIP and reason");
    let mut bytes = Series::counter("bytes", "Bytes of whole frames, by VIP and reason");
    let vips = status.vips.iter().map(|vip| {
        let socket = std::net::SocketAddr::new(vip.address, vip.port);
        (format!("{socket}/{}", vip.transport), &vip.reasons)
    });
    for (vip, reasons) in vips.chain([(NO_VIP.to_owned(), &status.no_vip)]) {
        for (reason, verdict, traffic) in every_reason(reasons) {
            let labels = labels([("vip", &vip), ("reason", &reason), ("verdict", &verdict)]);
            packets = packets.with(labels.clone(), traffic.packets);
            bytes = bytes.with(labels, traffic.bytes);
        }
    }
    vec![packets, bytes]
}

/// All that are known, and those of a newer program that were counted.
fn every_reason(counted: &Reasons) -> Vec<(String, String, Traffic)> {
    let known = Reason::ALL.iter().map(|reason| {
        let traffic = counted.get(reason.name()).copied().unwrap_or_default();
        (reason.name().to_owned(), reason.verdict().name().to_owned(), traffic)
    });
    let is_known = |name: &str| Reason::ALL.iter().any(|reason| reason.name() == name);
    let others = counted.iter().filter(|(name, _)| !is_known(name));
    known.chain(others.map(|(name, traffic)| (name.clone(), "unknown".to_owned(), *traffic))).collect()
}

fn of_pools(pools: &[Pool]) -> Vec<Series> {
    let mut panic = Series::gauge("pool_panic", "Is no backend of the pool up, and everything sent anyway?");
    let mut up = Series::gauge("group_up", "Does the group serve its own users?");
    let mut slots = Series::gauge("group_slots", "Slots of the lookup table that the group has, of 65537");
    let mut weight = Series::gauge("group_weight", "Weight of the group");
    for pool in pools {
        panic = panic.with(labels([("pool", &pool.name)]), u64::from(pool.panic));
        for group in &pool.groups {
            let labels = labels([("pool", &pool.name), ("group", &group.name)]);
            up = up.with(labels.clone(), u64::from(group.up));
            slots = slots.with(labels.clone(), u64::from(group.slots));
            weight = weight.with(labels, u64::from(group.weight));
        }
    }
    vec![panic, up, slots, weight]
}

fn of_backends(pools: &[Pool]) -> Vec<Series> {
    let backends = || pools.iter().flat_map(|pool| &pool.backends);
    let gauge = |name, help, value: fn(&Backend) -> Option<f64>| {
        backends().fold(Series::gauge(name, help), |series, backend| match value(backend) {
            Some(value) => series.with(of_backend(backend), value),
            None => series,
        })
    };
    let mut states = Series::gauge("backend_state", "What is wanted of the backend: 1 at its state");
    let mut packets =
        Series::counter("backend_packets", "Packets to the backend, and from it that left as the VIP");
    let mut bytes = Series::counter("backend_bytes", "Bytes of those packets");
    for backend in backends() {
        for state in [State::Active, State::Draining, State::Maintenance] {
            let labels =
                of_backend(backend).into_iter().chain([("state", state.to_string())]).collect::<Labels>();
            states = states.with(labels, u64::from(backend.state == state));
        }
        for (direction, traffic) in [("to", backend.requests), ("from", backend.replies)] {
            let labels: Labels =
                of_backend(backend).into_iter().chain([("direction", direction.to_owned())]).collect();
            packets = packets.with(labels.clone(), traffic.packets);
            bytes = bytes.with(labels, traffic.bytes);
        }
    }
    vec![
        gauge("backend_up", "Do the checks say that the backend is up?", |backend| {
            Some(f64::from(u8::from(backend.health == "up")))
        }),
        states,
        gauge("backend_weight", "Weight of the backend's group", |backend| Some(f64::from(backend.weight))),
        gauge("backend_slots", "Slots that the backend serves now", |backend| Some(f64::from(backend.slots))),
        gauge("backend_check_seconds", "Round trip of the last check that was answered", |backend| {
            backend.round_trip_ms.map(|ms| ms / 1e3)
        }),
        packets,
        bytes,
    ]
}

fn of_backend(backend: &Backend) -> Labels {
    labels([("pool", &backend.pool), ("group", &backend.group), ("backend", &backend.name)])
}
