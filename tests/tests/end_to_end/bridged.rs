//! Back-to-back user agents that don't record-route: what is said in their dialogs finds them by the host of the Request-URI,
//! which is their Contact's; answers find them by Via.

use anyhow::{Result, ensure};
use siplb_lab::siplb::Service;
use siplb_lab::sipp::Scenario;
use siplb_lab::{Baresip, Family, siplb};

use crate::dialogs::Parties;
use crate::stage::{on_stage, users};

const SERVERS: u8 = 2;
const USERS: u32 = 12;

#[test]
fn a_dialog_stays_with_its_b2bua() {
    on_stage("bridged", SERVERS, |stage| {
        let hosts = &stage.lab.topology().backends;
        let _servers: Vec<Baresip> =
            hosts.iter().map(|host| Baresip::start(host, &stage.lab.folder())).collect::<Result<_>>()?;
        stage.start_siplb(&siplb::config_for(&stage.lab, &Service::default()))?;
        let users = users(USERS);
        let owners = stage.owners(&users)?;
        let has_users = |name: &str| owners.values().any(|owner| owner == name);
        ensure!(has_users("b1") && has_users("b2"), "one server has no users: {owners:?}");

        let parties = Parties::clients(stage, Family::V4);
        for scenario in [Scenario::Bridged, Scenario::Call, Scenario::Cancel] {
            parties.all(scenario, &users)?;
        }
        // Towards the servers: for each bridged call ACK, re-INVITE, ACK and an answer to BYE from the caller; three answers,
        // an ACK and BYE from the callee.
        let named = stage.packets("named")?;
        println!("{named} messages named their server");
        ensure!(named >= 9 * u64::from(USERS), "{named} messages named their server");
        ensure!(stage.packets("dialog-unnamed")? == 0, "a request in a dialog named nobody");
        Ok(())
    });
}
