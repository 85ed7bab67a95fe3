//! `siplb decap`: for a backend of an `ipip` pool, on the backend itself. Needs neither daemon nor configuration.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::context::Context;
use super::failure::{Code, Failure};
use super::output::{Columns, or_dash, print, print_json};
use crate::daemon::local_addresses;
use crate::datapath::decap::{self, Addresses, Status};
use crate::datapath::{Attached, Mode};

#[derive(clap::Args)]
#[command(after_help = "\
Packets whose outer destination is an address of this machine, and whose inner destination is one of --to,\n\
lose their outer header (IPv4 or IPv6, around IPv4 or IPv6). All others are left alone, fragments too.\n\
The program stays when the command ends; run it again after the machine's addresses, or the VIPs, have changed.")]
pub(super) struct Args {
    /// Interface that the nodes' packets come in by
    #[arg(value_name = "INTERFACE")]
    interface: String,
    /// The VIPs: inner destinations that may come out
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required_unless_present_any = ["status", "detach"])]
    to: Vec<IpAddr>,
    /// Where in the receive path the program runs
    #[arg(long, value_name = "MODE", default_value = "native")]
    xdp_mode: XdpMode,
    /// Say what is attached, and what it did
    #[arg(long, conflicts_with_all = ["to", "xdp_mode", "detach"])]
    status: bool,
    /// Take the program off the interface
    #[arg(long, conflicts_with_all = ["to", "xdp_mode"])]
    detach: bool,
    /// Where the program is pinned, in a BPF file system [default: as the configuration file says, or /sys/fs/bpf/siplb]
    #[arg(long, value_name = "FOLDER")]
    pin_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum XdpMode {
    /// In the driver
    Native,
    /// In the network stack: slower, on any interface
    Generic,
}

impl From<XdpMode> for Mode {
    fn from(mode: XdpMode) -> Self {
        match mode {
            XdpMode::Native => Self::Native,
            XdpMode::Generic => Self::Generic,
        }
    }
}

/// Attaches, asks or detaches.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let pin_dir = match &args.pin_dir {
        Some(folder) => folder.clone(),
        None => context.pin_dir()?,
    };
    let interface = args.interface.as_str();
    if args.detach {
        let was_there = decap::detach(&pin_dir, interface).map_err(anyhow::Error::from)?;
        return if was_there { say(context, interface, "detached") } else { Err(absent(interface)) };
    }
    if args.status {
        let status = decap::status(&pin_dir, interface).map_err(anyhow::Error::from)?;
        return show(context, interface, &status.ok_or_else(|| absent(interface))?);
    }
    let local = local_addresses();
    let addresses = addresses(&local, &args.to);
    for vip in addresses.inner.difference(&local) {
        let bits = if vip.is_ipv4() { 32 } else { 128 };
        eprintln!("warning: {vip} is no address of this machine yet: `ip address add {vip}/{bits} dev lo`");
    }
    let attached =
        decap::attach(&pin_dir, interface, args.xdp_mode.into(), &addresses).map_err(anyhow::Error::from)?;
    say(context, interface, if attached == Attached::Now { "attached" } else { "updated" })
}

/// A VIP is never an outer destination, though it is an address of the machine.
fn addresses(local: &BTreeSet<IpAddr>, vips: &[IpAddr]) -> Addresses {
    let inner: BTreeSet<IpAddr> = vips.iter().copied().collect();
    let outer = local.iter().filter(|ip| !ip.is_loopback() && !inner.contains(ip)).copied().collect();
    Addresses { outer, inner }
}

fn absent(interface: &str) -> Failure {
    let mend = format!("attach it by `siplb decap {interface} --to VIP`");
    Failure::new(Code::NotFound, format!("{interface} carries no program of siplb decap: {mend}"))
}

fn say(context: &Context, interface: &str, done: &str) -> Result<(), Failure> {
    if context.json {
        return print_json(&json!({ "interface": interface, "done": done }));
    }
    print(&format!("{interface}: {done}"))
}

fn show(context: &Context, interface: &str, status: &Status) -> Result<(), Failure> {
    let Status { mode, addresses: Addresses { outer, inner }, packets } = status;
    let mode = mode.map(|mode| mode.to_string());
    if context.json {
        let packets: serde_json::Map<String, Value> =
            packets.iter().map(|(outcome, count)| (outcome.name().to_owned(), json!(count))).collect();
        return print_json(
            &json!({ "interface": interface, "mode": mode, "own": outer, "to": inner, "packets": packets }),
        );
    }
    let list = |addresses: &BTreeSet<IpAddr>| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let mut columns = Columns::new(&["OUTCOME", ">PACKETS"]);
    for (outcome, count) in packets {
        columns.row(vec![outcome.name().to_owned(), count.to_string()]);
    }
    print(&format!("{interface} ({}): from {} to {}\n\n{columns}", or_dash(mode), list(outer), list(inner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_loopback_nor_a_vip_is_an_outer_destination() {
        let ips = |text: &str| text.split(' ').map(|ip| ip.parse().unwrap()).collect::<BTreeSet<IpAddr>>();
        let vip = "192.0.2.10".parse().unwrap();
        let found = addresses(&ips("127.0.0.1 ::1 192.0.2.10 10.0.0.11 2001:db8::11"), &[vip]);
        assert_eq!(found, Addresses { outer: ips("10.0.0.11 2001:db8::11"), inner: [vip].into() });
    }
}
