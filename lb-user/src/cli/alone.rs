//! What can be told where no daemon answers: the pins say what packets meet, and since when nobody looks after it.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{duration, print_json};
use crate::datapath::Pinned;

/// What is printed instead of a status, with `--json`.
#[derive(Debug, Serialize)]
struct Alone<'a> {
    /// Why there is no status.
    error: &'a str,
    /// What forwards on; null where nothing is pinned.
    datapath: Option<Datapath>,
}

#[derive(Debug, Serialize)]
struct Datapath {
    pin_dir: String,
    interfaces: Vec<String>,
    generation: u32,
    fingerprint: String,
    /// Null when no daemon ever left a heartbeat.
    silent_s: Option<f64>,
    /// Forwarded since the last heartbeat.
    packets_since: u64,
    alone_s: f64,
    alone_packets: u64,
}

/// Adds to a failure for want of a daemon what the pins tell.
pub(super) fn told(context: &Context, failure: Failure) -> Failure {
    let Ok(pin_dir) = context.pin_dir() else { return failure };
    let pinned = Pinned::read(&pin_dir);
    if context.json {
        let datapath = pinned.as_ref().ok().and_then(Option::as_ref);
        let datapath = datapath.map(|pinned| shown(&pin_dir, pinned));
        let printed = print_json(&Alone { error: failure.message(), datapath });
        return printed.err().unwrap_or(failure);
    }
    let sentence = match pinned {
        Ok(Some(pinned)) => sentence(&pin_dir, &pinned),
        Ok(None) => format!("nothing is pinned below {}, so that nothing is forwarded", pin_dir.display()),
        Err(error) => format!("what the datapath below {} does is unknown: {error}", pin_dir.display()),
    };
    let message = format!("{}\nsiplb: {sentence}", failure.message());
    failure.saying(message)
}

fn shown(pin_dir: &Path, pinned: &Pinned) -> Datapath {
    Datapath {
        pin_dir: pin_dir.display().to_string(),
        interfaces: pinned.interfaces.clone(),
        generation: pinned.generation,
        fingerprint: format!("{:08x}", pinned.fingerprint),
        silent_s: pinned.silence.as_ref().map(Duration::as_secs_f64),
        packets_since: pinned.packets_since,
        alone_s: pinned.vitals.alone_ns as f64 / 1e9,
        alone_packets: pinned.vitals.alone_packets,
    }
}

/// What forwards on, by what, and since when alone.
fn sentence(pin_dir: &Path, pinned: &Pinned) -> String {
    let on = match pinned.interfaces.as_slice() {
        [] => "is attached to no interface".to_owned(),
        several => format!("forwards on with generation {} on {}", pinned.generation, several.join(", ")),
    };
    let silence = match pinned.silence {
        Some(silence) => format!(
            "its daemon has been silent for {}, and {} packets were forwarded since; nobody notices backends that fail",
            duration(silence.as_secs()),
            pinned.packets_since
        ),
        None => "no daemon ever left a heartbeat there".to_owned(),
    };
    format!("the datapath below {} {on}; {silence}", pin_dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::Vitals;

    #[test]
    fn what_forwards_on_is_told_with_its_silence() {
        let pinned = Pinned {
            generation: 7,
            fingerprint: 1,
            silence: Some(Duration::from_secs(35)),
            packets_since: 1_000,
            vitals: Vitals::default(),
            interfaces: vec!["c0".into(), "b1".into()],
        };
        let told = |pinned: &Pinned| sentence(Path::new("/pins"), pinned);
        assert_eq!(
            told(&pinned),
            "the datapath below /pins forwards on with generation 7 on c0, b1; its daemon has been silent for 35s, and \
             1000 packets were forwarded since; nobody notices backends that fail"
        );
        assert_eq!(
            told(&Pinned { silence: None, interfaces: Vec::new(), ..pinned }),
            "the datapath below /pins is attached to no interface; no daemon ever left a heartbeat there"
        );
    }
}
