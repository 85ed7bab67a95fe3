//! Caller and callee of different groups: the server that is asked for a number finds whose it is, and sends the call through
//! the VIP to the server that has him. Both stay in the dialog.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use siplb_lab::siplb::Service;
use siplb_lab::sipp::Scenario;
use siplb_lab::{Family, Naming, Proxy};

use crate::dialogs::{Parties, about, lan, nothing_went_astray};
use crate::paths::decap;
use crate::stage::{Stage, on_stage, users};

const SERVERS: u8 = 3;
const USERS: u32 = 24;
/// Requests of a dialog for one call, when one proxy is in it.
const IN_A_DIALOG: u64 = 10;
/// Numbers of users who don't exist.
const NOBODY: u64 = 10;

/// Numbers of the first users, as `tests/kamailio/proxy.cfg` has them.
fn numbers(count: u32) -> Vec<String> {
    (1..=count).map(|number| format!("+1201555{number:04}")).collect()
}

/// Calls to numbers, whose servers are as a rule not those of their users.
fn call_by_number(stage: &Stage, family: Family) -> Result<()> {
    let parties = Parties::clients(stage, family);
    parties.register(&users(USERS))?;
    parties.all(Scenario::Dialog(0), &numbers(USERS))?;
    parties.all(Scenario::Cancel, &numbers(USERS))?;
    let crossed: u64 = stage.counts("from_peers")?.iter().sum();
    println!("{crossed} requests that begin something went from one proxy to another");
    // Two of three, by chance; each is an INVITE twice.
    ensure!(
        (u64::from(USERS) / 2..=u64::from(USERS) * 3).contains(&crossed),
        "{crossed} from proxy to proxy"
    );
    nothing_went_astray(stage, about((u64::from(USERS) + crossed / 2) * IN_A_DIALOG))?;
    // The one who asks is for some of these the one who is asked.
    let nobody: Vec<String> = (0..NOBODY).map(|number| format!("+1201555999{number}")).collect();
    let tally = parties.try_all(Scenario::Call, &nobody)?;
    ensure!(tally.count("not_found") == NOBODY, "numbers whose users are nowhere: {tally:?}");
    Ok(())
}

fn by_nat(name: &str, naming: Naming) {
    on_stage(name, SERVERS, |stage| {
        for host in &stage.lab.topology().backends {
            // What a proxy sends to the VIP may be its own user's, and comes back to it with its own address.
            host.netns.set("ipv4/conf/all/accept_local", "1")?;
        }
        let service = Service { naming: Some(naming), ..Service::default() };
        stage.start_proxies(Proxy { naming, ..Proxy::by_alias(Family::V4) }, &service)?;
        call_by_number(stage, Family::V4)
    });
}

#[test]
fn a_call_goes_from_group_to_group_by_nat() {
    by_nat("groups", Naming::Alias);
}

/// What the proxies send each other in a dialog then goes to ports of the VIP that are their own.
#[test]
fn a_call_goes_from_group_to_group_by_ports_of_their_own() {
    by_nat("ports", Naming::VipPort);
}

/// Answers bypass the node, and what a backend sends to the VIP still goes there.
fn past_the_node(name: &str, forward: &str, family: Family) {
    on_stage(name, lan(SERVERS), |stage| {
        for host in &stage.lab.topology().backends {
            host.hold_vip()?;
            if forward == "ipip" {
                decap(stage, host, &["--to", &family.vip().to_string()])?;
            }
        }
        let service = Service { family, forward, naming: Some(Naming::Alias), ..Service::default() };
        stage.start_proxies(Proxy { is_at_vip: true, ..Proxy::by_alias(family) }, &service)?;
        for host in &stage.lab.topology().backends {
            stage.siplb().wait_for(&host.name, true)?;
        }
        let before = come_past_the_node(stage)?;
        call_by_number(stage, family)?;
        let past = come_past_the_node(stage)? - before;
        println!("{past} packets past the node");
        ensure!(stage.packets("replied")? == 0, "an answer went through the node");
        ensure!(past > u64::from(USERS) * IN_A_DIALOG, "{past} packets came to the clients past the node");
        Ok(())
    });
}

/// Packets that came to the clients from the backends' network.
fn come_past_the_node(stage: &Stage) -> Result<u64> {
    let links: Value = serde_json::from_str(&stage.lab.topology().client.ip("-s -j link show dev eth1")?)?;
    links[0]["stats64"]["rx"]["packets"].as_u64().with_context(|| format!("no count in {links}"))
}

#[test]
fn a_call_goes_from_group_to_group_by_dsr() {
    past_the_node("dsr", "dsr", Family::V4);
}

#[test]
fn a_call_goes_from_group_to_group_by_dsr_over_ipv6() {
    past_the_node("dsr6", "dsr", Family::V6);
}

#[test]
fn a_call_goes_from_group_to_group_by_ipip() {
    past_the_node("ipip", "ipip", Family::V4);
}
