//! Two nodes in front of the same servers: packets of one call by both of them, and one that dies.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use siplb_lab::interrupt::{pause, wait_until};
use siplb_lab::siplb::{self, Service};
use siplb_lab::sipp::Scenario;
use siplb_lab::topology::{CALLERS, DOMAIN, SIP_PORT, VIP};
use siplb_lab::{Family, Keepalived, Naming, Proxy, Shape, Siplb};

use crate::dialogs::{Parties, about, nothing_went_astray};
use crate::servers::{Servers, message};
use crate::stage::{Stage, on_stage, users};

const SERVERS: u8 = 4;
const USERS: u32 = 40;
/// Requests with a To tag for one call, and for one subscription, as `dialogs` has them.
const IN_DIALOGS: u64 = 13;
/// What nobody should have to wait for.
const AGREED_LIMIT: Duration = Duration::from_secs(20);

fn fleet(backends: u8) -> Shape {
    Shape { has_peer: true, ..Shape::from(backends) }
}

/// `siplb diff` between the two: its exit code and its lines.
fn diff(stage: &Stage) -> Result<(Option<i32>, Vec<Value>)> {
    let socket = |siplb: &Siplb| siplb.socket().display().to_string();
    let (node, peer) = (socket(stage.siplb()), socket(stage.peer()));
    let ended = stage.run(&["--json", "diff", &node, &peer])?;
    let lines = ended.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned()));
    Ok((ended.code, lines.collect::<Result<_>>()?))
}

/// Waits until both nodes know the same.
fn wait_agreed(stage: &Stage) -> Result<()> {
    wait_until("both nodes to agree", AGREED_LIMIT, Duration::from_millis(100), || {
        Ok(diff(stage)?.0 == Some(0))
    })?;
    Ok(())
}

/// Packets that a node forwarded or replied to, since it was started.
fn forwarded(siplb: &Siplb) -> Result<[u64; 2]> {
    let status = siplb.ask(&["status"])?;
    Ok(["forwarded", "replied"].map(|reason| status["reasons"][reason]["packets"].as_u64().unwrap_or(0)))
}

#[test]
fn a_call_goes_by_both_nodes_packet_by_packet() {
    on_stage("fleet", fleet(SERVERS), |stage| {
        let service = Service { naming: Some(Naming::Alias), ..Service::default() };
        stage.start_proxies(Proxy::by_alias(Family::V4), &service)?;
        stage.start_peer(&siplb::config_for(&stage.lab, &service))?;
        stage.lab.topology().spray()?;
        wait_agreed(stage)?;
        ensure!(stage.peer().ask(&["digest"])?["digest"] == stage.digest()?, "the tables differ");

        let users = users(USERS);
        let parties = Parties::clients(stage, Family::V4);
        parties.register(&users)?;
        for scenario in [Scenario::Dialog(0), Scenario::Cancel, Scenario::Subscribe] {
            parties.all(scenario, &users)?;
        }
        nothing_went_astray(stage, about(u64::from(USERS) * IN_DIALOGS))?;
        let [node, peer] = [forwarded(stage.siplb())?, forwarded(stage.peer())?];
        println!("requests and replies by the first node {node:?}, by the second {peer:?}");
        for (one, other) in node.into_iter().zip(peer) {
            ensure!(one.min(other) > (one + other) / 5, "not sprayed: {node:?} and {peer:?}");
        }
        nodes_of_two_minds(stage, &users)?;
        fragments_by_address(stage, &users)
    });
}

/// Between a change on one node and the same on the other: who is the same user's for both is served as ever, and what is
/// said in dialogs goes by name.
fn nodes_of_two_minds(stage: &Stage, users: &[String]) -> Result<()> {
    let before = stage.owners(users)?;
    stage.peer().ask(&["backend", "drain", "b1", "--now"])?;
    let (code, lines) = diff(stage)?;
    let told: Vec<&str> = lines.iter().filter_map(|line| line["about"].as_str()).collect();
    ensure!(code == Some(1) && told == ["table", "state"], "{code:?} {lines:#?}");
    ensure!((&lines[1]["of"], &lines[1]["second"]) == (&"b1".into(), &"draining".into()), "{lines:#?}");
    let others: Vec<String> = users.iter().filter(|user| before[*user] != "b1").cloned().collect();
    let parties = Parties::clients(stage, Family::V4);
    parties.all(Scenario::Dialog(0), &others)?;
    parties.all(Scenario::Subscribe, &others)?;
    let astray = || Ok::<u64, anyhow::Error>(stage.counts("misrouted")?.iter().sum());
    ensure!(astray()? == 0, "users whom both nodes own alike went astray");
    stage.peer().ask(&["backend", "ready", "b1", "--now"])?;
    wait_agreed(stage)?;
    parties.all(Scenario::Dialog(0), users)?;
    ensure!(astray()? == 0, "the nodes agree again, and something went astray");
    Ok(())
}

