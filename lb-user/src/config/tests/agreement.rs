//! Each contradiction between parts that are legal by themselves, and each surprise.

use super::*;

/// A file with what follows the first backend.
fn after(after: &'static str) -> Lines {
    Lines { after, ..Lines::default() }
}

/// A second VIP and pool; the pool's backend has this address and port.
macro_rules! second {
    ($socket:literal) => {
        concat!(
            "[[vip]]\naddress = \"192.0.2.11\"\npool = \"q\"\n[[pool]]\nname = \"q\"\n",
            "[[pool.backend]]\nname = \"q1\"\n",
            $socket
        )
    };
}

#[test]
fn a_socket_is_behind_one_vip() {
    assert_eq!(
        after(second!("address = \"10.0.0.11\"")).refusal(),
        "siplb.toml:25: pool.backend.address: 10.0.0.11:5060 is also backend \"a1\" of pool \"p\", behind 192.0.2.10:5060: \
         a reply could not tell which VIP to leave as; let the server listen on a port for each VIP"
    );
    assert!(after(second!("address = \"10.0.0.11\"\nport = 5061")).warnings().is_empty());
}

#[test]
fn a_pool_without_a_vip_may_share_the_servers_of_one_that_has() {
    let lines = after("[[pool]]\nname = \"q\"\nbackend = [{ name = \"q1\", address = \"10.0.0.11\" }]");
    assert_eq!(
        lines.warnings(),
        "siplb.toml:18: pool: pool \"q\" is behind no VIP: it gets no packets; name it in a VIP: pool = \"q\""
    );
}

#[test]
fn a_pool_is_behind_one_vip() {
    assert_eq!(
        after("[[vip]]\naddress = \"192.0.2.10\"\nport = 5062\npool = \"p\"").refusal(),
        "siplb.toml:21: vip.pool: pool \"p\" is already behind 192.0.2.10:5060: a reply of its backends could not tell \
         which VIP to leave as; give each VIP a pool of its own, with backend ports of its own"
    );
}

#[test]
fn a_vip_is_there_once() {
    assert_eq!(
        after("[[vip]]\naddress = \"192.0.2.10\"\npool = \"p\"").refusal(),
        "siplb.toml:19: vip.address: 192.0.2.10:5060 over udp is already a VIP; leave one of the two out"
    );
}

#[test]
fn a_vip_has_a_pool_that_is_there() {
    let lines = after("[[vip]]\naddress = \"192.0.2.11\"\npool = \"registrars\"");
    assert_eq!(
        lines.refusal(),
        "siplb.toml:20: vip.pool: there is no pool \"registrars\"; add it under a [[pool]] header, or name one that is there"
    );
    let text = Lines::default().text().replace("name = \"p\"", "name = \"pots\"").replace("\"p\"", "\"pot\"");
    let refusal = parse(&text, "siplb.toml").unwrap_err().to_string();
    assert_eq!(refusal, "siplb.toml:9: vip.pool: there is no pool \"pot\"; did you mean \"pots\"?");
}

#[test]
fn names_are_unique() {
    assert_eq!(
        after("[[pool]]\nname = \"p\"").refusal(),
        "siplb.toml:19: pool.name: there is a pool \"p\" already; give it another name"
    );
    assert_eq!(
        after("[[pool.backend]]\nname = \"a1\"\naddress = \"10.0.0.12\"\npriority = 1").refusal(),
        "siplb.toml:19: pool.backend.name: there is a backend \"a1\" in this pool already; give it another name"
    );
}

#[test]
fn sockets_and_aliases_are_unique_in_a_pool() {
    assert_eq!(
        after("[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.11\"").refusal(),
        "siplb.toml:20: pool.backend.address: 10.0.0.11:5060 is already backend \"a1\" of this pool; \
         leave one of the two out, or mend its port"
    );
    let lines = Lines {
        backend: "aliases = [\"b.example.com\"]",
        after: "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\naliases = [\"x\", \"B.example.com\"]",
        ..Lines::default()
    };
    assert_eq!(
        lines.refusal(),
        "siplb.toml:21: pool.backend.aliases: \"b.example.com\" already names backend \"a1\"; let it name one of the two"
    );
}

