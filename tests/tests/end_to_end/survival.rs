//! Nothing that happens to the daemon costs a packet: it is killed, started again, replaced by one with another program or
//! another layout, and runs out of disk, while numbered packets go through.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use siplb_lab::interrupt::wait_until;
use siplb_lab::siplb;

use crate::numbered::{Numbered, Servers};
use crate::stage::{Stage, on_stage};

/// Traffic between two events.
const WHILE: Duration = Duration::from_millis(700);
/// Longer than a daemon may be silent before that counts as the datapath's being alone.
const ALONE: Duration = Duration::from_secs(4);
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

#[test]
fn a_killed_daemon_costs_no_packet_and_its_silence_is_told() {
    on_stage("survival-kill", 3, |stage| {
        let servers = Servers::start(&stage.lab)?;
        let config = siplb::config(&stage.lab);
        stage.start_siplb(&config)?;
        let traffic = Numbered::start(&stage.lab, &servers)?;
        thread::sleep(WHILE);
        a_daemon_that_hangs_is_told(stage)?;
        stage.kill_siplb();
        thread::sleep(ALONE);
        silence_is_told(stage)?;
        stage.start_siplb(&config)?;
        ensure!(stage.siplb_log().contains("is adopted\n"), "the datapath was not adopted");
        wait_until("the first heartbeat", PATIENCE, PAUSE, || {
            Ok(stage.status()?["watchdog"]["alone_packets"].as_u64() > Some(0))
        })?;
        thread::sleep(WHILE);
        let watchdog = stage.status()?["watchdog"].clone();
        ensure!(watchdog["heartbeat_age_s"].as_f64() < Some(3.0), "{watchdog}");
        ensure!(watchdog["alone_s"].as_f64() >= Some(3.0), "{watchdog}");
        let account = traffic.finish()?;
        println!("killed and started again: {} sent, {} lost", account.sent, account.lost.len());
        account.ensure_perfect()?;

        // What the account would say if it were otherwise.
        let traffic = Numbered::start(&stage.lab, &servers)?;
        thread::sleep(WHILE);
        stage.kill_siplb();
        let file = stage.lab.folder().join("siplb.toml").display().to_string();
        let detached = stage.run(&["-c", &file, "detach"])?;
        ensure!(detached.code == Some(0), "{detached:?}");
        thread::sleep(WHILE);
        let account = traffic.finish()?;
        ensure!(
            !account.lost.is_empty() && account.ensure_perfect().is_err(),
            "a detached datapath forwards"
        );
        Ok(())
    });
}

/// It is stopped, as by a debugger or a disk that does not answer.
fn a_daemon_that_hangs_is_told(stage: &Stage) -> Result<()> {
    let config = stage.lab.folder().join("siplb.toml").display().to_string();
    stage.siplb().signal(Signal::SIGSTOP)?;
    let told = stage.run(&["-c", &config, "status"]);
    stage.siplb().signal(Signal::SIGCONT)?;
    let told = told?;
    ensure!(told.code == Some(3) && told.stderr.contains("does not answer (5 s were given)"), "{told:?}");
    ensure!(told.stderr.contains("its daemon has been silent for "), "{told:?}");
    Ok(())
}

/// By status, metrics and doctor.
fn silence_is_told(stage: &Stage) -> Result<()> {
    let config = stage.lab.folder().join("siplb.toml").display().to_string();
    let told = stage.run(&["-c", &config, "status"])?;
    ensure!(told.code == Some(3) && told.stderr.contains("its daemon has been silent for "), "{told:?}");
    let told = stage.run(&["-c", &config, "--json", "status"])?;
    let json: serde_json::Value = serde_json::from_str(&told.stdout).with_context(|| format!("{told:?}"))?;
    let datapath = &json["datapath"];
    ensure!(told.code == Some(3) && datapath["silent_s"].as_f64() > Some(2.0), "{json}");
    ensure!(datapath["packets_since"].as_u64() > Some(1_000), "{json}");
    ensure!(datapath["interfaces"].as_array().is_some_and(|names| names.len() == 4), "{json}");
    let told = stage.run(&["-c", &config, "metrics"])?;
    ensure!(told.code == Some(3) && told.stdout.contains("siplb_daemon_answers 0\n"), "{told:?}");
    let told = stage.run(&["-c", &config, "--json", "doctor"])?;
    let is_told = told.stdout.lines().any(|line| line.contains("watchdog") && line.contains("\"fail\""));
    ensure!(told.code == Some(1) && is_told, "{told:?}");
    Ok(())
}

