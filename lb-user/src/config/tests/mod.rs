//! Reading whole files: what a good one makes, and what a bad one is told.

mod agreement;
mod documents;
mod names;
mod node;
mod sockets;
mod source;
mod values;

use std::path::Path;
use std::time::Duration;

use super::*;

const EXAMPLE: &str = include_str!("../../../../packaging/siplb.toml");

/// A legal file with room for a line or more in each section; the room is line 4, 6, 10, 13 and 17, and what follows.
#[derive(Default)]
struct Lines {
    node: &'static str,
    health: &'static str,
    vip: &'static str,
    pool: &'static str,
    backend: &'static str,
    after: &'static str,
}

impl Lines {
    fn text(&self) -> String {
        let Self { node, health, vip, pool, backend, after } = self;
        format!(
            r#"[node]
interfaces = ["eth0"]
hash-key = "hex:000102030405060708090a0b0c0d0e0f"
{node}
[health]
{health}
[[vip]]
address = "192.0.2.10"
pool = "p"
{vip}
[[pool]]
name = "p"
{pool}
[[pool.backend]]
name = "a1"
address = "10.0.0.11"
{backend}
{after}
"#
        )
    }

    fn config(&self) -> Config {
        parse(&self.text(), "siplb.toml").unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The messages of a file that is refused, one a line.
    fn refusal(&self) -> String {
        match parse(&self.text(), "siplb.toml") {
            Ok(config) => panic!("taken: {config:?}"),
            Err(problems) => problems.to_string(),
        }
    }

    /// The messages about a file that is taken, one a line.
    fn warnings(&self) -> String {
        self.config().warnings.to_string()
    }
}

/// Holds each file to its one message.
#[track_caller]
fn refuses<const N: usize>(section: fn(&'static str) -> Lines, cases: [(&'static str, &str); N]) {
    for (line, message) in cases {
        assert_eq!(section(line).refusal(), format!("siplb.toml:{message}"), "{line}");
    }
}

#[test]
fn the_shipped_example_is_right_and_shows_the_defaults() {
    let config = parse(EXAMPLE, "siplb.toml").unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    insta::assert_json_snapshot!(config);
    // A commented-out setting that isn't prose says what happens without it, unless it is an example.
    let examples = [
        "peers",
        "on-change",
        "listen",
        "health",
        "names",
        "aliases",
        "vip-port",
        "vip-port-to",
        "kind",
        "endpoints",
        "prefix",
    ];
    let stated: String = EXAMPLE
        .lines()
        .filter(|line| !examples.iter().any(|key| line.starts_with(&format!("# {key} = "))))
        .map(|line| {
            line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line).to_owned() + "\n"
        })
        .collect();
    assert_eq!(parse(&stated, "siplb.toml").unwrap(), config);
}

#[test]
fn a_dozen_errors_are_told_in_one_run() {
    let text = include_str!("many-errors.toml");
    insta::assert_snapshot!(parse(text, "siplb.toml").unwrap_err());
}

#[test]
fn broken_toml_is_told_with_what_can_still_be_read() {
    let text = "[node]\ninterfaces = [\"eth0\"]\ninterfaces = []\nxdp-mode = native\nsocket = 5\n[[vip]]\nport = 0\npool =\n";
    insta::assert_snapshot!(parse(text, "siplb.toml").unwrap_err());
}

#[test]
fn an_empty_file_lacks_what_has_no_default() {
    insta::assert_snapshot!(parse("", "siplb.toml").unwrap_err());
}

#[test]
fn health_is_inherited_key_by_key() {
    let config = Lines {
        health: "interval = \"3s\"\nrise = 5",
        pool: "health.fall = 7",
        backend: "health = { interval = \"2s\", down-codes = [503, \"4xx\"] }",
        after: "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"",
        ..Lines::default()
    }
    .config();
    let [first, second] = &config.pools[0].backends[..] else { panic!("two backends") };
    assert_eq!((first.health.interval, first.health.fall, first.health.rise), (Duration::from_secs(2), 7, 5));
    assert!(first.health.is_down_code(503) && !first.health.is_down_code(500));
    assert_eq!(second.health, config.pools[0].health);
    assert_eq!((second.health.interval, second.health.fall), (Duration::from_secs(3), 7));
    assert_eq!(config.health.fall, 3);
}

#[test]
fn a_group_has_the_weight_that_one_member_states() {
    let config = Lines {
        backend: "group = \"a\"",
        after: "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\ngroup = \"a\"\npriority = 1\nweight = 50",
        ..Lines::default()
    }
    .config();
    assert_eq!(config.pools[0].backends.iter().map(|backend| backend.weight).collect::<Vec<_>>(), [50, 50]);
}

#[test]
fn loading_says_what_is_wrong_with_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("siplb.toml");
    assert!(matches!(load(&path), Err(LoadError::Unreadable { .. })));
    assert!(load(Path::new("/nowhere/siplb.toml")).unwrap_err().to_string().contains("-c FILE"));
    std::fs::write(&path, "[node]\n").unwrap();
    let message = load(&path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}:1: node.interfaces: is missing", path.display())), "{message}");
    std::fs::write(&path, EXAMPLE).unwrap();
    assert_eq!(load(&path).unwrap().pools.len(), 1);
}

#[test]
fn no_text_makes_it_panic() {
    use proptest::prelude::*;
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    proptest!(ProptestConfig::with_cases(200), |(cut in 0..lines.len(), at in 0..EXAMPLE.len(), junk in "\\PC{0,12}")| {
        let _ = parse(&lines[cut..].join("\n"), "x");
        let _ = parse(&format!("{}{junk}{}", &EXAMPLE[..at], &EXAMPLE[at..]), "x");
        let _ = parse(&junk, "x");
    });
}
