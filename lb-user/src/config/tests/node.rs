//! The keys of `[node]`: what each takes, and what it says of what it doesn't take.

use super::*;

fn node(node: &'static str) -> Lines {
    Lines { node, ..Lines::default() }
}

#[test]
fn interfaces() {
    let with = |list: &str| {
        let text = Lines::default().text().replace("[\"eth0\"]", list);
        parse(&text, "siplb.toml")
            .map(|config| config.node.interfaces)
            .map_err(|problems| problems.to_string())
    };
    assert_eq!(with("[\"eth0\", \"eth1.100\"]").unwrap(), ["eth0", "eth1.100"]);
    for (list, message) in [
        ("[]", "names no interface; list those that see clients or backends"),
        ("\"eth0\"", "is a string, not a list; put it in brackets: interfaces = [...]"),
        ("[\"eth0\", \"eth0\"]", "\"eth0\" is listed twice; leave one of them out"),
        ("[\"\"]", "\"\" is not an interface name; give a name of 1 to 15 bytes as `ip link` shows it"),
        ("[\"eth0\", 1]", "is a number, not a string; put the value in double quotes"),
    ] {
        let told = with(list).unwrap_err();
        assert!(told.contains(&format!("siplb.toml:2: node.interfaces: {message}")), "{told}");
    }
}

#[test]
fn the_node() {
    refuses(
        node,
        [
            (
                "xdp-mode = \"offload\"",
                "4: node.xdp-mode: \"offload\" is not known here; give \"native\" or \"generic\"",
            ),
            (
                "xdp-mode = \"genric\"",
                "4: node.xdp-mode: \"genric\" is not known here; did you mean \"generic\"?",
            ),
            (
                "xdp-mode = true",
                "4: node.xdp-mode: is true or false, not a string; put the value in double quotes",
            ),
            ("state-dir = \"var\"", "4: node.state-dir: \"var\" is not an absolute path; begin it with /"),
            (
                "peers = [\"10.0.0.2\", \"10.0.0.2\"]",
                "4: node.peers: \"10.0.0.2\" is listed twice; leave one of them out",
            ),
            (
                "peers = [\n\"10.0.0.2\",\n\"n3\"]",
                "6: node.peers: \"n3\" is not an address; give an IPv4 or IPv6 address such as 192.0.2.10; names aren't resolved",
            ),
        ],
    );
    let config = node("xdp-mode = \"generic\"\npeers = [\"10.0.0.2\"]\nsocket = \"/tmp/s\"").config();
    assert_eq!(config.node.xdp_mode, XdpMode::Generic);
    assert_eq!(config.peers, ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(config.node.socket, Path::new("/tmp/s"));
}

#[test]
fn the_tunnel_source() {
    let source = |line| node(line).config().node.tunnel_source;
    let default = TunnelSource { v4: "172.16.0.0".parse().unwrap(), v6: "100::".parse().unwrap() };
    assert_eq!(source(""), default);
    assert_eq!(
        source("tunnel-source = [\"10.128.0.0/9\"]"),
        TunnelSource { v4: "10.128.0.0".parse().unwrap(), ..default }
    );
    assert_eq!(
        source("tunnel-source = [\"2001:db8:1::/96\", \"10.1.0.0/16\"]"),
        TunnelSource { v4: "10.1.0.0".parse().unwrap(), v6: "2001:db8:1::".parse().unwrap() }
    );
    refuses(
        node,
        [
            (
                "tunnel-source = [\"172.16.0.1/16\"]",
                "4: node.tunnel-source: \"172.16.0.1/16\" has bits behind its length; write \"172.16.0.0/16\"",
            ),
            (
                "tunnel-source = [\"172.16.0.0/24\"]",
                "4: node.tunnel-source: \"172.16.0.0/24\" has 24 bits; give 8 to 16: the low 16 bits are filled for each flow",
            ),
            (
                "tunnel-source = [\"172.16.0.0/16\", \"10.0.0.0/8\"]",
                "4: node.tunnel-source: names 2 IPv4 networks; keep one of IPv4",
            ),
            (
                "tunnel-source = \"172.16.0.0/16\"",
                "4: node.tunnel-source: is a string, not a list; put it in brackets: tunnel-source = [...]",
            ),
        ],
    );
}

#[test]
fn the_hash_key() {
    let with = |key: &str| Lines::default().text().replace("hex:000102030405060708090a0b0c0d0e0f", key);
    let refusal = |key: &str| parse(&with(key), "siplb.toml").unwrap_err().to_string();
    assert_eq!(
        refusal("hex:00010203"),
        "siplb.toml:3: node.hash-key: has 8 hexadecimal digits; give at least 32; `openssl rand -hex 16` makes them"
    );
    assert!(
        refusal("hush").ends_with(
            "says neither file nor hex; write \"file:/etc/siplb/hash.key\", or \"hex:\" and digits"
        )
    );
    assert!(refusal("file:hash.key").contains("is not an absolute path"));
    assert_eq!(
        parse(&with("file:/etc/siplb/hash.key"), "siplb.toml").unwrap().node.hash_key,
        HashKey::File("/etc/siplb/hash.key".into())
    );
}
