//! What a daemon meets when it starts: the socket's place, the sizes of the maps, the node's addresses.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use nix::ifaddrs::getifaddrs;
use nix::sys::stat::{Mode, umask};
use tokio::net::{TcpListener, UnixListener};

use super::store::Store;
use crate::config::Config;
use crate::datapath::Sizes;
use crate::net::{self, Network};
use crate::pool::Desired;

/// Permissions of the control socket: for its owner and group.
const SOCKET_MODE: u32 = 0o660;

/// The file of the control socket, removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            log::warn!("{} can't be removed: {error}", self.0.display());
        }
    }
}

/// Binds the control socket. A socket that nobody listens on is replaced.
///
/// # Errors
/// When another daemon listens there, or the place can't be written.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, SocketFile)> {
    if UnixStream::connect(path).is_ok() {
        bail!(
            "another siplb listens on {} already: stop it first, or give this one a socket of its own",
            path.display()
        );
    }
    let unwritable = |error: io::Error| {
        anyhow!(
            "the control socket {} can't be made ({error}); run as root, or mend node.socket",
            path.display()
        )
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
        _ => {}
    }
    // So that it is never open to all, not even between its making and the change of its permissions.
    let before = umask(Mode::from_bits_truncate(0o777 & !SOCKET_MODE));
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener.map_err(unwritable)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)).map_err(unwritable)?;
    Ok((listener, file))
}

/// Binds the address of `[metrics]`, if there is one.
///
/// # Errors
/// When it can't be listened on.
pub(super) async fn bind_metrics(listen: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = listen else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => {
            bail!("{address} can't be listened on ({error}): mend metrics.listen, or end who is there")
        }
    }
}

/// The sizes of the kernel's maps.
pub(crate) fn sizes(config: &Config, fingerprint: u32) -> Sizes {
    let limits = &config.limits;
    Sizes {
        vips: limits.vips,
        pools: limits.pools,
        groups: limits.groups,
        backends: limits.backends,
        names: limits.names,
        fragments: limits.fragments,
        transactions: limits.transactions,
        fingerprint,
    }
}

/// What is known of the network before anything is published. The next hops are among it: where an earlier daemon left
/// a datapath, a state without them would lose what can't go without (`dsr`, `ipip`).
pub(super) async fn network(config: &Config, store: &Store) -> Result<Network> {
    let (desired, _) = Desired::new(config, &mut store.changes()?);
    let backends: BTreeSet<IpAddr> = desired.backends().map(|(_, backend)| backend.address).collect();
    let backends: Vec<IpAddr> = backends.into_iter().collect();
    Ok(net::look(&config.node.interfaces, &backends).await.unwrap_or_else(|error| {
        log::warn!("the network can't be looked at yet: {error}");
        Network { local: local_addresses(), ..Network::default() }
    }))
}

/// The addresses of this node; answers to its checks are addressed to them.
pub(crate) fn local_addresses() -> BTreeSet<IpAddr> {
    let addresses = match getifaddrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            log::warn!("the node's addresses can't be read: {error}");
            return BTreeSet::new();
        }
    };
    let ip = |address: nix::sys::socket::SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
    };
    addresses.filter_map(|interface| interface.address.and_then(ip)).collect()
}
