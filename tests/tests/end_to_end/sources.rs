//! Pools whose members come from a real etcd, and from a real name server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use siplb_lab::interrupt::{pause, wait_until};
use siplb_lab::{Dnsmasq, Etcd, Process, siplb};

use crate::servers::Servers;
use crate::stage::{Stage, on_stage};

const LIMIT: Duration = Duration::from_secs(30);
/// Time to live of a registration, in seconds.
const TTL: u64 = 3;
const PREFIX: &str = "/siplb/registrars/";

/// The lab's configuration, with a source in place of the backends.
fn config(stage: &Stage, source: &str) -> String {
    let config = siplb::config(&stage.lab);
    let without = config.split("\n[[pool.backend]]").next().unwrap_or_default();
    // What a source says is to be in force when it is asked for.
    let at_once = "\n[handover]\nrecord = \"0s\"\nfinish = \"0s\"\n";
    format!("{without}\n[pool.source]\n{source}\n{at_once}")
}

fn pool(stage: &Stage) -> Result<Value> {
    Ok(stage.status()?["pools"][0].clone())
}

/// Names of the backends, and the weights of their groups.
fn backends(stage: &Stage) -> Result<Vec<String>> {
    let pool = pool(stage)?;
    let backends = pool["backends"].as_array().context("a list")?;
    Ok(backends
        .iter()
        .map(|it| format!("{} {}", it["name"].as_str().unwrap_or_default(), it["weight"]))
        .collect())
}

fn wait_for(stage: &Stage, expected: &[&str]) -> Result<Duration> {
    let what = format!("the pool to be {expected:?}");
    wait_until(&what, LIMIT, Duration::from_millis(50), || Ok(backends(stage)? == expected))
        .with_context(|| format!("{:?}; {}", backends(stage), pool(stage).unwrap_or_default()["source"]))
}

fn wait_error(stage: &Stage, is_there: bool) -> Result<()> {
    let what = format!("the source to be {}", if is_there { "in trouble" } else { "well" });
    wait_until(&what, LIMIT, Duration::from_millis(50), || {
        Ok(pool(stage)?["source"]["error"].is_null() != is_there)
    })
    .with_context(|| pool(stage).unwrap_or_default()["source"].to_string())?;
    Ok(())
}

/// A backend's registration, on its own machine.
fn register(stage: &Stage, number: usize, etcd: &str) -> Result<Process> {
    let host = &stage.lab.topology().backends[number - 1];
    let mut command = host.netns.command(stage.binary());
    command
        .args(["register", &host.name, &host.address.to_string(), "--etcd", etcd, "--prefix", PREFIX])
        .args(["--ttl", &TTL.to_string(), "--weight", &(number * 50).to_string()]);
    Process::spawn(
        &format!("register {}", host.name),
        command,
        &stage.lab.folder().join(format!("register-{number}.log")),
    )
}

#[test]
fn etcd_gives_the_pool_and_its_loss_changes_nothing() {
    on_stage("etcd", 3, |stage| {
        let address = "10.0.0.1".parse()?;
        let (url, folder) = (Etcd::url(address), stage.lab.folder());
        let node = stage.lab.topology().node.clone();
        let etcd = Etcd::start(&node, address, &folder)?;
        let source = format!("kind = \"etcd\"\nendpoints = [{url:?}]\nprefix = {PREFIX:?}\n");
        let mut first = register(stage, 1, &url)?;
        let mut second = register(stage, 2, &url)?;
        wait_until("both to be registered", LIMIT, Duration::from_millis(50), || {
            Ok(etcd
                .ctl(&["get", "--prefix", "--keys-only", PREFIX])?
                .lines()
                .filter(|line| !line.is_empty())
                .count()
                == 2)
        })?;
        stage.start_siplb(&config(stage, &source))?;
        wait_for(stage, &["b1 50", "b2 100"])?;

        let third = register(stage, 3, &url)?;
        println!("a registration was live after {:?}", wait_for(stage, &["b1 50", "b2 100", "b3 150"])?);
        let left = Instant::now();
        second.signal(Signal::SIGTERM)?;
        second.wait(LIMIT, || ())?;
        wait_for(stage, &["b1 50", "b3 150"])?;
        println!("one that ended in order had left after {:?}", left.elapsed());
        let died = Instant::now();
        first.kill();
        wait_for(stage, &["b3 150"])?;
        println!("one that was killed had left after {:?}, of {TTL} s", died.elapsed());
        ensure!(died.elapsed() > Duration::from_secs(1), "its lease was of no use");

        compaction(stage, &etcd)?;
        loss(stage, etcd, &source)?;
        drop(third);
        Ok(())
    });
}

