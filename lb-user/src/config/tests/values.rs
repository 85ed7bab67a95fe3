//! Each key but those of the node: what it takes, and what it says of what it doesn't take.

use super::*;

fn health(health: &'static str) -> Lines {
    Lines { health, ..Lines::default() }
}

fn vip(vip: &'static str) -> Lines {
    Lines { vip, ..Lines::default() }
}

fn pool(pool: &'static str) -> Lines {
    Lines { pool, ..Lines::default() }
}

fn backend(backend: &'static str) -> Lines {
    Lines { backend, ..Lines::default() }
}

#[test]
fn keys_that_nobody_knows() {
    refuses(
        vip,
        [
            ("prot = 5060", "10: vip.prot: unknown key; did you mean port?"),
            (
                "colour = \"blue\"",
                "10: vip.colour: unknown key; known here: address, port, transport, pool, domains, names, keep-alives",
            ),
        ],
    );
    refuses(pool, [("number_tail = 3", "13: pool.number_tail: unknown key; did you mean number-tail?")]);
    let after = |after| Lines { after, ..Lines::default() };
    refuses(
        after,
        [
            ("[vips]", "18: vips: unknown key; did you mean vip?"),
            ("[limits]\ngroup = 3", "19: limits.group: unknown key; did you mean groups?"),
        ],
    );
}

#[test]
fn tables_in_the_wrong_shape() {
    let shaped = |text: &str| parse(text, "siplb.toml").unwrap_err().to_string();
    let node = "[[node]]\ninterfaces = [\"eth0\"]\n";
    assert_eq!(
        shaped(node),
        "siplb.toml:1: node: is a list, not a table; write it once, under a header of its own: [node]"
    );
    let good = Lines::default().text();
    let vip = good.replace("[[vip]]", "[vip]");
    assert!(shaped(&vip).contains(
        ":7: vip: is a table, not a list of tables; write a header with two brackets for each: [[vip]]"
    ));
    let backend = good.replace("[[pool.backend]]", "[pool.backend]");
    assert!(shaped(&backend).contains(":14: pool.backend: is a table, not a list of tables; write a header with two brackets for each: [[pool.backend]]"));
    let pools = good.split("[[pool]]").next().unwrap().replace("[node]", "pool = [3]\n[node]");
    assert!(
        shaped(&pools).contains(":1: pool: is a number, not a table; write a header"),
        "{}",
        shaped(&pools)
    );
}

#[test]
fn health_settings() {
    refuses(
        health,
        [
            ("interval = 1", "6: health.interval: 1 has no unit; write for example \"1s\""),
            (
                "interval = \"1 second\"",
                "6: health.interval: \"1 second\" is not a duration; write a whole number and a unit, such as 500ms, 2s, 5m or 1h",
            ),
            ("interval = \"0s\"", "6: health.interval: 0s is too short; give 10ms to 1h"),
            ("interval = \"61m\"", "6: health.interval: 61m is too long; give 10ms to 1h"),
            ("fall = 0", "6: health.fall: 0 is not a number of checks; give a number from 1 to 1000"),
            ("rise = -1", "6: health.rise: -1 is not a number of checks; give a number from 1 to 1000"),
            ("rise = 1.5", "6: health.rise: 1.5 is not a number of checks; give a number from 1 to 1000"),
            (
                "down-codes = [\"5x\"]",
                "6: health.down-codes: \"5x\" is not an answer code; give a final answer from 300 to 699, such as 503, or a class from \"3xx\" to \"6xx\"",
            ),
            (
                "down-codes = [200]",
                "6: health.down-codes: 200 can't mean that a server is down; give a final answer from 300 to 699, such as 503, or a class from \"3xx\" to \"6xx\"",
            ),
        ],
    );
    let config =
        health("interval = \"2m\"\ntimeout = \"90s\"\nfall = 1\nrise = 1000\ndown-codes = []").config();
    assert_eq!(
        (config.health.interval, config.health.timeout),
        (Duration::from_secs(120), Duration::from_secs(90))
    );
    assert!(config.health.down_codes.is_empty());
}

#[test]
fn a_timeout_ends_within_its_interval_wherever_they_are_written() {
    let told = "the timeout of 500ms doesn't end within the interval of 400ms; make the timeout shorter than the interval";
    let lines = health("interval = \"400ms\"");
    assert_eq!(lines.refusal(), format!("siplb.toml:6: health.interval: {told}"));
    let lines = pool("health.interval = \"400ms\"");
    assert_eq!(lines.refusal(), format!("siplb.toml:13: pool.health.interval: {told}"));
    let lines = Lines {
        health: "timeout = \"10ms\"",
        pool: "health.interval = \"400ms\"",
        backend: "health = { timeout = \"500ms\" }",
        ..Lines::default()
    };
    assert_eq!(lines.refusal(), format!("siplb.toml:17: pool.backend.health.timeout: {told}"));
}

