//! The file is read again under traffic: nothing is lost, a bad file changes nothing, and what an operator did at run time
//! stays before the file until he takes it back.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use siplb_lab::interrupt::{pause, wait_until};
use siplb_lab::siplb;

use crate::servers::Servers;
use crate::stage::{Stage, on_stage, users};

/// Reloads while probes come every millisecond.
const RELOADS: usize = 12;
/// Longest time that a reload by signal can take to show.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn reloads_under_traffic_lose_nothing_and_go_as_they_were_foretold() {
    on_stage("reload", 3, |stage| {
        let mut servers = Servers::start(&stage.lab)?;
        let whole = siplb::config(&stage.lab);
        stage.start_siplb(&whole)?;
        servers.probe(&stage.lab, &users(1)[0])?;
        let other = whole.replacen("name    = \"b1\"", "name    = \"b1\"\nweight  = 300", 1);
        let less = without_b3(&whole)?;
        for file in [&other, &whole, &less].into_iter().cycle().take(RELOADS) {
            write(stage, file)?;
            let plan = stage.siplb().ask(&["plan"])?;
            let done = stage.siplb().ask(&["reload", "--now"])?;
            println!("reload took {}", done["took"]);
            let changes = plan["changes"].as_array().context("changes are a list")?;
            let done_first = done["done"].as_array().context("what is done is a list")?;
            ensure!(!changes.is_empty() && done_first.starts_with(changes), "foretold {plan}, done {done}");
            let foretold = loads(&plan["pools"][0]["loads"], "backend", "after_slots");
            let live = loads(&stage.status()?["pools"][0]["backends"], "name", "slots");
            ensure!(foretold == live, "foretold {foretold:?}, live {live:?}");
            pause(Duration::from_millis(50))?;
        }
        let arrivals = servers.finish()?;
        ensure!(arrivals.len() > RELOADS * 50, "{} probes are few", arrivals.len());
        Ok(())
    });
}

#[test]
fn a_bad_file_changes_nothing_and_all_of_it_is_told() {
    on_stage("reload-bad", 2, |stage| {
        let _servers = Servers::start(&stage.lab)?;
        let good = siplb::config(&stage.lab);
        stage.start_siplb(&good)?;
        // Next hops are learnt, and published, a moment after the start.
        pause(Duration::from_millis(500))?;
        let before = stage.status()?["generation"].clone();
        write(
            stage,
            &good.replacen("port    = ", "port    = 7", 1).replacen(
                "forward = \"nat\"",
                "forward = \"nut\"",
                1,
            ),
        )?;
        let file = file(stage).display().to_string();
        let checked = stage.run(&["--config", &file, "check"])?;
        let problems: Vec<&str> = checked.stderr.lines().collect();
        ensure!(checked.code == Some(2) && problems.len() == 2, "{checked:?}");

        let by_verb = stage.try_verb(&["reload"])?;
        let told: Vec<&str> = by_verb.stderr.lines().skip(1).collect();
        ensure!(by_verb.code == Some(2) && told == problems, "check says {problems:?}, reload {by_verb:?}");
        let foretold = stage.try_verb(&["plan"])?;
        ensure!(foretold.code == Some(2) && foretold.stderr == by_verb.stderr, "{foretold:?}");

        stage.siplb().signal(Signal::SIGHUP)?;
        wait_until("the log to have both problems", SIGNAL_LIMIT, Duration::from_millis(20), || {
            let log = stage.siplb_log();
            Ok(log.contains("SIGHUP") && problems.iter().all(|problem| log.contains(problem)))
        })?;
        ensure!(stage.status()?["generation"] == before, "a bad file has changed something");
        Ok(())
    });
}

#[test]
fn what_was_done_at_run_time_stays_before_the_file_until_it_is_taken_back() {
    on_stage("reload-rule", 3, |stage| {
        let whole = siplb::config(&stage.lab);
        stage.start_siplb(&whole)?;
        stage.siplb().ask(&["backend", "drain", "b1"])?;
        stage.siplb().ask(&["backend", "weight", "b2", "300"])?;
        stage.siplb().ask(&["backend", "drain", "b3"])?;
        let heavier = whole.replacen("name    = \"b2\"", "name    = \"b2\"\nweight  = 200", 1);
        write(stage, &without_b3(&heavier)?)?;
        let done = stage.siplb().ask(&["reload"])?;
        let kept: Vec<&str> =
            done["kept"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        ensure!(
            kept == [
                "b1 of registrars stays draining: done at run time",
                "group b2 of registrars keeps weight 300: set at run time, the file says 200",
            ],
            "{done}"
        );
        ensure!(done["done"].to_string().contains("b3 of registrars is not draining any more"), "{done}");
        let in_force = stage.status()?["runtime"].clone();

        stage.kill_siplb();
        stage.start_siplb(&without_b3(&heavier)?)?;
        ensure!(stage.status()?["runtime"] == in_force, "a restart has changed what is in force");
        let reset = stage.siplb().ask(&["backend", "reset", "b2"])?;
        ensure!(
            reset["done"][0] == "b2 of registrars is as the file says again: active, group b2 weighs 200"
        );
        stage.siplb().ask(&["backend", "reset", "b1"])?;
        ensure!(stage.status()?["runtime"] == Value::Array(Vec::new()));
        Ok(())
    });
}

/// Slots of everybody who serves, by name.
fn loads(list: &Value, name: &str, slots: &str) -> Vec<(String, u64)> {
    let entries = list.as_array().into_iter().flatten();
    let loads = entries.filter_map(|entry| Some((entry[name].as_str()?.to_owned(), entry[slots].as_u64()?)));
    let mut loads: Vec<(String, u64)> = loads.filter(|(_, slots)| *slots > 0).collect();
    loads.sort();
    loads
}

fn file(stage: &Stage) -> PathBuf {
    stage.lab.folder().join("siplb.toml")
}

fn write(stage: &Stage, text: &str) -> Result<()> {
    fs::write(file(stage), text).context("write the configuration")
}

/// The configuration less its last backend.
fn without_b3(text: &str) -> Result<String> {
    let at = text.rfind("[[pool.backend]]").context("a configuration has backends")?;
    ensure!(text[at..].contains("\"b3\""), "b3 is the last backend");
    Ok(text[..at].to_owned())
}
