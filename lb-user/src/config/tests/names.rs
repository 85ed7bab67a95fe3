//! What names what, and that nothing is named twice.

use super::*;

/// The names of the first VIP, as `host:port` or `host` or `host:*`, with what they name.
fn shown(config: &Config) -> Vec<String> {
    let mut shown: Vec<String> = names(config)
        .iter()
        .filter(|name| name.vip == 0)
        .map(|name| {
            let port = match (name.port, name.any_port) {
                (None, true) => ":*".to_owned(),
                (port, false) => port.map(|port| format!(":{port}")).unwrap_or_default(),
                (Some(_), true) => panic!("{name:?}"),
            };
            let of = match name.of {
                Named::Vip => "vip",
                Named::Backend { pool, backend } => &config.pools[pool].backends[backend].name,
            };
            format!("{}{port} {of}", name.host)
        })
        .collect();
    shown.sort();
    shown
}

#[test]
fn sockets_are_names() {
    assert_eq!(
        shown(&Lines::default().config()),
        ["10.0.0.11 a1", "10.0.0.11:5060 a1", "192.0.2.10 vip", "192.0.2.10:5060 vip"]
    );
    let lines = Lines {
        vip: "port = 5080",
        backend: "port = 5070\nvip-port = 15061\nvip-port-to = 5060",
        ..Lines::default()
    };
    assert_eq!(
        shown(&lines.config()),
        [
            "10.0.0.11 a1",
            "10.0.0.11:5060 a1",
            "10.0.0.11:5070 a1",
            "192.0.2.10:15061 a1",
            "192.0.2.10:5080 vip"
        ]
    );
}

#[test]
fn words_are_names_for_the_port_they_say_or_for_any() {
    let lines = Lines {
        vip: "domains = [\"Example.com.\"]\nnames = [\"sip.example.com:5060\", \"proxy\", \"proxy:5070\"]",
        backend: "port = 5070\naliases = [\"A1.example.com\", \"pbx:5061\", \"pbx:5060\", \"10.0.0.11\"]",
        ..Lines::default()
    };
    assert_eq!(
        shown(&lines.config()),
        [
            "10.0.0.11:* a1",
            "192.0.2.10 vip",
            "192.0.2.10:5060 vip",
            "a1.example.com:* a1",
            "example.com:* vip",
            "pbx a1",
            "pbx:5060 a1",
            "pbx:5061 a1",
            "proxy:* vip",
            "sip.example.com vip",
            "sip.example.com:5060 vip",
        ]
    );
}

#[test]
fn an_ipv6_address_is_named_in_every_usual_spelling() {
    let text = Lines { backend: "port = 5070\naliases = [\"[2001:DB8:0::9]\"]", ..Lines::default() }.text();
    let text = text.replace("192.0.2.10", "2001:db8::10").replace("10.0.0.11", "2001:db8::a:0:b");
    let config = parse(&text, "siplb.toml").unwrap();
    assert_eq!(
        shown(&config),
        [
            "[2001:0db8:0000:0000:0000:0000:0000:0009]:* a1",
            "[2001:0db8:0000:0000:0000:0000:0000:0010] vip",
            "[2001:0db8:0000:0000:0000:0000:0000:0010]:5060 vip",
            "[2001:0db8:0000:0000:0000:000a:0000:000b]:5070 a1",
            "[2001:db8:0:0:0:0:0:10] vip",
            "[2001:db8:0:0:0:0:0:10]:5060 vip",
            "[2001:db8:0:0:0:0:0:9]:* a1",
            "[2001:db8:0:0:0:a:0:b]:5070 a1",
            "[2001:db8:0::9]:* a1",
            "[2001:db8::10] vip",
            "[2001:db8::10]:5060 vip",
            "[2001:db8::9]:* a1",
            "[2001:db8::a:0:b]:5070 a1",
        ]
    );
}

