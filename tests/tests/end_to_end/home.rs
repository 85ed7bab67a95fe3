//! A telephone behind a NAT that lets in only what comes from the address and port that it sent to: it can be called, and
//! calls, since everything leaves from the VIP.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Result, ensure};
use siplb_lab::siplb::Service;
use siplb_lab::sipp::Scenario;
use siplb_lab::topology::{CALLEES, CALLERS, Home};
use siplb_lab::{Family, Naming, Proxy, Seat, Shape};

use crate::dialogs::{Parties, about, nothing_went_astray};
use crate::stage::{Stage, on_stage, users};

const SERVERS: u8 = 3;
const USERS: u32 = 12;
/// Longest time that a packet takes that comes at all.
const PATIENCE: Duration = Duration::from_millis(300);

#[test]
fn a_phone_behind_a_nat_calls_and_is_called() {
    on_stage("home", Shape { has_home: true, ..Shape::from(SERVERS) }, |stage| {
        the_nat_is_one(stage)?;
        let service = Service { naming: Some(Naming::Alias), ..Service::default() };
        stage.start_proxies(Proxy::by_alias(Family::V4), &service)?;
        let (home, outside) = (Seat::home(&stage.lab)?, Seat::client(&stage.lab, Family::V4));
        let all = users(2 * USERS);
        let (inside, others) = all.split_at(USERS as usize);
        let called = Parties { stage, callers: outside.clone(), callees: home.clone() };
        let calling = Parties { stage, callers: home, callees: outside };
        called.register(inside)?;
        calling.register(others)?;
        for scenario in [Scenario::Dialog(0), Scenario::Cancel, Scenario::Subscribe] {
            called.all(scenario, inside)?;
            calling.all(scenario, others)?;
        }
        nothing_went_astray(stage, about(2 * u64::from(USERS) * 13))
    });
}

/// That it changes ports, and that nothing comes in but from the very socket that was sent to.
fn the_nat_is_one(stage: &Stage) -> Result<()> {
    let topology = stage.lab.topology();
    let socket = |netns: &siplb_lab::Netns, address, port| {
        let socket = netns.run(|| Ok(UdpSocket::bind((address, port))?))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        anyhow::Ok(socket)
    };
    let phone_netns = &topology.home.as_ref().expect("the stage has one").phone;
    let phone = socket(phone_netns, Home::PHONE, 5070)?;
    let friend = socket(&topology.client, CALLERS, 7000)?;
    let other_port = socket(&topology.client, CALLERS, 7001)?;
    let other_address = socket(&topology.client, CALLEES, 7000)?;
    let mut buffer = [0; 16];

    phone.send_to(b"hello", (CALLERS, 7000))?;
    let (_, outside) = friend.recv_from(&mut buffer)?;
    ensure!(outside.ip() == Home::OUTSIDE && outside.port() != 5070, "the NAT shows the phone as {outside}");
    for stranger in [&other_port, &other_address] {
        stranger.send_to(b"stranger", outside)?;
        let heard = phone.recv_from(&mut buffer);
        let is_quiet = heard.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        ensure!(is_quiet, "the NAT let a stranger in: {heard:?}");
    }
    friend.send_to(b"friend", outside)?;
    phone.recv_from(&mut buffer)?;
    Ok(())
}
