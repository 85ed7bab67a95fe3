//! What a scrape shows.

use std::collections::BTreeSet;

use super::*;
use crate::daemon::InMemory;
use crate::daemon::fixture::Home;
use crate::datapath::{Counters, Vitals};
use lb_common::layout::Counter;

/// A scrape of a daemon with one VIP and pool `p` of a1, a2 and b1, and so many packets of a reason.
fn scraped(reason: Reason, packets: u64) -> String {
    let mut counters = Counters::default();
    counters.vips.entry(1).or_default().insert(reason as u8, Counter { packets, bytes: 100 * packets });
    counters.vips.entry(0).or_default().insert(Reason::NotIp as u8, Counter { packets: 9, bytes: 540 });
    let home = Home::new();
    let mut daemon = home.start(InMemory::default()).unwrap();
    daemon.core.datapath.counters = counters;
    of_status(&daemon.core.status().unwrap())
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn every_reason_is_a_series_of_every_vip_from_the_start() {
    let text = scraped(Reason::Forwarded, 3);
    for vip in ["192.0.2.10:5060/udp", "none"] {
        for reason in Reason::ALL {
            let (name, verdict) = (reason.name(), reason.verdict().name());
            let labels = format!("{{vip=\"{vip}\",reason=\"{name}\",verdict=\"{verdict}\"}}");
            let expected = match (vip, reason) {
                ("none", Reason::NotIp) => 9.0,
                ("none", _) => 0.0,
                (_, Reason::Forwarded) => 3.0,
                _ => 0.0,
            };
            assert_eq!(value(&text, &format!("siplb_packets_total{labels}")), Some(expected), "{labels}");
            assert!(value(&text, &format!("siplb_bytes_total{labels}")).is_some(), "{labels}");
        }
    }
}

#[tokio::test]
async fn every_backend_has_its_series_before_a_packet_came() {
    let text = scraped(Reason::Forwarded, 0);
    for (group, backend) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        let labels = format!("pool=\"p\",group=\"{group}\",backend=\"{backend}\"");
        assert_eq!(value(&text, &format!("siplb_backend_up{{{labels}}}")), Some(1.0));
        for (state, expected) in [("active", 1.0), ("draining", 0.0), ("maintenance", 0.0)] {
            let series = format!("siplb_backend_state{{{labels},state=\"{state}\"}}");
            assert_eq!(value(&text, &series), Some(expected), "{series}");
        }
        for direction in ["to", "from"] {
            let series = format!("siplb_backend_packets_total{{{labels},direction=\"{direction}\"}}");
            assert_eq!(value(&text, &series), Some(0.0), "{series}");
        }
    }
    assert_eq!(value(&text, "siplb_generation"), Some(1.0));
    assert_eq!(value(&text, "siplb_publish_failures_total"), Some(0.0));
    assert_eq!(value(&text, "siplb_pool_panic{pool=\"p\"}"), Some(0.0));
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn pins_tell_what_they_can() {
    let pinned = Pinned {
        generation: 7,
        fingerprint: 1,
        silence: Some(std::time::Duration::from_millis(35_500)),
        packets_since: 4,
        vitals: Vitals { alone_ns: 2_000_000_000, alone_packets: 5, ..Vitals::default() },
        interfaces: Vec::new(),
    };
    let text = of_pins(&pinned);
    let expected = [
        ("siplb_daemon_answers", 0.0),
        ("siplb_generation", 7.0),
        ("siplb_heartbeat_age_seconds", 35.5),
        ("siplb_packets_since_heartbeat", 4.0),
        ("siplb_alone_seconds_total", 2.0),
        ("siplb_alone_packets_total", 5.0),
    ];
    for (series, expected) in expected {
        assert_eq!(value(&text, series), Some(expected), "{series} in {text}");
    }
}

/// Operators write alerts by the documents.
#[tokio::test]
async fn every_metric_is_documented() {
    let pinned = Pinned {
        generation: 0,
        fingerprint: 0,
        silence: Some(std::time::Duration::ZERO),
        packets_since: 0,
        vitals: Vitals::default(),
        interfaces: Vec::new(),
    };
    let text = scraped(Reason::Forwarded, 1) + &of_pins(&pinned);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: BTreeSet<String> = types
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    assert!(names.len() > 15, "{names:?}");
    let page = include_str!("../../../docs/operations.md");
    for name in names {
        assert!(page.contains(&format!("| `{name}` | ")), "docs/operations.md lacks a row of `{name}`");
    }
}
