//! `[pool.source]`

use crate::config::{GroupBy, Source};

/// A configuration whose pool has this source.
fn with(source: &str) -> String {
    format!(
        "[node]\ninterfaces = [\"eth0\"]\nhash-key = \"hex:{}\"\n[[vip]]\naddress = \"192.0.2.10\"\npool = \"p\"\n\
         [[pool]]\nname = \"p\"\n[pool.source]\n{source}",
        "0".repeat(32)
    )
}

fn read(source: &str) -> Source {
    let config = crate::config::parse(&with(source), "f").unwrap();
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    config.pools[0].source.clone().unwrap()
}

fn told(source: &str) -> String {
    crate::config::parse(&with(source), "f").unwrap_err().to_string()
}

#[test]
fn sources_of_all_kinds() {
    assert_eq!(read("kind = \"file\"\npath = \"/etc/pool.toml\"").to_string(), "file /etc/pool.toml");
    let source = read(
        "kind = \"dns\"\nnames = [\"_SIP._udp.Example.com.\"]\nresolver = [\"10.0.0.53\", \"[::1]:5353\"]",
    );
    let Source::Dns(dns) = source else { panic!("{source}") };
    assert_eq!(
        (dns.names.as_slice(), dns.group_by),
        (&["_sip._udp.example.com".to_owned()][..], GroupBy::Target)
    );
    assert_eq!(dns.resolver, ["10.0.0.53:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
    let source =
        read("kind = \"etcd\"\nendpoints = [\"http://a:1\", \"http://[::1]\"]\nprefix = \"/siplb/p\"");
    assert_eq!(source.to_string(), "etcd /siplb/p/ at http://a:1, http://[::1]:2379");
}

#[test]
fn what_is_wrong_with_a_source_is_told_by_line() {
    for (source, expected) in [
        ("", "f:9: pool.source.kind: is missing; add kind = \"etcd\", or \"file\", or \"dns\""),
        (
            "kind = \"consul\"\npath = \"/x\"",
            "f:10: pool.source.kind: \"consul\" is not known here; give \"file\", \"dns\" or \"etcd\"",
        ),
        ("kind = \"file\"", "f:9: pool.source.path: is missing; add path = \"/etc/siplb/pool.toml\""),
        (
            "kind = \"file\"\npath = \"x\"",
            "f:11: pool.source.path: \"x\" is not an absolute path; begin it with /",
        ),
        (
            "kind = \"file\"\npath = \"/x\"\nprefix = \"y\"",
            "f:12: pool.source.prefix: unknown key; known here: kind, path",
        ),
        (
            "kind = \"dns\"\nnames = [\"sip.example.com\"]",
            "f:11: pool.source.names: \"sip.example.com\" is not the name of an SRV record; write service, protocol and \
             domain, such as _sip._udp.example.com",
        ),
        (
            "kind = \"dns\"\nnames = []",
            "f:11: pool.source.names: names nothing; write names = [\"_sip._udp.registrars.example.com\"]",
        ),
        (
            "kind = \"dns\"\nnames = [\"_sip._udp.a\", \"_sip._tcp.a\"]\ngroup-by = \"name\"",
            "f:11: pool.source.names: two names make the group \"a\"; leave one of them out",
        ),
        (
            "kind = \"etcd\"\nendpoints = [\"https://a\"]\nprefix = \"/\"",
            "f:11: pool.source.endpoints: \"https://a\" takes TLS, which is not spoken with etcd yet; use http:// on a \
             network that is yours alone\nf:12: pool.source.prefix: \"/\" is no prefix; give one such as /siplb/registrars/",
        ),
        (
            "kind = \"file\"\npath = \"/x\"\n[[pool.backend]]\nname = \"a\"\naddress = \"10.0.0.1\"",
            "f:12: pool.backend: stands beside a source, which gives the whole pool; list the backends here, or let the \
             source give them all; `siplb backend add` adds to both",
        ),
    ] {
        assert_eq!(told(source), expected);
    }
}
