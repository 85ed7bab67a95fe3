//! Pools that go by something else than the user of the Request-URI.

use std::collections::BTreeSet;

use anyhow::ensure;
use siplb_lab::siplb::{self, Service};
use siplb_lab::topology::DOMAIN;

use crate::servers::{Servers, message};
use crate::stage::{on_stage, users};

const SERVERS: u8 = 3;

#[test]
fn calls_to_elsewhere_go_to_the_callers_own_server() {
    on_stage("from", SERVERS, |stage| {
        let servers = Servers::start(&stage.lab)?;
        let service = Service { pool: "key = \"from\"", ..Service::default() };
        stage.start_siplb(&siplb::config_for(&stage.lab, &service))?;
        let users = users(30);
        let owners = stage.owners(&users)?;
        let own = |user: &str| format!("sip:{user}@{DOMAIN}");
        let gateway = "sip:+12015550123@gateway.example.net".to_owned();

        let (mut messages, mut expected) = (Vec::new(), Vec::new());
        for (user, callee) in users.iter().zip(users.iter().rev()) {
            for (method, uri, to, decides) in [
                ("REGISTER", format!("sip:{DOMAIN}"), own(user), user),
                ("INVITE", gateway.clone(), gateway.clone(), user),
                // For one of our own users, by him: that is where he has registered.
                ("INVITE", own(callee), own(callee), callee),
            ] {
                messages.push(message(method, &uri, &own(user), &to, messages.len() as u64));
                expected.push((owners[decides].clone(), format!("{method} {uri} of {user}")));
            }
        }
        servers.send(&stage.lab, &messages)?;
        for (arrival, (owner, what)) in servers.finish()?.iter().zip(&expected) {
            ensure!(arrival.backend == *owner, "{what} came to {}, not {owner}", arrival.backend);
        }
        Ok(())
    });
}

#[test]
fn a_number_has_one_server_however_it_is_dialled() {
    on_stage("number-tail", SERVERS, |stage| {
        let servers = Servers::start(&stage.lab)?;
        let service = Service { pool: "number-tail = 7", ..Service::default() };
        stage.start_siplb(&siplb::config_for(&stage.lab, &service))?;

        let mut messages = Vec::new();
        let numbers: Vec<String> = (0..20).map(|number| format!("{:04}", number * 37)).collect();
        for number in &numbers {
            let spellings = [
                format!("sip:+1201555{number}@{DOMAIN}"),
                format!("sip:001201555{number}@{DOMAIN}"),
                format!("sip:201555{number}@{DOMAIN};user=phone"),
                format!("sip:555{number}@{DOMAIN}"),
                format!("tel:+1-201-555-{number}"),
            ];
            let from = format!("sip:probe@{DOMAIN}");
            let register = format!("sip:{DOMAIN}");
            messages.push(message("REGISTER", &register, &from, &spellings[0], messages.len() as u64));
            for spelling in &spellings {
                messages.push(message("INVITE", spelling, &from, spelling, messages.len() as u64));
            }
        }
        servers.send(&stage.lab, &messages)?;
        let arrivals = servers.finish()?;
        let mut all = BTreeSet::new();
        for (of_one, number) in arrivals.chunks(messages.len() / numbers.len()).zip(&numbers) {
            let found: BTreeSet<&str> = of_one.iter().map(|arrival| arrival.backend.as_str()).collect();
            ensure!(found.len() == 1, "spellings of {number} came to {found:?}");
            all.extend(found.into_iter().map(str::to_owned));
        }
        ensure!(all.len() == usize::from(SERVERS), "all numbers came to {all:?}");
        Ok(())
    });
}