/// What is not kept any more is not missed.
fn compaction(stage: &Stage, etcd: &Etcd) -> Result<()> {
    let status: Value = serde_json::from_str(&etcd.ctl(&["endpoint", "status", "--write-out=json"])?)?;
    let revision = status[0]["Status"]["header"]["revision"].as_u64().context("a revision")?;
    etcd.ctl(&["compaction", &revision.to_string()])?;
    etcd.ctl(&["put", &format!("{PREFIX}b1"), r#"{"address": "10.0.0.11", "weight": 10}"#])?;
    wait_for(stage, &["b1 10", "b3 150"])?;
    // What is no member is told, and changes nothing.
    etcd.ctl(&["put", &format!("{PREFIX}b2"), r#"{"address": "nowhere"}"#])?;
    wait_error(stage, true)?;
    ensure!(backends(stage)? == ["b1 10", "b3 150"], "half of an answer is in force");
    etcd.ctl(&["put", &format!("{PREFIX}b2"), r#"{"address": "10.0.0.12", "weight": 20}"#])?;
    wait_for(stage, &["b1 10", "b2 20", "b3 150"])?;
    wait_error(stage, false)
}

/// Nothing changes while etcd is gone, not for a daemon either that is started meanwhile; what changes later is seen.
fn loss(stage: &mut Stage, etcd: Etcd, source: &str) -> Result<()> {
    let (digest, node, folder) = (stage.digest()?, stage.lab.topology().node.clone(), stage.lab.folder());
    drop(etcd);
    wait_error(stage, true)?;
    ensure!(stage.digest()? == digest, "the loss of etcd changed the table");
    stage.kill_siplb();
    stage.start_siplb(&config(stage, source))?;
    wait_error(stage, true)?;
    ensure!(stage.digest()? == digest, "a daemon that doesn't reach etcd has another table");
    pause(Duration::from_secs(TTL + 1))?;
    let etcd = Etcd::start(&node, "10.0.0.1".parse()?, &folder)?;
    wait_error(stage, false)?;
    wait_for(stage, &["b1 10", "b2 20", "b3 150"])?;
    etcd.ctl(&["del", &format!("{PREFIX}b2")])?;
    wait_for(stage, &["b1 10", "b3 150"])?;
    etcd.ctl(&["del", "--prefix", PREFIX])?;
    wait_error(stage, true)?;
    ensure!(!backends(stage)?.is_empty(), "an empty answer emptied the pool");
    Ok(())
}

const SRV: &str = "srv-host=_sip._udp.registrars.example.com";

fn records(weights: &[(usize, u32)]) -> String {
    let record = |(number, weight): &(usize, u32)| {
        let host = format!("b{number}.example.com");
        format!("{SRV},{host},5060,10,{weight}\nhost-record={host},10.0.0.1{number}\n")
    };
    weights.iter().map(record).collect()
}

#[test]
fn srv_records_give_the_pool_for_as_long_as_they_live() {
    on_stage("dns", 3, |stage| {
        let (node, folder) = (stage.lab.topology().node.clone(), stage.lab.folder());
        let names = "names = [\"_sip._udp.registrars.example.com\"]\nresolver = [\"127.0.0.1\"]\n";
        let _servers = Servers::start(&stage.lab)?;
        let server = Dnsmasq::start(&node, &folder, 3, &records(&[(1, 60), (2, 40)]))?;
        stage.start_siplb(&config(stage, &format!("kind = \"dns\"\n{names}")))?;
        wait_for(stage, &["b1.example.com 60", "b2.example.com 40"])?;
        let asked = server.questions()?;
        pause(Duration::from_secs(7))?;
        let again = server.questions()? - asked;
        println!("asked {again} times in 7 s, for a time to live of 3 s");
        ensure!((1..=3).contains(&again), "asked {again} times in 7 s for a time to live of 3 s");

        server.kill();
        let server = Dnsmasq::start(&node, &folder, 1, &records(&[(1, 10), (3, 40)]))?;
        println!(
            "a change was live after {:?}",
            wait_for(stage, &["b1.example.com 10", "b3.example.com 40"])?
        );

        let digest = stage.digest()?;
        server.kill();
        wait_error(stage, true)?;
        let server = Dnsmasq::start(&node, &folder, 1, "host-record=b1.example.com,10.0.0.11\n")?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(6) {
            ensure!(stage.digest()? == digest, "a name without records emptied the pool");
            pause(Duration::from_millis(200))?;
        }
        wait_error(stage, true)?;
        server.kill();
        let _server = Dnsmasq::start(&node, &folder, 1, &records(&[(2, 10)]))?;
        wait_for(stage, &["b2.example.com 10"])?;
        wait_error(stage, false)
    });
}
