//! `explain` says the same by the live tables and by the file alone; `detach` leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use siplb_lab::siplb;
use siplb_lab::topology::DOMAIN;

use crate::servers::Servers;
use crate::stage::{Stage, on_stage};

/// The fields of an answer: others may be added to the program, and must be to this list.
const FIELDS: [&str; 12] = [
    "index",
    "verdict",
    "xdp",
    "reason",
    "method",
    "key_source",
    "key",
    "slot",
    "group",
    "backend",
    "passed_over",
    "transaction",
];

/// Messages, and of the answers what doesn't depend on the hash.
fn messages() -> Vec<(String, Value)> {
    let answer = |verdict: &str, reason: &str, method: Value, key_source: &str, key: Value| json!({ "verdict": verdict, "reason": reason, "method": method, "key_source": key_source, "key": key });
    let headers = "From: <sip:carol@elsewhere.example>;tag=1\r\nCall-ID: x\r\nCSeq: 1 X\r\n\r\n";
    vec![
        (
            format!("INVITE sip:alice@{DOMAIN} SIP/2.0\r\nTo: <sip:bob@{DOMAIN}>\r\n{headers}"),
            answer("forward", "forwarded", json!("INVITE"), "request-uri", json!("alice")),
        ),
        (
            format!(
                "REGISTER sip:{DOMAIN} SIP/2.0\r\nt: \"A \\\" <b\" <sip:%61lice:pw@{DOMAIN}>\r\n{headers}"
            ),
            answer("forward", "forwarded", json!("REGISTER"), "to", json!("alice")),
        ),
        (
            format!("OPTIONS sip:{DOMAIN} SIP/2.0\r\nTo: <sip:bob@{DOMAIN}>\r\n{headers}"),
            answer("forward", "fallback-to", json!("OPTIONS"), "to", json!("bob")),
        ),
        (
            format!("SIP/2.0 200 OK\r\nTo: <sip:bob@{DOMAIN}>;tag=2\r\n{headers}"),
            answer("forward", "response-unnamed", Value::Null, "to", json!("bob")),
        ),
        (
            format!("REGISTER sip:{DOMAIN} SIP/2.0\r\n{headers}"),
            answer("drop", "to-missing", json!("REGISTER"), "none", Value::Null),
        ),
        ("\r\n".to_owned(), answer("drop", "keep-alive", Value::Null, "none", Value::Null)),
        (
            "\r\n\r\n".to_owned(),
            answer("forward", "crlf-forwarded", Value::Null, "source", json!("198.51.100.1:5060")),
        ),
        ("\u{1}".repeat(40), answer("drop", "not-sip", Value::Null, "none", Value::Null)),
    ]
}

#[test]
fn live_tables_and_the_file_alone_explain_alike() {
    on_stage("explain", 4, |stage| {
        let _servers = Servers::start(&stage.lab)?;
        stage.start_siplb(&siplb::config(&stage.lab))?;
        let messages = messages();
        let files = write(stage, &messages)?;
        let files: Vec<&str> = files.iter().filter_map(|file| file.to_str()).collect();
        let verb = [&["--json", "explain", "--payload"], &files[..]].concat();
        let counted = stage.packets("forwarded")?;
        let live = stage.try_verb(&verb[1..])?.json_lines()?;
        ensure!(stage.packets("forwarded")? == counted, "explaining has counted as traffic");
        let config = stage.lab.folder().join("siplb.toml").display().to_string();
        let alone = stage.run(&[&["-c", &config], &verb[..]].concat())?.json_lines()?;

        ensure!(live.len() == messages.len() && alone.len() == messages.len(), "{live:?} {alone:?}");
        for (index, (message, expected)) in messages.iter().enumerate() {
            let (live, alone) = (&live[index], &alone[index]);
            has_its_fields(live)?;
            for (field, value) in expected.as_object().context("an object")? {
                ensure!(&live[field] == value, "{field} of {message:?} was to be {value}: {live}");
            }
            // Where packets go from here depends on next hops, which the file alone doesn't know.
            for field in FIELDS.iter().filter(|field| **field != "xdp") {
                ensure!(live[field] == alone[field], "{message:?}\nlive:  {live}\nalone: {alone}");
            }
            ensure!(live["index"] == index);
        }
        agrees_with_lookup(stage, &live[0])
    });
}

fn write(stage: &Stage, messages: &[(String, Value)]) -> Result<Vec<PathBuf>> {
    let write = |(index, (message, _)): (usize, &(String, Value))| {
        let file = stage.lab.folder().join(format!("message-{index}"));
        fs::write(&file, message)?;
        Ok(file)
    };
    messages.iter().enumerate().map(write).collect()
}

fn has_its_fields(answer: &Value) -> Result<()> {
    let fields: BTreeSet<&str> =
        answer.as_object().context("an object")?.keys().map(String::as_str).collect();
    ensure!(fields == BTreeSet::from(FIELDS), "{answer}");
    Ok(())
}

/// The one answers by the kernel, the other by user space.
fn agrees_with_lookup(stage: &Stage, invite: &Value) -> Result<()> {
    let owner = stage.siplb().ask(&["lookup", &format!("sip:alice@{DOMAIN}")])?;
    for field in ["key", "slot", "group", "backend"] {
        ensure!(owner[field] == invite[field] && !owner[field].is_null(), "{owner} against {invite}");
    }
    Ok(())
}

#[test]
fn detach_leaves_nothing_behind() {
    on_stage("detach", 2, |stage| {
        let interfaces = stage.lab.topology().node_interfaces();
        stage.start_siplb(&siplb::config(&stage.lab))?;
        ensure!(stage.xdp_programs()? == interfaces.len(), "not on every interface");
        stage.try_verb(&["detach"])?.expect_refusal(1, "stop it first")?;
        ensure!(stage.xdp_programs()? == interfaces.len(), "a refused detach has detached");

        let socket = stage.siplb().socket().display().to_string();
        let config = stage.lab.folder().join("siplb.toml").display().to_string();
        stage.kill_siplb();
        let status = stage.run(&["--socket", &socket, "status"])?;
        ensure!(status.code == Some(3) && status.stderr.contains(&socket), "{status:?}");
        let detached = stage.run(&["-c", &config, "--json", "detach"])?.json_lines()?;
        let mut named: Vec<String> = serde_json::from_value(detached[0]["interfaces"].clone())?;
        named.sort_unstable();
        ensure!(named.iter().eq(interfaces.iter().collect::<BTreeSet<_>>()), "{named:?}");
        ensure!(stage.xdp_programs()? == 0, "an interface carries a program still");
        ensure!(stage.pins()?.is_empty(), "left behind: {:?}", stage.pins()?);
        let again = stage.run(&["-c", &config, "--json", "detach"])?.json_lines()?;
        ensure!(again == [json!({ "interfaces": [] })], "{again:?}");

        stage.start_siplb(&siplb::config(&stage.lab))?;
        ensure!(stage.siplb_log().contains("is made anew"), "the next daemon found something to adopt");
        Ok(())
    });
}
