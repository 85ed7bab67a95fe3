//! The binary `siplb` as a shell sees it, without root and without a daemon.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use tempfile::TempDir;

const GOOD: &str = r#"
[node]
interfaces = ["eth0"]
hash-key = "hex:000102030405060708090a0b0c0d0e0f"
socket = "/nowhere/siplb.sock"
pin-dir = "/nowhere/pins"

[[vip]]
address = "192.0.2.10"
pool = "registrars"
domains = ["example.com"]

[[pool]]
name = "registrars"

[[pool.backend]]
name = "a1"
address = "10.0.0.11"

[[pool.backend]]
name = "b1"
address = "10.0.0.12"
"#;

const BAD: &str = r#"
[node]
interfaces = ["eth0"]
hash-key = "hex:0001"

[[vip]]
address = "192.0.2.10"
pool = "registrar"

[[pool]]
name = "registrars"
foward = "nat"

[[pool.backend]]
name = "a1"
address = "10.0.0.256"
"#;

/// A folder with configurations, in which `siplb` is run.
struct Shell(TempDir);

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("good.toml"), GOOD).unwrap();
        fs::write(folder.path().join("bad.toml"), BAD).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `siplb` and shows its exit code and what it printed.
    fn run(&self, arguments: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siplb"));
        command
            .current_dir(&self.0)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .env("COLUMNS", "100");
        let output = command.output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let mut shown = format!("exit {}\n", output.status.code().unwrap());
        if !out.is_empty() {
            shown += &format!("--- stdout\n{out}");
        }
        if !err.is_empty() {
            shown += &format!("--- stderr\n{err}");
        }
        shown
    }
}

#[test]
fn help() {
    assert_snapshot!(Shell::new().run("--help"));
}

#[test]
fn help_of_backend_add() {
    assert_snapshot!(Shell::new().run("backend add --help"));
}

#[test]
fn help_of_doctor() {
    assert_snapshot!(Shell::new().run("doctor --help"));
}

#[test]
fn doctor_needs_a_configuration_and_fails_without_an_interface() {
    let shell = Shell::new();
    assert!(shell.run("doctor -c bad.toml").starts_with("exit 2\n--- stderr\nsiplb: bad.toml is wrong:\n"));
    assert!(shell.run("doctor -c nowhere.toml").starts_with("exit 2\n"));
    fs::write(shell.path("other.toml"), GOOD.replace("eth0", "siplb-none")).unwrap();
    let shown = shell.run("--json doctor -c other.toml");
    let expected =
        r#"{"check":"interface","verdict":"fail","what":"there is no interface siplb-none","mend":"mend "#;
    assert!(shown.starts_with("exit 1\n--- stdout\n{") && shown.contains(expected), "{shown}");
    let people = shell.run("doctor -c other.toml");
    assert!(
        people.contains("  there is no interface siplb-none\n")
            && people.contains("  -> mend node.interfaces"),
        "{people}"
    );
}

#[test]
fn usage() {
    assert_snapshot!(Shell::new().run("backend drain"));
    assert_snapshot!(Shell::new().run("backend add registrars c1 10.0.0.999"));
    assert_snapshot!(Shell::new().run("backend weight a1 0"));
    assert!(Shell::new().run("no-such-verb").starts_with("exit 2\n"));
}

#[test]
fn check() {
    assert_snapshot!(Shell::new().run("check -c good.toml"));
    assert_snapshot!(Shell::new().run("check -c bad.toml"));
    assert_snapshot!(Shell::new().run("check -c nowhere.toml"));
}

#[test]
fn check_as_json() {
    assert_snapshot!(Shell::new().run("--json check -c good.toml"));
    assert_snapshot!(Shell::new().run("--json check -c bad.toml"));
}

#[test]
fn lookup_in_a_file() {
    let shell = Shell::new();
    assert_snapshot!(shell.run("-c good.toml lookup sip:%61lice@example.com"));
    assert_snapshot!(shell.run("--json -c good.toml lookup tel:+1-201-555-0123"));
    assert_snapshot!(shell.run("-c good.toml lookup sip:example.com"));
    assert_snapshot!(shell.run("-c good.toml lookup sip:a@h --pool proxies"));
    assert!(shell.run("-c bad.toml lookup sip:a@h").starts_with("exit 2\n"));
}

#[test]
fn digest_of_a_file() {
    let shell = Shell::new();
    assert_snapshot!(shell.run("--json -c good.toml digest"));
    let other = GOOD.replace("0e0f", "0e10");
    fs::write(shell.path("other.toml"), other).unwrap();
    assert_ne!(shell.run("--json -c good.toml digest"), shell.run("--json -c other.toml digest"));
}

#[test]
fn help_of_plan() {
    assert_snapshot!(Shell::new().run("plan --help"));
}

#[test]
fn plan_from_file_to_file() {
    let shell = Shell::new();
    let other = GOOD.replace("b1", "c1").replace("eth0", "eth1");
    fs::write(shell.path("other.toml"), other).unwrap();
    assert_snapshot!(shell.run("plan --from good.toml -c other.toml"));
    assert_snapshot!(shell.run("--json plan --from good.toml -c other.toml"));
    assert_snapshot!(shell.run("plan --from good.toml -c good.toml"));
    assert!(shell.run("plan --from good.toml -c bad.toml").starts_with("exit 2\n"));
    assert!(shell.run("plan --from bad.toml -c good.toml").starts_with("exit 2\n"));
}

#[test]
fn plan_of_a_change_to_a_file() {
    let shell = Shell::new();
    assert_snapshot!(shell.run("plan --from good.toml maintenance a1"));
    assert_snapshot!(shell.run("plan --from good.toml weight a1 300"));
    assert_snapshot!(shell.run("plan --from good.toml add registrars a2 10.0.0.13 --group a1 --priority 1"));
    assert_snapshot!(shell.run("plan --from good.toml ready a1"));
    assert!(shell.run("plan --from good.toml drain x").starts_with("exit 4\n"));
    assert!(shell.run("plan --from good.toml add registrars c1 10.0.0.11").starts_with("exit 1\n"));
}

