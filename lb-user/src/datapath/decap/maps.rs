//! The two maps of the program: which destinations headers may have, and how many packets met which fate.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, PerCpuArray},
};
use lb_common::decap::{AddressKey, Header, Outcome};

use super::Addresses;
use crate::datapath::{
    error::{DatapathError, Doing},
    maps::{As, take},
    pins,
};

const ADDRESSES: &str = "ADDRESSES";
const OUTCOMES: &str = "OUTCOMES";

/// What they are called.
pub(super) const NAMES: [&str; 2] = [ADDRESSES, OUTCOMES];

pub(super) struct DecapMaps {
    addresses: HashMap<MapData, As<AddressKey>, u32>,
    outcomes: PerCpuArray<MapData, u64>,
}

impl DecapMaps {
    /// Takes the maps out of a loaded object.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, DatapathError> {
        Ok(Self { addresses: take(object, ADDRESSES)?, outcomes: take(object, OUTCOMES)? })
    }

    /// Opens the pinned ones.
    pub(super) fn of_pins(folder: &Path) -> Result<Self, DatapathError> {
        const WHAT: &str = "open the pinned maps";
        let open = |name| MapData::from_pin(pins::decap_map(folder, name)).doing(WHAT);
        Ok(Self {
            addresses: HashMap::try_from(Map::HashMap(open(ADDRESSES)?)).doing(WHAT)?,
            outcomes: PerCpuArray::try_from(Map::PerCpuArray(open(OUTCOMES)?)).doing(WHAT)?,
        })
    }

    /// Allows these addresses and no others. What stays is allowed all the while.
    pub(super) fn set_addresses(&mut self, wanted: &Addresses) -> Result<(), DatapathError> {
        const WHAT: &str = "write the addresses";
        let keys = |header, addresses: &BTreeSet<std::net::IpAddr>| {
            addresses.iter().map(move |ip| AddressKey::new(header, (*ip).into())).collect::<Vec<_>>()
        };
        let wanted: BTreeSet<AddressKey> =
            [keys(Header::Outer, &wanted.outer), keys(Header::Inner, &wanted.inner)]
                .concat()
                .into_iter()
                .collect();
        let present = self.keys()?;
        for key in present.difference(&wanted) {
            self.addresses.remove(&As(*key)).doing(WHAT)?;
        }
        for key in wanted.difference(&present) {
            self.addresses.insert(As(*key), 1, 0).doing(WHAT)?;
        }
        Ok(())
    }

    /// What is allowed.
    pub(super) fn addresses(&self) -> Result<Addresses, DatapathError> {
        let (outer, inner): (BTreeSet<_>, BTreeSet<_>) =
            self.keys()?.into_iter().partition(|key| key.header == Header::Outer as u32);
        let ips = |keys: BTreeSet<AddressKey>| keys.into_iter().map(|key| key.address.into()).collect();
        Ok(Addresses { outer: ips(outer), inner: ips(inner) })
    }

    /// How many packets met which fate.
    pub(super) fn packets(&self) -> Result<BTreeMap<Outcome, u64>, DatapathError> {
        let sum = |outcome: Outcome| {
            let values = self.outcomes.get(&(outcome as u32), 0).doing("read the counters")?;
            Ok((outcome, values.iter().sum()))
        };
        Outcome::ALL.into_iter().map(sum).collect()
    }

    fn keys(&self) -> Result<BTreeSet<AddressKey>, DatapathError> {
        self.addresses.keys().map(|key| Ok(key.doing("read the addresses")?.0)).collect()
    }
}
