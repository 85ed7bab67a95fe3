//! How much memory the pinned maps take, by the kernel's own account.

use std::{collections::BTreeMap, fs, os::fd::AsFd as _, os::fd::AsRawFd as _, path::Path};

use aya::maps::MapData;

use super::{
    error::{DatapathError, Doing},
    object::{LIVE_MAPS, STATE_MAPS},
    pins,
};

/// Bytes of each map that is pinned below `pin_dir`, by its name. Before Linux 6.4 the kernel tells its estimate.
///
/// # Errors
/// When a map can't be opened, or the kernel does not tell.
pub fn memory_of_maps(pin_dir: &Path) -> Result<BTreeMap<&'static str, u64>, DatapathError> {
    const WHAT: &str = "ask how much memory a map takes";
    let folder = pins::folder(pin_dir);
    let bytes = |name: &'static str| {
        let map = MapData::from_pin(pins::map(&folder, name)).doing(WHAT)?;
        let descriptor = map.fd().as_fd().as_raw_fd();
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).doing(WHAT)?;
        Ok((name, memlock(&told).ok_or("the kernel does not tell").doing(WHAT)?))
    };
    STATE_MAPS.into_iter().chain(LIVE_MAPS).map(bytes).collect()
}

/// What an open map's information says of its memory.
fn memlock(told: &str) -> Option<u64> {
    told.lines().find_map(|line| line.strip_prefix("memlock:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::memlock;

    #[test]
    fn memory_is_read_from_what_the_kernel_tells() {
        let told = "pos:\t0\nflags:\t02000002\nmap_type:\t2\nmax_entries:\t1\nmemlock:\t4096\nmap_id:\t3\n";
        assert_eq!(memlock(told), Some(4_096));
        assert_eq!(memlock("pos:\t0\n"), None);
    }
}
