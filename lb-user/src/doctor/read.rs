//! Looks at the machine. What can't be looked at is written down as such.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::ethtool::{Ethtool, UDP_V4_FLOW, UDP_V6_FLOW};
use super::facts::{Backend, Card, Daemon, Facts, Interface, Machine, Network, Wanted};
use crate::config::Config;
use crate::control::api;
use crate::control::client::{Client, ClientError};
use crate::daemon::sizes;
use crate::datapath::{Code, Explainer, Image, Pinned, ScanLoop, can_wait, carried, is_on_bpffs};
use crate::net::{self, Survey, sysctl};

/// A daemon that needs longer than this for an answer hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where procfs is mounted.
const PROC: &str = "/proc";

impl Facts {
    /// Looks at the machine for a configuration. With `forget` the daemon forgets the hosts that named nobody, once it has
    /// told them. Must be called within a tokio runtime.
    pub async fn read(config: &Config, socket: &Path, forget: bool) -> Self {
        let daemon = daemon(socket, forget).await;
        let wanted = wanted(config, &daemon);
        let network = network(&wanted).await;
        let interface = |name: &String| {
            let found = network.survey.as_ref().ok().and_then(|survey| survey.interfaces.get(name));
            Interface { name: name.clone(), card: found.map(|found| card(name, found, &wanted)) }
        };
        let interfaces = match &network.survey {
            Ok(_) => wanted.interfaces.iter().map(interface).collect(),
            // Whether there are any is not known.
            Err(_) => Vec::new(),
        };
        let pinned = Pinned::read(&config.node.pin_dir).map_err(|error| error.to_string());
        let runs = matches!(daemon, Daemon::Answers { .. });
        Self { machine: machine(config, runs), interfaces, network, daemon, pinned, wanted }
    }
}

/// What the file says, with the backends that a daemon has instead.
fn wanted(config: &Config, daemon: &Daemon) -> Wanted {
    let of = |pool: &str, name: &str, address: IpAddr| Backend {
        path: crate::pool::path(pool, name),
        address,
        forward: config.pool(pool).map(|pool| pool.forward).unwrap_or_default(),
    };
    let backends = match daemon {
        Daemon::Answers { status, .. } => {
            let live = status.pools.iter().flat_map(|pool| &pool.backends);
            live.map(|backend| of(&backend.pool, &backend.name, backend.address)).collect()
        }
        _ => {
            let all =
                config.pools.iter().flat_map(|pool| pool.backends.iter().map(move |backend| (pool, backend)));
            all.map(|(pool, backend)| of(&pool.name, &backend.name, backend.address)).collect()
        }
    };
    Wanted {
        xdp_mode: config.node.xdp_mode,
        pin_dir: config.node.pin_dir.clone(),
        interfaces: config.node.interfaces.clone(),
        vips: config.vips.iter().map(|vip| vip.socket()).collect(),
        backends,
    }
}

fn machine(config: &Config, runs: bool) -> Machine {
    let read = |name: &str| fs::read_to_string(Path::new(PROC).join(name)).ok();
    let scan_loop = ScanLoop::ask().map_err(|error| error.to_string());
    let key = config.node.hash_key.load();
    let fingerprint = key.as_ref().map_or(0, |key| key.fingerprint);
    let program = (!runs && scan_loop.is_ok()).then(|| program(config, fingerprint));
    Machine {
        release: read("sys/kernel/osrelease").map_or_else(|| "unknown".into(), |text| text.trim().into()),
        scan_loop,
        jit: read("sys/net/core/bpf_jit_enable").and_then(|text| text.trim().parse().ok()),
        can_wait: can_wait().map_err(|error| error.to_string()),
        capabilities: read("self/status").as_deref().and_then(capabilities),
        is_on_bpffs: is_on_bpffs(&config.node.pin_dir).map_err(|error| error.to_string()),
        hash_key: key
            .map(|key| key.warning.map(|fault| fault.to_string()))
            .map_err(|error| error.to_string()),
        program,
    }
}

/// Loads the program for a moment, attached nowhere, with maps of the sizes that are configured.
fn program(config: &Config, fingerprint: u32) -> Result<u32, String> {
    let loaded = Explainer::untraced(Code::siplb(), &sizes(config, fingerprint), &Image::default());
    let mut loaded = loaded.map_err(|error| error.to_string())?;
    loaded.verified_instructions().map_err(|error| error.to_string())
}

/// The effective capabilities in the text of `/proc/self/status` (proc_pid_status(5)).
fn capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn card(name: &str, found: &net::Interface, wanted: &Wanted) -> Card {
    let ethtool = Ethtool::new(name).ok();
    let features = ethtool.as_ref().and_then(Ethtool::features);
    let is_on = |feature: &str| features.as_ref().map(|on| on.iter().any(|name| name == feature));
    Card {
        is_up: found.is_up,
        mtu: found.mtu,
        carried: carried(&wanted.pin_dir, found.index).map_err(|error| error.to_string()),
        driver: ethtool.as_ref().and_then(Ethtool::driver),
        lro: is_on("rx-lro"),
        gro_hw: is_on("rx-gro-hw"),
        queues: ethtool.as_ref().and_then(Ethtool::queues),
        spread_v4: ethtool.as_ref().and_then(|ethtool| ethtool.spread(UDP_V4_FLOW)),
        spread_v6: ethtool.as_ref().and_then(|ethtool| ethtool.spread(UDP_V6_FLOW)),
    }
}

async fn network(wanted: &Wanted) -> Network {
    let addresses: BTreeSet<IpAddr> = wanted.backends.iter().map(|backend| backend.address).collect();
    let addresses: Vec<IpAddr> = addresses.into_iter().collect();
    let survey = Survey::new(&wanted.interfaces, &addresses).await.map_err(|error| error.to_string());
    let settings = sysctl::warnings(Path::new(PROC), &wanted.interfaces, wanted.has_family(false));
    Network { survey, settings }
}

async fn daemon(socket: &Path, forget: bool) -> Daemon {
    let client = Client::new(socket).patient_for(PATIENCE);
    let status: api::Status = match client.get("/v1/status").await {
        Ok(status) => status,
        Err(ClientError::NoDaemon { socket, .. }) => return Daemon::Absent { socket },
        Err(error) => return Daemon::Silent(error.to_string()),
    };
    let path = "/v1/unnamed";
    let unnamed = if forget { client.delete(path).await } else { client.get(path).await };
    Daemon::Answers { status: Box::new(status), unnamed: unnamed.map_err(|error| error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_as_the_kernel_writes_them() {
        let status = "Name:\tsiplb\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\nCapBnd:\t1\n";
        assert_eq!(capabilities(status), Some(0x1ff_ffff_ffff));
        assert_eq!(capabilities("CapEff:\tnone\n"), None);
        assert_eq!(capabilities(""), None);
    }
}
