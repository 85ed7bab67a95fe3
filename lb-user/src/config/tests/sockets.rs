//! Ports of one backend, and what each way of forwarding can do.

use super::*;

/// A file whose pool forwards in this way.
fn by(pool: &'static str, after: &'static str) -> Lines {
    Lines { pool, after, ..Lines::default() }
}

/// A second VIP at the first one's address, and a pool of one server at the first one's address, with these keys.
macro_rules! second {
    ($vip_port:literal, $pool:literal, $backend:literal) => {
        concat!(
            "[[vip]]\naddress = \"192.0.2.10\"\nport = ",
            $vip_port,
            "\npool = \"q\"\n[[pool]]\nname = \"q\"\n",
            $pool,
            "\n[[pool.backend]]\nname = \"q1\"\naddress = \"10.0.0.11\"\n",
            $backend
        )
    };
}

#[test]
fn a_port_of_the_vip_leads_to_one_backend() {
    const OWN: &str = "vip-port = 15061\nvip-port-to = 5061";
    let lines = |backend, after| Lines { backend, after, ..Lines::default() };
    assert_eq!(lines(OWN, "").warnings(), "");
    assert_eq!(
        lines("vip-port = 5060\nvip-port-to = 5061", "").refusal(),
        "siplb.toml:17: pool.backend.vip-port: 192.0.2.10:5060 is a VIP itself; \
         give a port of the VIP's address that no VIP has"
    );
    assert_eq!(
        lines("vip-port = 5070\nvip-port-to = 5061", second!("5070", "", "port = 5070")).refusal(),
        "siplb.toml:17: pool.backend.vip-port: 192.0.2.10:5070 is a VIP itself; \
         give a port of the VIP's address that no VIP has"
    );
    let twice =
        "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\nvip-port = 15061\nvip-port-to = 5061";
    assert_eq!(
        lines(OWN, twice).refusal(),
        "siplb.toml:22: pool.backend.vip-port: 192.0.2.10:15061 already leads to backend \"a1\"; \
         give each backend a port of its own"
    );
    assert_eq!(
        lines(OWN, "[[pool.backend]]\nname = \"a2\"\naddress = \"192.0.2.10\"\nport = 15061").refusal(),
        "siplb.toml:17: pool.backend.vip-port: 192.0.2.10:15061 is the address of backend \"a2\"; \
         give a port of the VIP's address that nobody listens on"
    );
    let other_vip = second!("5070", "", "port = 5070\nvip-port = 15061\nvip-port-to = 5071");
    assert!(lines(OWN, other_vip).refusal().contains(":15061 already leads to backend \"a1\""));
}

#[test]
fn a_socket_of_ones_own_is_nobody_elses() {
    let lines = |backend, after| Lines { backend, after, ..Lines::default() };
    assert_eq!(
        lines("vip-port = 15061\nvip-port-to = 5060", "").refusal(),
        "siplb.toml:18: pool.backend.vip-port-to: 10.0.0.11:5060 is its port already: a reply could not tell which \
         port of the VIP to leave as; let the server listen on one more port, for vip-port alone"
    );
    let neighbour = "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.11\"\nport = 5061";
    assert_eq!(
        lines("vip-port = 15061\nvip-port-to = 5061", neighbour).refusal(),
        "siplb.toml:21: pool.backend.address: 10.0.0.11:5061 is also backend \"a1\" of pool \"p\", behind \
         192.0.2.10:15061: a reply could not tell which VIP to leave as; let the server listen on a port for each VIP"
    );
    let both = "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.11\"\nport = 5062\nvip-port = 15062\nvip-port-to = 5061";
    assert_eq!(
        lines("vip-port = 15061\nvip-port-to = 5061", both).refusal(),
        "siplb.toml:24: pool.backend.vip-port-to: 10.0.0.11:5061 is also backend \"a1\" of pool \"p\", behind \
         192.0.2.10:15061: a reply could not tell which VIP to leave as; let the server listen on a port for each VIP"
    );
    assert!(
        lines("vip-port = 15061\nvip-port-to = 5061", second!("5070", "", "port = 5061"))
            .refusal()
            .contains("pool.backend.address: 10.0.0.11:5061 is also backend \"a1\" of pool \"p\"")
    );
}

