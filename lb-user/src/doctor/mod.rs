//! Can this machine run siplb, and how to mend it: `siplb doctor`.
//!
//! [`Facts::read`] (`read`, `ethtool`) looks at kernel, process, interfaces, network and daemon, and changes nothing but
//! that the kernel looks for neighbours that it doesn't know. [`judge`] makes findings of the facts, purely, one file a
//! concern: `machine`, `interface`, `network`, `watchdog`, `daemon`.
//!
//! Invariant: what could not be found out is told as unknown, by a warning, and never as ok.
mod daemon;
mod ethtool;
mod facts;
mod finding;
#[cfg(test)]
mod fixture;
mod interface;
mod machine;
mod network;
mod read;
mod watchdog;

pub use facts::Facts;
pub use finding::{Finding, Verdict};

/// What is to be said of the facts, in the order in which a node is set up.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = machine::judge(&facts.machine, &facts.wanted);
    for interface in &facts.interfaces {
        findings.extend(interface::judge(interface, &facts.wanted));
    }
    findings.extend(network::judge(&facts.network, &facts.wanted));
    findings.extend(watchdog::judge(&facts.pinned, &facts.daemon, &facts.interfaces));
    findings.extend(daemon::judge(&facts.daemon, &facts.interfaces, &facts.wanted));
    findings
}