#[test]
fn each_vip_has_names_of_its_own() {
    let after = "[[vip]]\naddress = \"192.0.2.11\"\npool = \"q\"\n[[pool]]\nname = \"q\"\n\
                 [[pool.backend]]\nname = \"q1\"\naddress = \"10.0.0.12\"\naliases = [\"pbx\"]";
    let config = Lines { backend: "aliases = [\"pbx\"]", after, ..Lines::default() }.config();
    let named: Vec<_> = names(&config)
        .into_iter()
        .filter(|name| name.host == "pbx")
        .map(|name| (name.vip, name.of))
        .collect();
    assert_eq!(
        named,
        [(0, Named::Backend { pool: 0, backend: 0 }), (1, Named::Backend { pool: 1, backend: 0 })]
    );
}

/// Two backends with these aliases, behind a VIP with these keys.
#[track_caller]
fn told(vip: &'static str, first: &'static str, second: &'static str, message: &str) {
    let text = Lines { vip, ..Lines::default() }.text();
    let second = format!("[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.12\"\naliases = [{second}]");
    let problems = parse(&format!("{text}aliases = [{first}]\n{second}"), "siplb.toml").map(|_| ());
    let told = problems.map_or_else(|problems| problems.to_string(), |()| String::new());
    assert_eq!(told, message);
}

#[test]
fn a_name_has_one_meaning() {
    let line = |number: usize, rest: &str| format!("siplb.toml:{number}: pool.backend.aliases: {rest}");
    told("", "\"pbx:5061\"", "\"pbx:5062\"", "");
    told(
        "",
        "\"pbx:5060\"",
        "\"pbx:5060\"",
        &line(23, "\"pbx:5060\" already names backend \"a1\"; let it name one of the two"),
    );
    told(
        "",
        "\"pbx\"",
        "\"x\", \"PBX:5061\"",
        &line(
            23,
            "\"pbx:5061\" is among the names of backend \"a1\": \"pbx\" for any port; \
             write the port that is meant there, or let the host name one of the two",
        ),
    );
    told(
        "",
        "\"pbx:5061\"",
        "\"pbx\"",
        &line(
            23,
            "\"pbx\" is for any port, but \"pbx:5061\" already names backend \"a1\"; \
             write the port that is meant, or let the host name one of the two",
        ),
    );
    told(
        "domains = [\"example.com\"]",
        "\"example.com\"",
        "",
        &line(19, "\"example.com\" already names the VIP 192.0.2.10:5060; let it name one of the two"),
    );
    told(
        "names = [\"sip.example.com:5060\"]",
        "",
        "\"sip.example.com:5060\"",
        &line(
            23,
            "\"sip.example.com:5060\" already names the VIP 192.0.2.10:5060; let it name one of the two",
        ),
    );
    told(
        "",
        "\"192.0.2.10:5060\"",
        "",
        &line(19, "\"192.0.2.10:5060\" already names the VIP 192.0.2.10:5060; let it name one of the two"),
    );
    told(
        "",
        "\"10.0.0.12:5060\"",
        "",
        &line(19, "\"10.0.0.12:5060\" already names backend \"a2\"; let it name one of the two"),
    );
}

#[test]
fn a_name_of_the_vip_leaves_other_ports_to_backends() {
    told("domains = [\"example.com\"]", "\"example.com:15061\"", "\"example.com:15062\"", "");
    told(
        "domains = [\"example.com\"]",
        "\"example.com:5060\"",
        "",
        "siplb.toml:19: pool.backend.aliases: \"example.com:5060\" is among the names of the VIP 192.0.2.10:5060: \
         \"example.com\" for any port; write the port that is meant there, or let the host name one of the two",
    );
    told(
        "names = [\"sip.example.com:5070\"]",
        "\"sip.example.com\"",
        "",
        "siplb.toml:19: pool.backend.aliases: \"sip.example.com\" is for any port, but \"sip.example.com:5070\" \
         already names the VIP 192.0.2.10:5060; write the port that is meant, or let the host name one of the two",
    );
    let own = Lines {
        vip: "domains = [\"192.0.2.10\"]",
        backend: "vip-port = 15061\nvip-port-to = 5061",
        ..Lines::default()
    };
    let shown = shown(&own.config());
    assert!(
        shown.contains(&"192.0.2.10:* vip".to_owned()) && shown.contains(&"192.0.2.10:15061 a1".to_owned())
    );
}