#[test]
fn dsr_and_ipip_keep_the_port() {
    for (pool, word) in [("forward = \"dsr\"", "dsr"), ("forward = \"ipip\"", "ipip")] {
        let lines = |backend| Lines { pool, backend, ..Lines::default() };
        assert_eq!(lines("vip-port = 15061\nvip-port-to = 15061").warnings(), "");
        assert_eq!(
            lines("port = 5061").refusal(),
            format!(
                "siplb.toml:17: pool.backend.port: 5061 is not its VIP's port 5060, and \"{word}\" can't change it; \
                 write port = 5060, or forward by \"nat\""
            )
        );
        assert_eq!(
            lines("vip-port = 15061\nvip-port-to = 5061").refusal(),
            format!(
                "siplb.toml:18: pool.backend.vip-port-to: 5061 is not vip-port 15061, and \"{word}\" can't change it; \
                 write vip-port-to = 15061, or forward by \"nat\""
            )
        );
        assert!(
            lines("vip-port = 5060\nvip-port-to = 5060")
                .refusal()
                .contains("192.0.2.10:5060 is a VIP itself")
        );
    }
    assert_eq!(
        Lines { pool: "forward = \"ipip\"", vip: "port = 5070", ..Lines::default() }
            .refusal()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_server_is_behind_several_vips_where_replies_bypass_the_node() {
    let other = "[[vip]]\naddress = \"192.0.2.11\"\npool = \"q\"\n[[pool]]\nname = \"q\"\nforward = \"dsr\"\n\
                 [[pool.backend]]\nname = \"q1\"\naddress = \"10.0.0.11\"";
    assert_eq!(by("forward = \"dsr\"", other).warnings(), "");
    assert_eq!(
        by("", other).refusal(),
        "siplb.toml:26: pool.backend.address: 10.0.0.11:5060 is also backend \"a1\" of pool \"p\", which forwards by \
         \"nat\", not \"dsr\"; forward to a server in one way"
    );
    assert!(by("forward = \"ipip\"", other).refusal().contains("which forwards by \"ipip\", not \"dsr\""));
    assert_eq!(
        by("forward = \"dsr\"", "[[vip]]\naddress = \"192.0.2.11\"\npool = \"p\"").refusal(),
        "siplb.toml:20: vip.pool: pool \"p\" is already behind 192.0.2.10:5060; \
         give each VIP a pool of its own; the servers in it may be the same"
    );
}

#[test]
fn a_pool_is_of_one_family() {
    const SIX: &str = "[[pool.backend]]\nname = \"a2\"\naddress = \"2001:db8::1\"";
    const MIXED: &str = "siplb.toml:20: pool.backend.address: 2001:db8::1 and backend \"a1\" at 10.0.0.11 are of \
                         different families; use IPv4 for all backends of a pool, or IPv6 for all; the others can \
                         have a pool and a VIP of their own";
    assert_eq!(by("forward = \"ipip\"", SIX).refusal(), MIXED);
    for pool in ["", "forward = \"dsr\""] {
        assert_eq!(
            by(pool, SIX).refusal(),
            "siplb.toml:20: pool.backend.address: 2001:db8::1 and its VIP 192.0.2.10 are of different families; \
             use IPv4 on both sides, or IPv6 on both"
        );
    }
    let outer = Lines { pool: "forward = \"ipip\"", ..Lines::default() };
    let six_in_four = outer.text().replace("192.0.2.10", "2001:db8::10");
    assert!(parse(&six_in_four, "siplb.toml").unwrap().warnings.is_empty());
    let without_vip = "[[pool]]\nname = \"q\"\nbackend = [{ name = \"q1\", address = \"10.0.0.12\" }, \
                       { name = \"q2\", address = \"2001:db8::1\" }]";
    assert!(by("", without_vip).refusal().contains("2001:db8::1 and backend \"q1\" at 10.0.0.12"));
}

#[test]
fn ports_that_could_not_be_read_contradict_nothing() {
    let lines = Lines {
        vip: "port = 0",
        backend: "vip-port = 15061\nvip-port-to = 70000",
        after: "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\nvip-port = 0\nvip-port-to = 5060",
        pool: "forward = \"dsr\"",
        ..Lines::default()
    };
    assert_eq!(lines.refusal().lines().count(), 3, "{}", lines.refusal());
}
