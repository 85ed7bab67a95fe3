//! Pins that are taken away under a running daemon: it forwards on, says so, and pins again as soon as it can.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, umount2};
use siplb_lab::interrupt::wait_until;
use siplb_lab::siplb;

use crate::numbered::{Numbered, Servers};
use crate::stage::{Stage, on_stage};
use crate::survival::{Mounted, PATIENCE, PAUSE};

const WHILE: Duration = Duration::from_millis(700);

#[test]
fn pins_that_vanish_are_made_again_and_cost_no_packet() {
    on_stage("survival-pins", 2, |stage| {
        let servers = Servers::start(&stage.lab)?;
        let pins = stage.lab.folder().join("bpf");
        let mounted = Mounted::new("bpf", &pins, "mode=0700")?;
        let ours = siplb::config(&stage.lab)
            .replace(&format!("{:?}", stage.lab.pin_dir()), &format!("{:?}", pins.join("siplb")));
        stage.start_siplb(&ours)?;
        let programs = stage.xdp_programs()?;
        let traffic = Numbered::start(&stage.lab, &servers)?;
        let folder = pins.join(format!("siplb/v{}", lb_common::layout::ABI));

        fs::remove_dir_all(pins.join("siplb"))?;
        let is_pinned = || Ok(folder.join("links/c0").exists());
        wait_until("the pins to be made again", PATIENCE, PAUSE, is_pinned)?;
        thread::sleep(WHILE);
        stage.kill_siplb();
        thread::sleep(WHILE);
        stage.start_siplb(&ours)?;
        ensure!(stage.siplb_log().contains("is adopted\n"), "{}", stage.siplb_log());

        umount2(&pins, MntFlags::MNT_DETACH).context("umount")?;
        drop(mounted);
        fs::remove_dir_all(&pins)?;
        wait_until("the loss to be noticed", PATIENCE, PAUSE, || Ok(pins_lost(stage)?.is_some()))?;
        let why = pins_lost(stage)?.unwrap_or_default();
        ensure!(why.contains("is not on a BPF file system"), "{why}");
        thread::sleep(WHILE);
        let _mounted = Mounted::new("bpf", &pins, "mode=0700")?;
        wait_until("the pins to be made again", PATIENCE, PAUSE, is_pinned)?;
        wait_until("the daemon to say so", PATIENCE, PAUSE, || Ok(pins_lost(stage)?.is_none()))?;
        stage.kill_siplb();
        thread::sleep(WHILE);
        stage.start_siplb(&ours)?;
        ensure!(stage.siplb_log().contains("is adopted\n"), "{}", stage.siplb_log());
        ensure!(stage.xdp_programs()? == programs, "not one program on each interface");
        let account = traffic.finish()?;
        println!("pins removed, bpffs gone: {} sent, {} lost", account.sent, account.lost.len());
        account.ensure_perfect()
    });
}

#[test]
fn a_daemon_without_a_place_for_pins_or_beside_another_datapath_says_what_to_do() {
    on_stage("survival-no-pins", 1, |stage| {
        let pins = stage.lab.folder().join("bpf");
        let mounted = Mounted::new("bpf", &pins, "mode=0700")?;
        let config = siplb::config(&stage.lab);
        let elsewhere =
            config.replace(&format!("{:?}", stage.lab.pin_dir()), &format!("{:?}", pins.join("siplb")));
        stage.start_siplb(&config)?;
        stage.kill_siplb();
        let file = stage.lab.folder().join("other.toml").display().to_string();
        fs::write(&file, &elsewhere)?;
        // The first one's pins are elsewhere: its program is on the interfaces, and stays there alone.
        let refused = stage.run(&["-c", &file, "run"])?;
        refused.expect_refusal(1, "c0 already carries the XDP program siplb")?;
        ensure!(!pins.join("siplb").join(format!("v{}", lb_common::layout::ABI)).exists(), "pins were left");
        drop(mounted);
        fs::remove_dir_all(&pins)?;
        let refused = stage.run(&["-c", &file, "run"])?;
        refused.expect_refusal(1, "is not on a BPF file system: run `mount -t bpf")?;
        stage.start_siplb(&config)?;
        ensure!(stage.siplb_log().contains("is adopted\n"), "{}", stage.siplb_log());
        Ok(())
    });
}

fn pins_lost(stage: &Stage) -> Result<Option<String>> {
    Ok(stage.status()?["watchdog"]["pins_lost"].as_str().map(str::to_owned))
}
