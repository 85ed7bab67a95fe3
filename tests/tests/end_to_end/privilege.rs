//! The daemon as an ordinary user with the capabilities of the packaged unit and no others: it does all that it does as root.
//!
//! What is dropped, and by what: user and groups, all other capabilities, and new privileges, by setpriv(1). The BPF file
//! system is the user's own, mode 0700.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use siplb_lab::siplb;

use crate::numbered::{Numbered, Servers};
use crate::stage::{Ended, Stage, on_stage};
use crate::survival::{Mounted, PATIENCE};

/// Nobody's number, in no group.
const USER: u32 = 64_321;
const STRANGER: &str = "64322";

#[test]
fn an_ordinary_user_with_the_units_capabilities_can_do_all_of_it() {
    on_stage("privilege", 2, |stage| {
        let home = Home::new(stage)?;
        let capabilities = of_unit()?;
        let servers = Servers::start(&stage.lab)?;
        let user = home.wrapper("as-user", &capabilities, "")?;
        stage.start_siplb_as(&user, &home.config)?;
        expect_told(&home.manager, "READY=1")?;
        expect_told(&home.manager, "WATCHDOG=1")?;
        expect_told(&home.manager, "2 of 2 backends up")?;
        let traffic = Numbered::start(&stage.lab, &servers)?;
        changes_are_logged_with_who_asked(stage)?;
        packets_are_explained(stage)?;

        stage.siplb().signal(nix::sys::signal::Signal::SIGHUP)?;
        expect_told(&home.manager, "RELOADING=1")?;
        expect_told(&home.manager, "READY=1")?;
        stage.siplb().signal(nix::sys::signal::Signal::SIGTERM)?;
        expect_told(&home.manager, "STOPPING=1")?;

        for (environment, found) in [("", "is adopted\n"), ("SIPLB_SCAN_LOOP=bpf_loop", "program replaced")] {
            stage.kill_siplb();
            let user = home.wrapper("as-user", &capabilities, environment)?;
            stage.start_siplb_as(&user, &home.config)?;
            ensure!(stage.siplb_log().contains(found), "{}", stage.siplb_log());
        }
        traffic.finish()?.ensure_all_arrived()
    });
}

#[test]
fn each_of_the_capabilities_is_needed() {
    on_stage("capabilities", 1, |stage| {
        let home = Home::new(stage)?;
        let file = stage.lab.folder().join("user.toml").display().to_string();
        let all = of_unit()?;
        for missing in &all {
            let others: Vec<String> = all.iter().filter(|name| *name != missing).cloned().collect();
            let by = home.by(&others);
            let by: Vec<&str> = by.iter().map(String::as_str).collect();
            // Packet sockets are for the checks of dsr alone: a pool of nat does without.
            let config = match missing.as_str() {
                "net_raw" => home.config.replace("forward = \"nat\"", "forward = \"dsr\""),
                _ => home.config.clone(),
            };
            fs::write(&file, config)?;
            let told = stage.run_by(&by, &["-c", &file, "--json", "doctor"])?;
            let sentence = format!("lacks CAP_{}", missing.to_uppercase());
            ensure!(told.code == Some(1) && told.stdout.contains(&sentence), "without {missing}: {told:?}");
            if missing != "net_raw" {
                let refused = stage.run_by(&by, &["-c", &file, "run"])?;
                ensure!(refused.code == Some(1), "without {missing} it runs: {refused:?}");
                println!("without {missing}: {}", refused.stderr.lines().last().unwrap_or_default());
                ensure!(stage.xdp_programs()? == 0, "without {missing} a program was left");
            }
        }
        Ok(())
    });
}

#[test]
fn the_packaged_units_are_what_systemd_takes_and_are_hardened() {
    let units = packaging().join("systemd");
    let copies = std::env::temp_dir().join(format!("siplb-units-{}", std::process::id()));
    let verified = (|| -> Result<String> {
        fs::create_dir_all(&copies)?;
        for unit in fs::read_dir(&units)? {
            let unit = unit?;
            // The program that it starts need not be installed here.
            let text = fs::read_to_string(unit.path())?.replace("/usr/local/bin/siplb", "/bin/true");
            fs::write(copies.join(unit.file_name()), text)?;
        }
        let service = copies.join("siplb.service").display().to_string();
        let mount = copies.join("run-siplb-bpf.mount").display().to_string();
        analyze(&["verify", &service, &mount])?;
        analyze(&["security", "--offline=true", "--no-pager", "--threshold=30", &service])
    })();
    let _ = fs::remove_dir_all(&copies);
    let told = verified.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{}", told.lines().last().unwrap_or_default());
}

fn analyze(arguments: &[&str]) -> Result<String> {
    let mut command = siplb_lab::process::command("systemd-analyze");
    command.args(arguments);
    siplb_lab::process::output(command)
}