#[test]
fn a_backend_is_no_vip_and_no_peer() {
    assert_eq!(
        after("[[pool.backend]]\nname = \"a2\"\naddress = \"192.0.2.10\"").refusal(),
        "siplb.toml:20: pool.backend.address: 192.0.2.10:5060 is a VIP: it would be sent its own packets; \
         give the address of the server itself"
    );
    assert_eq!(
        Lines { node: "peers = [\"10.0.0.11\"]", ..Lines::default() }.refusal(),
        "siplb.toml:16: pool.backend.address: 10.0.0.11 is a peer: its packets are left alone, replies too; \
         keep nodes and backends on different addresses"
    );
}

#[test]
fn a_vip_and_its_backends_are_of_one_family() {
    assert_eq!(
        after("[[pool.backend]]\nname = \"a2\"\naddress = \"2001:db8::1\"").refusal(),
        "siplb.toml:20: pool.backend.address: 2001:db8::1 and its VIP 192.0.2.10 are of different families; \
         use IPv4 on both sides, or IPv6 on both"
    );
    let six =
        Lines::default().text().replace("192.0.2.10", "2001:db8::10").replace("10.0.0.11", "2001:db8::11");
    assert_eq!(parse(&six, "siplb.toml").unwrap().warnings, Problems::new("siplb.toml", Vec::new()));
}

#[test]
fn a_group_has_one_weight_and_one_primary() {
    let lines = Lines {
        backend: "weight = 50",
        after: "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\ngroup = \"a1\"\npriority = 1\nweight = 100",
        ..Lines::default()
    };
    assert_eq!(
        lines.refusal(),
        "siplb.toml:23: pool.backend.weight: group \"a1\" has weight 50 by backend \"a1\", and 100 by this one; \
         the weight is the group's: state it once"
    );
    assert_eq!(
        after("[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\ngroup = \"a1\"").warnings(),
        "siplb.toml:18: pool.backend.priority: backend \"a1\" of group \"a1\" has priority 0 too: which of them serves \
         is left open; give the primary the lowest, each standby its own"
    );
}

#[test]
fn what_is_there_fits_the_limits() {
    assert_eq!(
        after("[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\n[limits]\nbackends = 1\ngroups = 1\npools = 1\nvips = 1")
            .refusal(),
        "siplb.toml:22: limits.backends: there are 2 backends, more than the limit of 1; write backends = 2 or more under [limits]\n\
         siplb.toml:23: limits.groups: there are 2 groups, more than the limit of 1; write groups = 2 or more under [limits]"
    );
}

#[test]
fn what_does_nothing_is_pointed_out() {
    let empty = "[node]\ninterfaces = [\"eth0\"]\nhash-key = \"file:/etc/siplb/hash.key\"\n";
    let config = parse(empty, "siplb.toml").unwrap();
    assert_eq!(
        config.warnings.to_string(),
        "siplb.toml:1: vip: there is no VIP: nothing is balanced; add one under a [[vip]] header"
    );
    assert_eq!(
        after("[[vip]]\naddress = \"127.0.0.1\"\npool = \"q\"\n[[pool]]\nname = \"q\"").warnings(),
        "siplb.toml:19: vip.address: 127.0.0.1 never arrives at an interface; use the address that clients send to\n\
         siplb.toml:21: pool: pool \"q\" has no backends: everything for its VIP is dropped; \
         add one under a [[pool.backend]] header, or at run time"
    );
    assert_eq!(
        after("[[pool.backend]]\nname = \"a2\"\naddress = \"127.0.0.2\"").warnings(),
        "siplb.toml:20: pool.backend.address: 127.0.0.2 is reached through no interface; \
         use an address of the server that the node has a route to"
    );
}

#[test]
fn a_value_that_could_not_be_read_contradicts_nothing() {
    let lines = Lines {
        backend: "port = 70000",
        after: "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.11\"\ngroup = \"a b\"\n[[pool.backend]]\nname = \"!\"\naddress = \"x\"",
        ..Lines::default()
    };
    assert_eq!(lines.refusal().lines().count(), 4, "{}", lines.refusal());
}

#[test]
fn a_change_at_run_time_is_held_to_the_same() {
    let mut config = Lines::default().config();
    assert_eq!(contradictions(&config), Findings::default());
    let copy = config.pools[0].backends[0].clone();
    config.pools[0].backends.push(Backend { name: "a2".into(), group: "a2".into(), ..copy });
    let found = contradictions(&config).problems;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "pool[0].backend[1].address");
    assert!(
        found[0].to_string().starts_with("pool.backend.address: 10.0.0.11:5060 is already backend \"a1\"")
    );
}
