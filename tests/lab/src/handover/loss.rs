//! A network that loses packets between clients and servers, both ways: nftables, where a packet comes in. What a sender's
//! own host drops it is told about; what is lost on the way it is not.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::output;
use crate::topology::{CALLERS, SIP_PORT};

/// From now on so many requests and so many responses of a thousand are lost. Checks are spared: they are not in question.
///
/// # Errors
/// When `nft` fails.
pub(super) fn begin(lab: &Lab, permille: u32) -> Result<()> {
    let topology = lab.topology();
    for host in &topology.backends {
        drop_in(lab, &host.netns, &format!("ip saddr {CALLERS} udp dport {SIP_PORT}"), permille)?;
    }
    drop_in(lab, &topology.client, &format!("udp sport {SIP_PORT}"), permille)
}

/// How many packets have been lost.
///
/// # Errors
/// When `nft` fails.
pub(super) fn lost(lab: &Lab) -> Result<u64> {
    let topology = lab.topology();
    let places = topology.backends.iter().map(|host| &host.netns).chain([&topology.client]);
    places.map(dropped).sum()
}

fn drop_in(lab: &Lab, netns: &Netns, which: &str, permille: u32) -> Result<()> {
    let rules = format!(
        "table inet loss {{
    counter lost {{ }}
    chain input {{
        type filter hook input priority 0;
        {which} numgen random mod 1000 < {permille} counter name lost drop
    }}
}}
"
    );
    let file = lab.folder().join("loss.nft");
    fs::write(&file, rules).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = netns.command("nft");
    command.arg("-f").arg(&file);
    output(command)?;
    Ok(())
}

fn dropped(netns: &Netns) -> Result<u64> {
    let mut command = netns.command("nft");
    command.args(["--json", "list", "counters"]);
    let text = output(command)?;
    let listing: Value = serde_json::from_str(&text)?;
    let entries = listing["nftables"].as_array().into_iter().flatten();
    let count = entries.filter_map(|entry| entry["counter"]["packets"].as_u64()).next();
    count.with_context(|| format!("no counter in {text}"))
}