/// Datagrams in fragments, by routes that choose by address.
fn fragments_by_address(stage: &Stage, users: &[String]) -> Result<()> {
    stage.lab.topology().spray_no_more()?;
    let parties = Parties::clients(stage, Family::V4);
    parties.all(Scenario::Dialog(3_000), &users[..10])?;
    ensure!(stage.counts("misrouted")?.iter().sum::<u64>() == 0, "fragments went astray");
    let orphans = |siplb: &Siplb| {
        Ok::<Value, anyhow::Error>(siplb.ask(&["status"])?["reasons"]["fragment-orphan"].clone())
    };
    let orphans = [orphans(stage.siplb())?, orphans(stage.peer())?];
    ensure!(orphans.iter().all(Value::is_null), "fragments without their first one: {orphans:?}");
    Ok(())
}

#[test]
fn a_dead_node_is_replaced_by_keepalived() {
    // A lab for each: who was replaced once is in everybody's neighbour table still.
    for (name, interval) in
        [("failover", Duration::from_millis(100)), ("failover-slow", Duration::from_secs(1))]
    {
        on_stage(name, fleet(2), |stage| {
            let servers = Servers::start(&stage.lab)?;
            let config = siplb::config(&stage.lab);
            stage.start_siplb(&config)?;
            stage.start_peer(&config)?;
            stage.lab.topology().by_floating_addresses()?;
            die_and_be_replaced(stage, interval)?;
            servers.stop();
            Ok(())
        });
    }
}

/// The first node dies, whole, under probes.
fn die_and_be_replaced(stage: &Stage, interval: Duration) -> Result<()> {
    let lab = &stage.lab;
    let node = &lab.topology().node;
    let mut first = Keepalived::start(lab, false, 150, interval)?;
    first.wait_master()?;
    let second = Keepalived::start(lab, true, 100, interval)?;
    pause(Duration::from_secs(1))?;
    ensure!(!second.is_master()?, "both have the VIP");
    let probes = Probes::start(stage)?;
    pause(Duration::from_millis(500))?;
    let died = Instant::now();
    for interface in ["c0", "l0"] {
        node.ip(&format!("link set {interface} down"))?;
    }
    drop(first);
    wait_until("the second node to be master", AGREED_LIMIT, Duration::from_millis(10), || {
        second.is_master()
    })?;
    pause(Duration::from_secs(2))?;
    let gap = probes.finish(died)?;
    println!(
        "keepalived, advert_int {interval:?}: no answer for {} ms, {} of {} probes unanswered",
        gap.time.as_millis(),
        gap.lost,
        gap.sent
    );
    // Three intervals and a part of one are the protocol's own (RFC 9568 section 6.1).
    let limit = interval * 4 + Duration::from_secs(2);
    ensure!(gap.time > interval * 2, "no answer for {:?} alone: the probes went by the other node", gap.time);
    ensure!(gap.time < limit, "no answer for {:?}, longer than {limit:?}", gap.time);
    Ok(())
}

/// What a client had of a change of nodes.
struct Gap {
    /// Between the last answer before and the first behind it.
    time: Duration,
    sent: usize,
    lost: usize,
}

/// A client that sends an OPTIONS each millisecond, and notes when which was answered.
struct Probes {
    is_over: Arc<AtomicBool>,
    sender: thread::JoinHandle<usize>,
    receiver: thread::JoinHandle<BTreeMap<u64, Instant>>,
}

impl Probes {
    fn start(stage: &Stage) -> Result<Self> {
        let socket = stage.lab.topology().client.run(|| Ok(UdpSocket::bind((CALLERS, SIP_PORT))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let receiving = socket.try_clone()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (sending_over, receiving_over) = (Arc::clone(&is_over), Arc::clone(&is_over));
        let sender = thread::spawn(move || {
            let uri = format!("sip:probe@{DOMAIN}");
            let mut number = 0;
            while !sending_over.load(Ordering::Relaxed) {
                // What can't be sent is lost as well.
                let _ =
                    socket.send_to(message("OPTIONS", &uri, &uri, &uri, number).as_bytes(), (VIP, SIP_PORT));
                number += 1;
                thread::sleep(Duration::from_millis(1));
            }
            number as usize
        });
        let receiver = thread::spawn(move || {
            let (mut answers, mut buffer) = (BTreeMap::new(), [0; 2048]);
            while !receiving_over.load(Ordering::Relaxed) {
                let Ok((length, from)) = receiving.recv_from(&mut buffer) else { continue };
                let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let number =
                    answer.split("\r\nCSeq: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
                if let (Some(number), true) = (number, from.ip() == VIP) {
                    answers.entry(number).or_insert_with(Instant::now);
                }
            }
            answers
        });
        Ok(Self { is_over, sender, receiver })
    }

    fn finish(self, died: Instant) -> Result<Gap> {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
        let answers = self.receiver.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))?;
        let mut times: Vec<Instant> = answers.values().copied().collect();
        times.sort_unstable();
        let last = times.iter().rfind(|at| **at <= died).context("nothing was answered before")?;
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().context("two answers")?;
        ensure!(
            times.iter().any(|at| *at > died + Duration::from_millis(20)),
            "nothing was answered behind {last:?}"
        );
        Ok(Gap { time: longest, sent, lost: sent - answers.len() })
    }
}
