//! Networks that addresses are made from: `tunnel-source`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cursor::Table;
use super::model::TunnelSource;
use super::problem::Fault;
use super::value::text;

/// Shortest prefix of either family: less would take in addresses of every kind.
const LENGTH_MIN: u8 = 8;
/// Longest IPv4 prefix: 16 bits are left for the flow.
const LENGTH_MAX_V4: u8 = 16;
/// Longest IPv6 prefix: 32 bits are left for the flow.
const LENGTH_MAX_V6: u8 = 96;

/// Reads `tunnel-source`: at most one network of each family; the default of one that isn't written.
pub(super) fn tunnel_source(table: &mut Table<'_>) -> TunnelSource {
    let mut source = TunnelSource::default();
    let (mut v4, mut v6) = (0, 0);
    for network in table.list("tunnel-source", text(network)) {
        match network {
            IpAddr::V4(network) => (source.v4, v4) = (network, v4 + 1),
            IpAddr::V6(network) => (source.v6, v6) = (network, v6 + 1),
        }
    }
    for (family, networks) in [("IPv4", v4), ("IPv6", v6)] {
        if networks > 1 {
            let what = format!("names {networks} {family} networks");
            table.refuse("tunnel-source", Fault::new(what, format!("keep one of {family}")));
        }
    }
    source
}

/// The address of a network written as ADDRESS/LENGTH.
fn network(text: &str) -> Result<IpAddr, Fault> {
    let parts = text.split_once('/');
    let Some((address, length)) = parts
        .and_then(|(address, length)| Some((address.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?)))
    else {
        let mend = "write an address, a slash and a length, such as 172.16.0.0/16 or 100::/64";
        return Err(Fault::new(format!("\"{text}\" is not a network"), mend));
    };
    let (most, bits) = match address {
        IpAddr::V4(_) => (LENGTH_MAX_V4, "16"),
        IpAddr::V6(_) => (LENGTH_MAX_V6, "32"),
    };
    if !(LENGTH_MIN..=most).contains(&length) {
        let what = format!("\"{text}\" has {length} bits");
        let mend = format!("give {LENGTH_MIN} to {most}: the low {bits} bits are filled for each flow");
        return Err(Fault::new(what, mend));
    }
    let network = masked(address, length);
    if network != address {
        let what = format!("\"{text}\" has bits behind its length");
        return Err(Fault::new(what, format!("write \"{network}/{length}\"")));
    }
    if is_of_hosts(network) {
        return Ok(network);
    }
    let what = format!("\"{text}\" holds addresses that no packet may come from");
    Err(Fault::new(what, "give a network that the receivers take packets from, such as 172.16.0.0/16"))
}

/// The address without the bits behind `length`, which is more than 0 and fits the family.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << (Ipv4Addr::BITS - u32::from(length)))).into()
        }
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (Ipv6Addr::BITS - u32::from(length)))).into()
        }
    }
}

/// No receiver takes a packet from 0/8, loopback, multicast or reserved IPv4 addresses, nor from ::/8 (unspecified,
/// loopback, mapped) or multicast IPv6 ones.
fn is_of_hosts(network: IpAddr) -> bool {
    match network {
        IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 127 | 224..=255),
        IpAddr::V6(v6) => !matches!(v6.octets()[0], 0 | 255),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_leaves_room_for_the_flow() {
        for (good, address) in [
            ("172.16.0.0/16", "172.16.0.0"),
            ("10.0.0.0/8", "10.0.0.0"),
            ("100::/64", "100::"),
            ("2001:db8::/96", "2001:db8::"),
            ("fd00::/8", "fd00::"),
        ] {
            assert_eq!(network(good), Ok(address.parse().unwrap()), "{good}");
        }
        for (bad, part) in [
            ("172.16.0.0", "write an address, a slash and a length"),
            ("172.16.0.0/", "write an address, a slash and a length"),
            ("172.16/16", "write an address, a slash and a length"),
            ("100::/300", "write an address, a slash and a length"),
            ("172.16.0.0/17", "give 8 to 16: the low 16 bits"),
            ("172.0.0.0/7", "give 8 to 16"),
            ("100::/97", "give 8 to 96: the low 32 bits"),
            ("172.16.0.1/16", "write \"172.16.0.0/16\""),
            ("172.16.0.0/8", "write \"172.0.0.0/8\""),
            ("100::1/64", "write \"100::/64\""),
            ("127.0.0.0/8", "no packet may come from"),
            ("0.0.0.0/8", "no packet may come from"),
            ("239.1.0.0/16", "no packet may come from"),
            ("::/64", "no packet may come from"),
            ("ff02::/16", "no packet may come from"),
        ] {
            let fault = network(bad).unwrap_err().to_string();
            assert!(fault.contains(part), "{bad}: {fault}");
        }
    }
}