#[test]
fn no_daemon() {
    let shell = Shell::new();
    assert_snapshot!(shell.run("-c good.toml status"));
    for verb in
        ["backend list", "backend ready a1", "reload", "lookup sip:a@h", "digest", "plan", "plan drain a1"]
    {
        let shown = shell.run(&format!("--socket /nowhere/siplb.sock {verb}"));
        assert!(
            shown.starts_with("exit 3\n--- stderr\nsiplb: no siplb listens on /nowhere/siplb.sock"),
            "{shown}"
        );
    }
}

#[test]
fn a_configuration_that_is_wrong_starts_no_daemon() {
    assert_snapshot!(Shell::new().run("-c bad.toml run"));
}

#[test]
fn completions() {
    for shell in ["bash", "zsh", "fish"] {
        let shown = Shell::new().run(&format!("completions {shell}"));
        assert!(shown.starts_with("exit 0\n") && shown.contains("maintenance"), "{shell}");
    }
}

#[test]
fn what_is_no_capture_of_ethernet_is_refused() {
    let shell = Shell::new();
    // A pcap header: magic, version 2.4, zone, precision, snap length, link type 113 (Linux cooked).
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 113].map(u32::to_le_bytes).concat();
    fs::write(shell.path("cooked.pcap"), header).unwrap();
    assert_snapshot!(shell.run("-c good.toml explain cooked.pcap"));
    assert_snapshot!(shell.run("-c good.toml explain good.toml"));
    assert_snapshot!(shell.run("-c good.toml explain nowhere.pcap"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_siplb"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}

#[test]
fn the_shipped_configuration_is_right() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/siplb.toml");
    assert!(Shell::new().run(&format!("--json check -c {}", shipped.display())).starts_with("exit 0\n"));
}

const SOURCE: &str = r#"
[pool.source]
kind = "file"
path = "POOL"
"#;

const POOL: &str = r#"
[[backend]]
name = "b1"
address = "10.0.0.12"

[[backend]]
name = "a1"
address = "10.0.0.11"
"#;

/// A pool whose members are in a file of their own, which has this text.
fn with_source(text: &str) -> Shell {
    let shell = Shell::new();
    let pool = shell.path("pool.toml");
    let config = GOOD.split("\n[[pool.backend]]").next().unwrap().to_owned();
    fs::write(shell.path("sourced.toml"), config + &SOURCE.replace("POOL", pool.to_str().unwrap())).unwrap();
    fs::write(pool, text).unwrap();
    shell
}

#[test]
fn a_file_source_is_read_without_a_daemon() {
    let shell = with_source(POOL);
    assert_eq!(
        shell.run("check -c sourced.toml"),
        shell.run("check -c good.toml").replace("good", "sourced")
    );
    for verb in ["digest", "lookup sip:alice@example.com"] {
        assert_eq!(shell.run(&format!("-c sourced.toml {verb}")), shell.run(&format!("-c good.toml {verb}")));
    }
    let wrong = with_source(&POOL.replace("10.0.0.12", "10.0.0.256"));
    let folder = format!("{}/", wrong.path("").display());
    let shown =
        wrong.run("check -c sourced.toml").replace(&folder, "").replace(folder.trim_end_matches('/'), "");
    assert!(shown.starts_with("exit 2\n") && shown.contains("pool.toml:4: backend.address:"), "{shown}");
    let twice = with_source(&POOL.replace("10.0.0.12", "10.0.0.11"));
    let shown = twice.run("-c sourced.toml digest");
    assert!(shown.starts_with("exit 2\n") && shown.contains("is already backend"), "{shown}");
}

#[test]
fn what_only_the_daemon_knows_is_said() {
    let shell = Shell::new();
    let config = GOOD.split("\n[[pool.backend]]").next().unwrap().to_owned()
        + "[pool.source]\nkind = \"dns\"\nnames = [\"_sip._udp.example.com\"]\n";
    fs::write(shell.path("sourced.toml"), config).unwrap();
    assert_snapshot!(shell.run("-c sourced.toml lookup sip:alice@example.com"));
    assert!(shell.run("check -c sourced.toml").starts_with("exit 0\n"));
}

#[test]
fn nodes_are_compared_by_what_they_print() {
    let shell = Shell::new();
    let digest = |config: &str, name: &str| {
        fs::write(shell.path("node.toml"), config).unwrap();
        let shown = shell.run("--json -c node.toml digest");
        let json = shown.strip_prefix("exit 0\n--- stdout\n").unwrap();
        fs::write(shell.path(name), json).unwrap();
    };
    digest(GOOD, "a.json");
    digest(
        &GOOD.replace("10.0.0.12", "10.0.0.13").replace("name = \"a1\"", "name = \"a1\"\nweight = 50"),
        "b.json",
    );
    assert_snapshot!(shell.run("diff a.json a.json"));
    assert_snapshot!(shell.run("diff a.json b.json"));
    assert_snapshot!(shell.run("--json diff a.json b.json"));
    assert!(shell.run("diff a.json good.toml").starts_with("exit 2\n"));
    assert!(shell.run("diff a.json nowhere.json").starts_with("exit 4\n"));
    assert!(shell.run("diff - -").starts_with("exit 2\n"));
}

#[test]
fn help_of_register() {
    assert_snapshot!(Shell::new().run("register --help"));
    assert!(Shell::new().run("register a1 10.0.0.11 --etcd https://e --prefix p").starts_with("exit 2\n"));
}