#[test]
fn ports() {
    refuses(
        vip,
        [
            ("port = 70000", "10: vip.port: 70000 is not a port; give a number from 1 to 65535"),
            ("port = 0", "10: vip.port: 0 is not a port; give a number from 1 to 65535"),
            ("port = -1", "10: vip.port: -1 is not a port; give a number from 1 to 65535"),
            (
                "port = \"5060\"",
                "10: vip.port: \"5060\" is not a port; give a number from 1 to 65535, without quotes",
            ),
            ("port = [5060]", "10: vip.port: a list is not a port; give a number from 1 to 65535"),
            (
                "port = 99999999999999999999999",
                "10: vip.port: 99999999999999999999999 is not a port; give a number from 1 to 65535",
            ),
        ],
    );
    assert_eq!(backend("port = 0x13C4").config().pools[0].backends[0].port, 5060);
    assert_eq!(vip("port = 65535").config().vips[0].socket(), "192.0.2.10:65535".parse().unwrap());
}

#[test]
fn keep_alives() {
    use KeepAlive::{Drop, Forward};
    let default = KeepAlives { crlf: Drop, double_crlf: Forward, nul: Drop, stun: Forward, junk: Drop };
    assert_eq!(vip("").config().vips[0].keep_alives, default);
    assert_eq!(
        vip("keep-alives = { crlf = \"forward\", stun = \"drop\" }").config().vips[0].keep_alives,
        KeepAlives { crlf: Forward, stun: Drop, ..default }
    );
    let section = "[vip.keep-alives]\ndouble-crlf = \"drop\"\nnul = \"forward\"\njunk = \"forward\"";
    assert_eq!(
        vip(section).config().vips[0].keep_alives,
        KeepAlives { double_crlf: Drop, nul: Forward, junk: Forward, ..default }
    );
    refuses(
        vip,
        [
            (
                "keep-alives = { crfl = \"drop\" }",
                "10: vip.keep-alives.crfl: unknown key; did you mean crlf?",
            ),
            (
                "keep-alives = { sctp = \"drop\" }",
                "10: vip.keep-alives.sctp: unknown key; known here: crlf, double-crlf, nul, stun, junk",
            ),
            (
                "keep-alives = { stun = \"answer\" }",
                "10: vip.keep-alives.stun: \"answer\" is not known here; give \"drop\" or \"forward\"",
            ),
            (
                "keep-alives = \"drop\"",
                "10: vip.keep-alives: is a string, not a table; write it once, under a header of its own: [vip.keep-alives]",
            ),
        ],
    );
}

#[test]
fn a_port_of_the_vip_needs_a_socket_of_its_own() {
    let made = backend("vip-port = 15061\nvip-port-to = 5061").config();
    let made = &made.pools[0].backends[0];
    assert_eq!(made.own_port, Some(OwnPort { vip_port: 15_061, port: 5061 }));
    assert_eq!(made.own_socket(), Some("10.0.0.11:5061".parse().unwrap()));
    assert_eq!(backend("").config().pools[0].backends[0].own_port, None);
    refuses(
        backend,
        [
            (
                "vip-port = 15061",
                "17: pool.backend.vip-port: is without vip-port-to; add vip-port-to = 5061, say: a port on which the server listens for this alone, other than its port, by which its replies are known",
            ),
            (
                "vip-port-to = 5061",
                "17: pool.backend.vip-port-to: is without vip-port; add vip-port = 15061, say: the port of the VIP that leads there; or leave the line out",
            ),
            (
                "vip-port = 15061\nvip-port-to = 0",
                "18: pool.backend.vip-port-to: 0 is not a port; give a number from 1 to 65535",
            ),
            (
                "vip-port = 70000\nvip-port-to = 5060",
                "17: pool.backend.vip-port: 70000 is not a port; give a number from 1 to 65535",
            ),
        ],
    );
}

#[test]
fn domains_and_names() {
    let config =
        vip("domains = [\"Example.COM.\", \"192.0.2.10\"]\nnames = [\"SIP.example.com:5061\"]").config();
    assert_eq!(config.vips[0].domains, ["example.com", "192.0.2.10"]);
    assert_eq!(config.vips[0].names, ["sip.example.com:5061"]);
    refuses(
        vip,
        [
            (
                "domains = [\"example.com:5060\"]",
                "10: vip.domains: \"example.com:5060\" has a port; write \"example.com\"",
            ),
            (
                "domains = [\"a.b\", \"A.b.\"]",
                "10: vip.domains: \"A.b.\" is listed twice; leave one of them out",
            ),
            (
                "domains = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\",\"o\",\"p\",\"q\"]",
                "10: vip.domains: has 17 domains, more than the kernel's 16; keep the busiest; requests for the others are balanced as well, only more slowly",
            ),
            (
                "names = [\"b1:99999\"]",
                "10: vip.names: \"b1:99999\" ends in :99999, which is not a port; give a port from 1 to 65535, or none",
            ),
        ],
    );
}

