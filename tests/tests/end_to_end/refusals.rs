//! What can't be done is refused: one sentence that says what and how to mend it, an exit code, and nothing left behind.

use std::fs;

use anyhow::{Context, Result, ensure};
use siplb_lab::siplb;

use crate::stage::{Stage, on_stage};

#[test]
fn a_daemon_that_cant_start_says_why() {
    on_stage("refusals", 1, |stage| {
        let config = siplb::config(&stage.lab);
        let folder = stage.lab.folder();
        let elsewhere = folder.join("pins").display().to_string();
        // A folder below a file can't be made, whoever asks.
        fs::write(folder.join("file"), "")?;
        let below_a_file = folder.join("file/state").display().to_string();
        let cases = [
            ("interfaces", "[\"nosuch0\"]".to_owned(), "there is no interface nosuch0"),
            ("interfaces", "[\"c0\", \"nosuch0\"]".to_owned(), "there is no interface nosuch0"),
            ("interfaces", "[\"lo\"]".to_owned(), "the driver of lo can't run XDP in native mode"),
            ("pin-dir", quoted(&elsewhere), "is not on a BPF file system"),
            ("state-dir", quoted(&below_a_file), "the state folder"),
            ("socket", quoted(&below_a_file), "the control socket"),
            ("hash-key", quoted("file:/nonexistent/hash.key"), "/nonexistent/hash.key"),
        ];
        for (key, value, sentence) in cases {
            run(stage, &[], &with(&config, key, &value))?.expect_refusal(1, sentence)?;
            nothing_is_left(stage).with_context(|| format!("after \"{sentence}\""))?;
        }
        let without_capabilities = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
        run(stage, &without_capabilities, &config)?.expect_refusal(1, "run as root, or with CAP_BPF")?;
        nothing_is_left(stage)
    });
}

#[test]
fn a_wrong_configuration_is_refused_whole() {
    on_stage("wrong-config", 1, |stage| {
        let config = siplb::config(&stage.lab);
        let config = with(&config, "xdp-mode", "\"fast\"");
        let config = with(&config, "forward", "\"teleport\"");
        let ended = run(stage, &[], &config)?;
        ensure!(ended.code == Some(2), "{ended:?}");
        for (key, value) in [("xdp-mode", "fast"), ("forward", "teleport")] {
            let line = 1 + config.lines().position(|line| line.starts_with(key)).expect("the key is there");
            let place = format!("other.toml:{line}:");
            let told = ended.stderr.lines().any(|told| told.contains(&place) && told.contains(value));
            ensure!(told, "nothing is said of {place} {value}:\n{}", ended.stderr);
        }
        nothing_is_left(stage)?;
        let missing = stage.lab.folder().join("missing.toml").display().to_string();
        stage.run(&["-c", &missing, "run"])?.expect_refusal(2, &missing)
    });
}

#[test]
fn a_second_daemon_is_refused_and_disturbs_nothing() {
    on_stage("second", 1, |stage| {
        let config = siplb::config(&stage.lab);
        stage.start_siplb(&config)?;
        let (programs, digest) = (stage.xdp_programs()?, stage.digest()?);
        let own = |name: &str| quoted(&stage.lab.folder().join(name).display().to_string());

        run(stage, &[], &config)?.expect_refusal(1, "another siplb runs already")?;
        let own_state = with(&config, "state-dir", &own("other-state"));
        run(stage, &[], &own_state)?.expect_refusal(1, "another siplb listens on")?;
        let other_pins = stage.lab.pin_dir().join("other").display().to_string();
        let own_socket = with(&own_state, "socket", &own("other.sock"));
        run(stage, &[], &own_socket)?.expect_refusal(1, "another siplb runs the datapath below")?;
        let all_its_own = with(&own_socket, "pin-dir", &quoted(&other_pins));
        run(stage, &[], &all_its_own)?.expect_refusal(1, "already carries the XDP program siplb")?;
        ensure!(!stage.lab.pin_dir().join("other/v1").exists(), "the refused daemon has left pins");

        ensure!(
            stage.xdp_programs()? == programs && stage.digest()? == digest,
            "the first one was disturbed"
        );
        Ok(())
    });
}

/// Runs a daemon that is to be refused, started by `by`.
fn run(stage: &Stage, by: &[&str], config: &str) -> Result<crate::stage::Ended> {
    let file = stage.lab.folder().join("other.toml");
    fs::write(&file, config)?;
    stage.run_by(by, &["-c", &file.display().to_string(), "run"])
}

/// The configuration with another value for a key.
fn with(config: &str, key: &str, value: &str) -> String {
    let is_it = |line: &str| line.split('=').next().is_some_and(|name| name.trim() == key);
    let lines =
        config.lines().map(|line| if is_it(line) { format!("{key} = {value}") } else { line.to_owned() });
    lines.map(|line| line + "\n").collect()
}

/// As a TOML string.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn nothing_is_left(stage: &Stage) -> Result<()> {
    ensure!(stage.xdp_programs()? == 0, "a refused daemon has left its program");
    ensure!(stage.pins()?.is_empty(), "a refused daemon has left pins: {:?}", stage.pins()?);
    ensure!(!stage.lab.folder().join("siplb.sock").exists(), "a refused daemon has left its socket");
    Ok(())
}
