//! Hosts as SIP messages write them, brought to the one form in which they are compared: lower case, no trailing dot.

use std::net::Ipv6Addr;

use super::problem::Fault;

/// A host name's longest, in bytes (RFC 1035 section 2.3.4, without the trailing dot).
pub const HOST_LIMIT: usize = 253;
/// The longest part between two dots, in bytes (the same section).
const LABEL_LIMIT: usize = 63;

/// A host without a port: a domain name, an IPv4 address, or an IPv6 address in brackets.
pub fn host(text: &str) -> Result<String, Fault> {
    match split_port(text) {
        (_, None) => one_host(text),
        (host, Some(_)) => Err(Fault::new(format!("\"{text}\" has a port"), format!("write \"{host}\""))),
    }
}

/// A host, with or without a port behind a colon.
pub fn host_and_port(text: &str) -> Result<String, Fault> {
    let (host, port) = split_port(text);
    let host = one_host(host)?;
    let Some(port) = port else { return Ok(host) };
    match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok(format!("{host}:{number}")),
        _ => Err(Fault::new(
            format!("\"{text}\" ends in :{port}, which is not a port"),
            "give a port from 1 to 65535, or none",
        )),
    }
}

/// Cuts at the colon of the port, which is followed by digits. The colons of a bare IPv6 address or of `sip:` are
/// not that: those stay whole, to be refused.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match text.rsplit_once(':') {
        Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => {
            (host, Some(port))
        }
        _ => (text, None),
    }
}

fn one_host(text: &str) -> Result<String, Fault> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Fault::new(format!("\"{text}\" lacks its brackets"), format!("write \"[{text}]\"")));
    }
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let reference = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match reference {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.len() <= HOST_LIMIT && host.split('.').all(is_label),
    };
    if is_host {
        return Ok(host);
    }
    let mend = "give a domain name such as example.com, an IPv4 address, or an IPv6 address in brackets";
    Err(Fault::new(format!("\"{text}\" is not a host"), mend))
}

/// Underscores are no part of a host name by the book, but phones and PBXs in the field have them.
fn is_label(label: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=LABEL_LIMIT).contains(&label.len())
        && label.bytes().all(is_legal)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_take_one_form() {
        for (text, form) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("pbx", "pbx"),
            ("my_pbx.example.com", "my_pbx.example.com"),
            ("192.0.2.10", "192.0.2.10"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(form));
            assert_eq!(host_and_port(text).as_deref(), Ok(form));
            assert_eq!(host_and_port(&format!("{text}:5061")), Ok(format!("{form}:5061")));
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_mend() {
        let longest = ["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(61)].join(".");
        assert_eq!(longest.len(), HOST_LIMIT);
        assert!(host(&longest).is_ok());
        for (bad, mend) in [
            ("", "give a domain name"),
            (".", "give a domain name"),
            ("a..b", "give a domain name"),
            ("-a.com", "give a domain name"),
            ("a-.com", "give a domain name"),
            ("*.example.com", "give a domain name"),
            ("sip:alice@example.com", "give a domain name"),
            ("exämple.com", "give a domain name"),
            (&format!("{longest}x"), "give a domain name"),
            (&format!("{}.com", "x".repeat(64)), "give a domain name"),
            ("example.com:5060", "write \"example.com\""),
            ("[2001:db8::1]:5060", "write \"[2001:db8::1]\""),
            ("2001:db8::1", "write \"[2001:db8::1]\""),
        ] {
            let fault = host(bad).unwrap_err();
            assert!(fault.mend.contains(mend), "{bad}: {fault}");
        }
    }

    #[test]
    fn a_port_behind_a_host_is_one() {
        for bad in ["b1:0", "b1:65536", "b1:", "b1:+5", "b1:x", ":5060"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
