//! Users register and call through the VIP, and outlive the daemon's death unharmed.

use std::time::Duration;

use anyhow::{Result, ensure};
use siplb_lab::interrupt::pause;
use siplb_lab::topology::DOMAIN;

use crate::stage::{Stage, all_complete, on_stage, users};

const USERS: u32 = 40;
const SERVERS: u8 = 4;

#[test]
fn users_register_and_call_through_the_vip() {
    on_stage("calls", SERVERS, |stage| {
        let users = users(USERS);
        stage.start_all()?;
        stage.register(&users)?;
        stage.call(&users)?;
        everybody_is_where_lookup_says(stage, &users)?;
        nothing_else_happened(stage)
    });
}

/// By the servers' own word, and nobody is at two of them.
fn everybody_is_where_lookup_says(stage: &Stage, users: &[String]) -> Result<()> {
    let owners = stage.owners(users)?;
    let registrations = stage.registrations()?;
    for (server, registered) in &registrations {
        let owned: Vec<&String> = users.iter().filter(|user| owners[*user] == *server).collect();
        ensure!(
            registered.iter().eq(owned.iter().copied()),
            "{server} has {registered:?}, and owns {owned:?}"
        );
    }
    let shares: Vec<usize> = registrations.values().map(Vec::len).collect();
    ensure!(shares.iter().all(|&share| share > 0), "a server has no users: {shares:?}");
    Ok(())
}

/// Every packet that was dropped, or left to the stack, was none of the users'.
fn nothing_else_happened(stage: &Stage) -> Result<()> {
    let status = stage.status()?;
    // The phones' answers name their server by its address in Via; their BYEs name none, since these servers don't
    // record-route.
    let theirs = ["forwarded", "replied", "named", "dialog-unnamed"];
    let not_ours = ["foreign", "not-ip", "not-udp", "backend-to-node"];
    let expected = [&theirs[..], &not_ours].concat();
    let reasons = status["reasons"].as_object().into_iter().flatten();
    let others: Vec<_> = reasons
        .filter(|(name, traffic)| !expected.contains(&name.as_str()) && traffic["packets"] != 0)
        .collect();
    ensure!(others.is_empty(), "not expected: {others:?}");
    Ok(())
}

#[test]
fn the_datapath_outlives_the_daemon() {
    on_stage("outlive", SERVERS, |stage| {
        let users = users(USERS);
        stage.start_all()?;
        stage.register(&users)?;
        let (owners, digest) = (stage.owners(&users)?, stage.digest()?);

        let calls = stage.begin_calls(&users, 300)?;
        pause(Duration::from_secs(1))?;
        let counted = stage.packets("forwarded")?;
        stage.kill_siplb();
        all_complete(&calls.finish(|_| ())?)?;

        // With no daemon at all.
        stage.register(&users)?;
        stage.call(&users)?;

        stage.start_siplb(&siplb_lab::siplb::config(&stage.lab))?;
        let log = stage.siplb_log();
        ensure!(log.contains("is adopted"), "the new daemon doesn't say that it adopted:\n{log}");
        // Each of these calls is four packets towards a server at least, and each registration one.
        let counted_since = stage.packets("forwarded")?.saturating_sub(counted);
        ensure!(counted_since > 5 * u64::from(USERS), "{counted_since} packets counted without a daemon");
        ensure!(stage.digest()? == digest && stage.owners(&users)? == owners, "owners have changed");
        stage.call(&users)?;
        everybody_is_where_lookup_says(stage, &users)
    });
}

#[test]
fn what_lookup_takes_for_one_user_is_one_user() {
    on_stage("spellings", 2, |stage| {
        stage.start_siplb(&siplb_lab::siplb::config(&stage.lab))?;
        let slot = |uri: &str| anyhow::Ok(stage.siplb().ask(&["lookup", uri])?["slot"].clone());
        let spellings = ["sip:%61lice", "sip:Alice:secret", "sip:alice;x=1", "sips:ALICE"];
        let alice = slot(&format!("sip:alice@{DOMAIN}"))?;
        for spelling in spellings {
            let uri = format!("{spelling}@{DOMAIN}");
            ensure!(slot(&uri)? == alice, "{uri} is another user than alice");
        }
        ensure!(slot("tel:+1-201-555-0123")? == slot(&format!("sip:+12015550123@{DOMAIN};user=phone"))?);
        Ok(())
    });
}
