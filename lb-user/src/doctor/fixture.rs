//! What the judges' tests share.

use super::facts::{Backend, Wanted};
use super::{Finding, Verdict};
use crate::config::{Forward, XdpMode};

/// One VIP in front of one backend.
pub(super) fn wanted(vip: &str, backend: &str, forward: Forward) -> Wanted {
    Wanted {
        xdp_mode: XdpMode::Native,
        pin_dir: "/sys/fs/bpf/siplb".into(),
        interfaces: vec!["eth0".to_owned()],
        vips: vec![vip.parse().unwrap()],
        backends: vec![Backend {
            path: "registrars/a1".to_owned(),
            address: backend.parse().unwrap(),
            forward,
        }],
    }
}

/// What is not ok: verdict and check.
pub(super) fn faults(findings: &[Finding]) -> Vec<(Verdict, &'static str)> {
    for finding in findings {
        let is_mendable = finding.mend.as_ref().is_some_and(|mend| !mend.is_empty());
        assert_eq!(finding.verdict != Verdict::Ok, is_mendable, "{finding:?}");
    }
    let faults = findings.iter().filter(|finding| finding.verdict != Verdict::Ok);
    faults.map(|finding| (finding.verdict, finding.check)).collect()
}
