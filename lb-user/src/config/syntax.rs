//! Names, addresses, interfaces and paths as text. Used by the file's reader and by the command line's verbs, so that
//! both take and refuse the same things.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::problem::Fault;

/// A name's longest, in bytes.
pub const NAME_LIMIT: usize = 64;
/// An interface name's longest, in bytes: the kernel's IFNAMSIZ without its closing NUL.
pub const INTERFACE_LIMIT: usize = 15;
/// A Unix socket path's longest, in bytes: `sun_path` without its closing NUL.
pub const SOCKET_PATH_LIMIT: usize = 107;

/// The name of a pool, group or backend: 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub fn name(text: &str) -> Result<String, Fault> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !text.is_empty() && text.len() <= NAME_LIMIT && text.bytes().all(is_legal) {
        return Ok(text.to_owned());
    }
    let mend = format!("use 1 to {NAME_LIMIT} letters, digits, dots, dashes and underscores");
    Err(Fault::new(format!("\"{text}\" is not a name"), mend))
}

/// The IPv4 or IPv6 address of one host.
pub fn address(text: &str) -> Result<IpAddr, Fault> {
    let not_one = |why: &str, mend: &str| Err(Fault::new(format!("\"{text}\" {why}"), mend));
    let Ok(address) = text.parse::<IpAddr>() else {
        if let Ok(socket) = text.parse::<SocketAddr>() {
            let mend =
                format!("write the address alone and the port under its own key: port = {}", socket.port());
            return not_one("is an address and a port", &mend);
        }
        return not_one(
            "is not an address",
            "give an IPv4 or IPv6 address such as 192.0.2.10; names aren't resolved",
        );
    };
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        return not_one("is not the address of one host", "give the address that packets carry");
    }
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        return not_one("is an IPv4 address in IPv6 clothing", &format!("write {v4}"));
    }
    Ok(address)
}

/// The name of a network interface, which need not exist.
pub(super) fn interface(text: &str) -> Result<String, Fault> {
    let is_legal = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
    let fits = (1..=INTERFACE_LIMIT).contains(&text.len()) && text != "." && text != "..";
    if fits && text.bytes().all(is_legal) {
        return Ok(text.to_owned());
    }
    let mend = format!("give a name of 1 to {INTERFACE_LIMIT} bytes as `ip link` shows it");
    Err(Fault::new(format!("\"{text}\" is not an interface name"), mend))
}

/// An absolute path: the daemon's working directory is nobody's choice.
pub(super) fn path(text: &str) -> Result<PathBuf, Fault> {
    if Path::new(text).is_absolute() && !text.contains('\0') {
        return Ok(PathBuf::from(text));
    }
    Err(Fault::new(format!("\"{text}\" is not an absolute path"), "begin it with /"))
}

/// An absolute path that a Unix socket can be bound to.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, Fault> {
    if text.len() > SOCKET_PATH_LIMIT {
        let what = format!("is {} bytes long, more than a Unix socket's path can be", text.len());
        return Err(Fault::new(what, format!("give a path of at most {SOCKET_PATH_LIMIT} bytes")));
    }
    path(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_64_plain_bytes() {
        let longest = "x".repeat(NAME_LIMIT);
        for good in ["a", "a1", "A.b_c-9", &longest] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "é", "a/b", "a:b", &format!("{longest}x")] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_that_of_one_host() {
        for good in ["10.0.0.1", "2001:db8::1", "127.0.0.1"] {
            assert_eq!(address(good), Ok(good.parse().unwrap()));
        }
        for (bad, part) in [
            ("sip.example.com", "names aren't resolved"),
            ("10.0.0.1:5060", "port = 5060"),
            ("[2001:db8::1]:5061", "port = 5061"),
            ("10.0.0.0/24", "is not an address"),
            ("010.0.0.1", "is not an address"),
            ("0.0.0.0", "one host"),
            ("224.0.0.1", "one host"),
            ("255.255.255.255", "one host"),
            ("::", "one host"),
            ("::ffff:10.0.0.1", "write 10.0.0.1"),
        ] {
            let fault = address(bad).unwrap_err().to_string();
            assert!(fault.contains(part), "{bad}: {fault}");
        }
    }

    #[test]
    fn an_interface_name_fits_the_kernel() {
        for good in ["lo", "eth0", "enp0s31f6.100", "123456789012345"] {
            assert_eq!(interface(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", "a b", "a/b", "eth0:1", "1234567890123456"] {
            assert!(interface(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_absolute_and_a_socket_path_short() {
        assert!(path("/run/x").is_ok());
        assert!(path("run/x").is_err());
        let longest = format!("/{}", "x".repeat(SOCKET_PATH_LIMIT - 1));
        assert!(socket_path(&longest).is_ok());
        assert!(socket_path(&format!("{longest}x")).is_err());
    }
}
