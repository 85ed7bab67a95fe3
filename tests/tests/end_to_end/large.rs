//! INVITEs and answers that come in fragments, to the VIP and from the servers.

use anyhow::{Result, ensure};
use siplb_lab::siplb::Service;
use siplb_lab::sipp::Scenario;
use siplb_lab::{Family, Naming, Proxy};

use crate::dialogs::{Parties, about, nothing_went_astray};
use crate::stage::{Stage, on_stage, users};

const SERVERS: u8 = 2;
const USERS: u32 = 8;
/// Bytes of a body, beside some 700 of headers: messages of about 2, 4 and 9 kB.
const LONGER: [u32; 3] = [1_300, 3_300, 8_300];

fn large_calls(stage: &mut Stage, family: Family) -> Result<()> {
    let service = Service { family, naming: Some(Naming::Alias), ..Service::default() };
    stage.start_proxies(Proxy::by_alias(family), &service)?;
    let parties = Parties::clients(stage, family);
    let users = users(USERS);
    parties.register(&users)?;
    for longer in LONGER {
        let before = fragments(stage)?;
        parties.all(Scenario::Dialog(longer), &users)?;
        let after = fragments(stage)?;
        let [followed, replied] = [after[0] - before[0], after[1] - before[1]];
        println!("{longer} bytes more: {followed} later fragments to servers, {replied} from them");
        // Of three INVITEs and four answers with a body in each call.
        let expected = u64::from(USERS) * 7 * u64::from((longer + 400) / 1_480);
        ensure!(followed >= expected && replied >= expected, "{followed} and {replied} later fragments");
    }
    nothing_went_astray(stage, about(LONGER.len() as u64 * u64::from(USERS) * 10))
}

/// Later fragments to servers, and from them.
fn fragments(stage: &Stage) -> Result<[u64; 2]> {
    Ok([stage.packets("fragment-followed")?, stage.packets("fragment-replied")?])
}

#[test]
fn large_messages_complete_calls() {
    on_stage("large", SERVERS, |stage| large_calls(stage, Family::V4));
}

#[test]
fn large_messages_complete_calls_over_ipv6() {
    on_stage("large6", SERVERS, |stage| large_calls(stage, Family::V6));
}
