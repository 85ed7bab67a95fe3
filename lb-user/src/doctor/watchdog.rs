//! Judges whether somebody looks after the datapath: heartbeat, pins, and programs that nobody's pins hold.

use super::facts::{Daemon, Interface};
use super::finding::Finding;
use crate::datapath::{Carried, Pinned, SILENCE};

const CHECK: &str = "watchdog";

/// What is to be said.
pub(super) fn judge(
    pinned: &Result<Option<Pinned>, String>,
    daemon: &Daemon,
    interfaces: &[Interface],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Daemon::Answers { status, .. } = daemon
        && let Some(why) = &status.watchdog.pins_lost
    {
        let what = format!("the pins are gone: packets are forwarded only while the daemon lives ({why})");
        findings.push(Finding::fail(
            CHECK,
            what,
            "mount the BPF file system again; the daemon pins anew by itself",
        ));
    }
    findings.extend(heartbeat(pinned, daemon, interfaces));
    findings
}

fn heartbeat(
    pinned: &Result<Option<Pinned>, String>,
    daemon: &Daemon,
    interfaces: &[Interface],
) -> Option<Finding> {
    let is_ours = |interface: &Interface| {
        interface.card.as_ref().is_some_and(|card| matches!(card.carried, Ok(Carried::Ours(_))))
    };
    let silence = match pinned {
        Ok(None) => return None,
        Ok(Some(pinned)) => pinned.silence,
        Err(error) => {
            let what = format!("for how long the daemon has been silent is unknown: {error}");
            return Some(Finding::warn(CHECK, what, "run this as the daemon runs, or as root"));
        }
    };
    let mend = match daemon {
        Daemon::Silent(_) => "the daemon hangs: kill it and start it again; packets are forwarded meanwhile",
        Daemon::Absent { .. } | Daemon::Answers { .. } => "siplb run, or siplb detach",
    };
    match silence {
        Some(silence) if silence <= SILENCE => {
            Some(Finding::ok(CHECK, format!("the last heartbeat was {:.1} s ago", silence.as_secs_f64())))
        }
        // What is pinned and carried by no interface forwards nothing: nobody needs to look after it.
        _ if !interfaces.iter().any(is_ours) => None,
        Some(silence) => {
            let what = format!(
                "the datapath forwards, and its daemon has been silent for {} s: nobody notices backends that fail",
                silence.as_secs()
            );
            Some(Finding::fail(CHECK, what, mend))
        }
        None => {
            Some(Finding::warn(CHECK, "the datapath forwards, and no daemon ever left a heartbeat", mend))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::datapath::Vitals;
    use crate::doctor::Verdict::{Fail, Warn};
    use crate::doctor::facts::Card;
    use crate::doctor::fixture::{card, faults};

    #[test]
    fn a_silence_is_a_fault_where_packets_are_forwarded() {
        let pinned = |silence: Option<u64>| {
            let silence = silence.map(Duration::from_secs);
            let interfaces = vec!["eth0".to_owned()];
            let vitals = Vitals::default();
            Ok(Some(Pinned { generation: 1, fingerprint: 1, silence, packets_since: 0, vitals, interfaces }))
        };
        let interface = |carried| {
            vec![Interface { name: "eth0".to_owned(), card: Some(Card { carried: Ok(carried), ..card() }) }]
        };
        let absent = Daemon::Absent { socket: "/run/siplb/siplb.sock".into() };
        let ours = interface(Carried::Ours(None));
        let of =
            |pinned: &Result<Option<Pinned>, String>, on: &[Interface]| faults(&judge(pinned, &absent, on));
        assert!(of(&pinned(Some(1)), &ours).is_empty());
        assert_eq!(of(&pinned(Some(35)), &ours), [(Fail, CHECK)]);
        assert_eq!(of(&pinned(None), &ours), [(Warn, CHECK)]);
        assert!(of(&pinned(Some(35)), &interface(Carried::Nothing)).is_empty());
        assert!(of(&Ok(None), &ours).is_empty());
        assert_eq!(of(&Err("denied".to_owned()), &ours), [(Warn, CHECK)]);
        let told = judge(&pinned(Some(35)), &Daemon::Silent("no answer".to_owned()), &ours);
        assert!(told[0].what.contains("silent for 35 s") && told[0].mend.as_ref().unwrap().contains("hangs"));
    }
}