fn changes_are_logged_with_who_asked(stage: &Stage) -> Result<()> {
    let drained = stage.try_verb(&["backend", "drain", "b1"])?;
    ensure!(drained.code == Some(0), "{drained:?}");
    ensure!(stage.siplb_log().contains("root (uid 0, process "), "{}", stage.siplb_log());
    let by = |user: &str, verb: &[&str]| -> Result<Ended> {
        let socket = stage.siplb().socket().display().to_string();
        let user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"];
        stage.run_by_binary(
            &user,
            &stage.lab.folder().join("siplb"),
            &[&["--socket", &socket], verb].concat(),
        )
    };
    by(STRANGER, &["backend", "ready", "b1"])?.expect_refusal(1, "may not be used")?;
    by(STRANGER, &["status"])?.expect_refusal(1, "may not be used")?;
    let ready = by(&USER.to_string(), &["backend", "ready", "b1"])?;
    ensure!(ready.code == Some(0), "{ready:?}");
    let told = format!("uid {USER} (without a name, process ");
    ensure!(stage.siplb_log().contains(&told), "{}", stage.siplb_log());
    let refused = by(&USER.to_string(), &["backend", "ready", "nobody"])?;
    ensure!(refused.code == Some(4) && stage.siplb_log().contains("was refused: "), "{refused:?}");
    let reloaded = stage.try_verb(&["reload"])?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    Ok(())
}

fn packets_are_explained(stage: &Stage) -> Result<()> {
    let file = stage.lab.folder().join("message.sip");
    fs::write(
        &file,
        "OPTIONS sip:u0001@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.10;branch=z9hG4bK1\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:u0001@example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
    )?;
    let told = stage.try_verb(&["explain", "--payload", &file.display().to_string()])?;
    let explained = &told.json_lines()?[0];
    ensure!(explained["verdict"] == "forward" && explained["key"] == "u0001", "{explained}");
    Ok(())
}

/// What belongs to the user.
struct Home {
    folder: PathBuf,
    config: String,
    manager: UnixDatagram,
    _bpffs: Mounted,
}

impl Home {
    fn new(stage: &Stage) -> Result<Self> {
        let folder = stage.lab.folder();
        // The user may not see where it was built.
        fs::copy(stage.binary(), folder.join("siplb"))?;
        let bpffs = Mounted::new("bpf", &folder.join("bpf"), "mode=0700")?;
        chown(folder.join("bpf"), Some(USER), Some(USER))?;
        chown(&folder, Some(USER), Some(USER))?;
        let manager = UnixDatagram::bind(folder.join("notify"))?;
        manager.set_read_timeout(Some(PATIENCE))?;
        fs::set_permissions(folder.join("notify"), fs::Permissions::from_mode(0o666))?;
        let pins = folder.join("bpf");
        let config =
            siplb::config(&stage.lab).replace(&format!("{:?}", stage.lab.pin_dir()), &format!("{pins:?}"));
        Ok(Self { folder, config, manager, _bpffs: bpffs })
    }

    /// What starts a program as the user, with these capabilities.
    fn by(&self, capabilities: &[String]) -> Vec<String> {
        let set = capabilities.iter().fold("-all".to_owned(), |set, name| format!("{set},+{name}"));
        let user = USER.to_string();
        let fixed = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--no-new-privs"];
        let sets = ["bounding-set", "inh-caps", "ambient-caps"].map(|kind| format!("--{kind}={set}"));
        fixed.map(str::to_owned).into_iter().chain(sets).collect()
    }

    /// A program that starts siplb as the user, as the service manager does.
    fn wrapper(&self, name: &str, capabilities: &[String], environment: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let (folder, by) = (self.folder.display(), self.by(capabilities).join(" "));
        let manager = format!("NOTIFY_SOCKET={folder}/notify WATCHDOG_USEC=10000000");
        fs::write(&path, format!("#!/bin/sh\n{environment} {manager} exec {by} {folder}/siplb \"$@\"\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

/// The capabilities of the packaged unit, as setpriv(1) names them.
fn of_unit() -> Result<Vec<String>> {
    let unit = fs::read_to_string(packaging().join("systemd/siplb.service"))?;
    let line = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    let ambient = line("AmbientCapabilities=").context("the unit has capabilities")?;
    ensure!(line("CapabilityBoundingSet=") == Some(ambient.clone()), "the unit's sets differ");
    Ok(ambient.split(' ').map(|name| name.trim_start_matches("CAP_").to_lowercase()).collect())
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

/// Waits until the service manager has been told this.
fn expect_told(manager: &UnixDatagram, what: &str) -> Result<()> {
    let started = Instant::now();
    let mut told = Vec::new();
    let mut buffer = [0; 4_096];
    while started.elapsed() < PATIENCE + Duration::from_secs(1) {
        let length = manager.recv(&mut buffer).with_context(|| format!("{what} after {told:?}"))?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.contains(what) {
            return Ok(());
        }
        told.push(text);
    }
    anyhow::bail!("the service manager was not told {what}, but {told:?}")
}