#[test]
fn another_program_and_another_layout_take_over_without_a_packet_lost() {
    on_stage("survival-upgrade", 3, |stage| {
        let servers = Servers::start(&stage.lab)?;
        let config = siplb::config(&stage.lab);
        // The same source, compiled to another program: what an upgrade brings.
        let other = wrapper(stage, "other", "SIPLB_SCAN_LOOP=bpf_loop exec")?;
        stage.start_siplb(&config)?;
        let programs = stage.xdp_programs()?;
        let traffic = Numbered::start(&stage.lab, &servers)?;
        for binary in [other, stage.binary().to_owned()] {
            thread::sleep(WHILE);
            stage.kill_siplb();
            stage.start_siplb_as(&binary, &config)?;
            ensure!(stage.siplb_log().contains("adopted, program replaced"), "{}", stage.siplb_log());
        }
        thread::sleep(WHILE);
        stage.kill_siplb();
        // What an older siplb would have left: its maps mean nothing to this one.
        let of_layout = |abi: u32| stage.lab.pin_dir().join(format!("v{abi}"));
        let (ours, elder) = (of_layout(lb_common::layout::ABI), of_layout(1));
        fs::rename(&ours, &elder)?;
        stage.start_siplb(&config)?;
        ensure!(
            stage.siplb_log().contains("to take the place of the one of layout 1"),
            "{}",
            stage.siplb_log()
        );
        ensure!(!elder.exists() && ours.exists(), "pins: {:?}", stage.pins()?);
        thread::sleep(WHILE);
        // And the pins that it left are like any other's.
        stage.kill_siplb();
        stage.start_siplb(&config)?;
        ensure!(stage.siplb_log().contains("is adopted\n"), "{}", stage.siplb_log());
        ensure!(stage.xdp_programs()? == programs, "not one program on each interface");
        thread::sleep(WHILE);
        let account = traffic.finish()?;
        println!("replaced, rolled back, another layout: {} sent, {} lost", account.sent, account.lost.len());
        account.ensure_perfect()
    });
}

#[test]
fn a_full_disk_refuses_changes_and_nothing_else() {
    on_stage("survival-disk", 3, |stage| {
        let mut servers = Servers::start(&stage.lab)?;
        let state = stage.lab.folder().join("state");
        let _disk = Mounted::new("tmpfs", &state, "size=64k")?;
        let config = siplb::config(&stage.lab);
        stage.start_siplb(&config)?;
        let traffic = Numbered::start(&stage.lab, &servers)?;
        fill(&state)?;
        let refused = stage.try_verb(&["backend", "drain", "b1"])?;
        refused.expect_refusal(1, "No space left on device")?;
        refused.expect_refusal(1, "nothing is changed; make room")?;
        let state_of_b1 = stage.status()?["pools"][0]["backends"][0]["state"].clone();
        ensure!(state_of_b1 == "active", "{state_of_b1}");
        thread::sleep(WHILE);
        stage.kill_siplb();
        stage.start_siplb(&config)?;
        thread::sleep(WHILE);
        traffic.finish()?.ensure_perfect()?;

        // Health is published all the same.
        servers.end("b2");
        stage.siplb().wait_for("b2", false)?;
        let traffic = Numbered::start(&stage.lab, &servers)?;
        thread::sleep(WHILE);
        traffic.finish()?.ensure_perfect()?;
        ensure!(stage.siplb_log().contains("the next daemon will not know"), "{}", stage.siplb_log());

        fs::remove_file(state.join("filler"))?;
        let done = stage.try_verb(&["backend", "drain", "b1"])?;
        ensure!(done.code == Some(0), "{done:?}");
        Ok(())
    });
}

/// Leaves no room on a small disk.
fn fill(folder: &Path) -> Result<()> {
    let filler = vec![0; 1 << 20];
    let full = fs::write(folder.join("filler"), filler);
    ensure!(full.is_err_and(|error| error.raw_os_error() == Some(nix::libc::ENOSPC)), "the disk is not full");
    Ok(())
}

/// A file system that is mounted until this is dropped.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    pub(crate) fn new(kind: &str, place: &Path, options: &str) -> Result<Self> {
        fs::create_dir_all(place)?;
        mount(Some(kind), place, Some(kind), MsFlags::empty(), Some(options))
            .with_context(|| format!("cannot mount {kind} on {}", place.display()))?;
        Ok(Self(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It may be gone already: some tests take it away.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// A program that starts siplb as `how` says.
pub(crate) fn wrapper(stage: &Stage, name: &str, how: &str) -> Result<PathBuf> {
    let path = stage.lab.folder().join(name);
    fs::write(&path, format!("#!/bin/sh\n{how} {} \"$@\"\n", stage.binary().display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