#[test]
fn pools_and_backends() {
    refuses(
        pool,
        [
            (
                "key = \"to\"",
                "13: pool.key: \"to\" is not known here; give \"user\", \"aor\", \"from\", \"call-id\" or \"source\"",
            ),
            (
                "number-tail = 33",
                "13: pool.number-tail: 33 is not a number of digits; give a number from 0 to 32",
            ),
            (
                "on-group-down = \"remp\"",
                "13: pool.on-group-down: \"remp\" is not known here; did you mean \"remap\"?",
            ),
            (
                "failback = \"never\"",
                "13: pool.failback: \"never\" is not known here; give \"auto\" or \"manual\"",
            ),
            ("hold-down = \"25h\"", "13: pool.hold-down: 25h is too long; give 0s to 24h"),
        ],
    );
    refuses(
        backend,
        [
            (
                "priority = 256",
                "17: pool.backend.priority: 256 is not a priority; give a number from 0 to 255",
            ),
            ("weight = 0", "17: pool.backend.weight: 0 is not a weight; give a number from 1 to 10000"),
            (
                "group = \"a b\"",
                "17: pool.backend.group: \"a b\" is not a name; use 1 to 64 letters, digits, dots, dashes and underscores",
            ),
        ],
    );
    let lines = "key = \"from\"\nnumber-tail = 32\non-group-down = \"drop\"\nfailback = \"manual\"\nhold-down = \"30s\"";
    let made = &pool(lines).config().pools[0];
    assert_eq!((made.key, made.number_tail), (KeyRule::From, 32));
    assert_eq!((made.on_group_down, made.failback), (OnGroupDown::Drop, Failback::Manual));
    assert_eq!(made.hold_down, Duration::from_secs(30));
    assert_eq!(made.backends[0].group, "a1");
}

#[test]
fn limits() {
    let limits = |after| Lines { after, ..Lines::default() };
    refuses(
        limits,
        [
            (
                "[limits]\npools = 0",
                "19: limits.pools: 0 is not a number of pools; give a number from 1 to 1024",
            ),
            (
                "[limits]\ngroups = 65536",
                "19: limits.groups: 65536 is not a number of map entries; give a number from 1 to 65535",
            ),
            (
                "[limits]\nfragments = 255",
                "19: limits.fragments: 255 is not a number of fragments; give a number from 256 to 1048576",
            ),
            (
                "[limits]\ntransactions = 1023",
                "19: limits.transactions: 1023 is not a number of transactions; give a number from 1024 to 4194304",
            ),
            (
                "[limits]\nnames = 63",
                "19: limits.names: 63 is not a number of names; give a number from 64 to 1048576",
            ),
            ("[limits]\nname = 64", "19: limits.name: unknown key; did you mean names?"),
        ],
    );
    assert_eq!(
        limits("[limits]\nvips = 1").config().limits,
        Limits {
            pools: 16,
            backends: 4096,
            groups: 4096,
            vips: 1,
            fragments: 16_384,
            transactions: 131_072,
            names: 32_768
        }
    );
}

#[test]
fn what_is_not_done_yet_is_refused_and_not_ignored() {
    refuses(
        vip,
        [
            (
                "transport = \"tls\"",
                "10: vip.transport: \"tls\" is not balanced yet; it passes through to the stack; use \"udp\", or leave the line out",
            ),
            ("transport = \"sctp\"", "10: vip.transport: \"sctp\" is not known here; give \"udp\""),
        ],
    );
}

#[test]
fn what_has_an_effect_gives_no_warning() {
    let lines = Lines {
        vip: "names = [\"sip.example.com\"]",
        pool: "forward = \"dsr\"\nfailback = \"manual\"\nhold-down = \"5s\"",
        backend: "aliases = [\"B1.sip.example.com\", \"b1:5061\"]",
        ..Lines::default()
    };
    assert_eq!(lines.warnings(), "");
    let config = lines.config();
    assert_eq!(config.pools[0].forward, Forward::Dsr);
    assert_eq!(config.pools[0].backends[0].aliases, ["b1.sip.example.com", "b1:5061"]);
}