#[test]
fn servers_on_one_address_are_told_apart_by_their_ports() {
    let second = |backend| Lines {
        backend,
        after: "[[pool.backend]]\nname = \"a2\"\naddress = \"10.0.0.11\"\nport = 5070",
        ..Lines::default()
    };
    assert_eq!(second("").warnings(), "");
    assert_eq!(
        second("aliases = [\"10.0.0.11\"]").refusal(),
        "siplb.toml:17: pool.backend.aliases: \"10.0.0.11\" is for any port, but \"10.0.0.11:5070\" already names \
         backend \"a2\"; write the port that is meant, or let the host name one of the two"
    );
}

#[test]
fn aliases_of_a_pool_without_a_vip_have_one_meaning_too() {
    let after = "[[pool]]\nname = \"q\"\nbackend = [{ name = \"q1\", address = \"10.0.0.12\", aliases = [\"b\"] }, \
                 { name = \"q2\", address = \"10.0.0.13\", aliases = [\"b\"] }]";
    assert_eq!(
        Lines { after, ..Lines::default() }.refusal(),
        "siplb.toml:20: pool.backend.aliases: \"b\" already names backend \"q1\"; let it name one of the two"
    );
}

#[test]
fn names_fit_their_limit() {
    let backends: String = (0..40)
        .map(|nth| {
            format!("[[pool.backend]]\nname = \"n{nth}\"\naddress = \"10.0.1.{nth}\"\n")
                .replace("1.0\"", "2.1\"")
        })
        .collect();
    let text = Lines::default().text() + &backends + "[limits]\nnames = 64";
    let refusal = parse(&text, "siplb.toml").unwrap_err().to_string();
    assert!(
        refusal.ends_with("limits.names: there are 84 names, more than the limit of 64; write names = 84 or more under [limits]"),
        "{refusal}"
    );
}

#[test]
fn in_a_configuration_that_agrees_host_and_port_are_there_once() {
    use proptest::prelude::*;
    let word = proptest::sample::select(vec![
        "h",
        "h:5060",
        "h:5061",
        "g",
        "g:5060",
        "192.0.2.10",
        "192.0.2.10:5061",
        "10.0.0.11",
        "10.0.0.12:5070",
    ]);
    let words = || proptest::collection::btree_set(word.clone(), 0..3);
    let lists = (words(), words(), words());
    proptest!(ProptestConfig::with_cases(300), |((vip, first, second) in lists, own in any::<bool>())| {
        let mut config = Lines::default().config();
        let text = |words: std::collections::BTreeSet<&str>| words.into_iter().map(str::to_owned).collect::<Vec<_>>();
        config.vips[0].names = text(vip);
        let copy = config.pools[0].backends[0].clone();
        let other = Backend { name: "a2".into(), group: "a2".into(), port: 5070, aliases: text(second), ..copy };
        config.pools[0].backends.push(other);
        config.pools[0].backends[0].aliases = text(first);
        config.pools[0].backends[0].own_port = own.then_some(OwnPort { vip_port: 5061, port: 5062 });
        prop_assume!(contradictions(&config).problems.is_empty());
        let names = names(&config);
        let texts: std::collections::HashSet<_> = names.iter().map(|name| (&name.host, name.port)).collect();
        prop_assert_eq!(texts.len(), names.len(), "{:?}", names);
        for wide in names.iter().filter(|name| name.any_port) {
            let beside = names.iter().filter(|name| name.host == wide.host && name.port.is_some());
            for narrow in beside {
                prop_assert!(wide.of == Named::Vip && narrow.of != Named::Vip, "{:?} {:?}", wide, narrow);
            }
        }
    });
}
