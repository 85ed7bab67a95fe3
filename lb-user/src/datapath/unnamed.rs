//! Hosts that should have named a backend and named nobody, as the program noted them: `siplb doctor` tells from them which
//! server advertises itself wrongly.

use std::net::IpAddr;

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use lb_common::layout::{self, KeySource, UnnamedKey};

use super::{
    error::{DatapathError, Doing},
    maps::{As, take},
};

/// A host that named nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// Number of the VIP.
    pub vip: u32,
    /// Where a backend should have been named; [`KeySource::None`] where the header itself is missing.
    pub source: KeySource,
    /// The host as it was written, up to 64 bytes of it; empty where none was.
    pub host: String,
    /// How many packets had it.
    pub packets: u64,
    /// Who sent the last one of them.
    pub from: IpAddr,
}

/// The map of them.
pub(super) struct UnnamedMap(HashMap<MapData, As<UnnamedKey>, As<layout::Unnamed>>);

impl UnnamedMap {
    /// Takes the map out of a loaded object.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, DatapathError> {
        take(object, "UNNAMED").map(Self)
    }

    /// Reads all of it, most packets first.
    pub(super) fn read(&self) -> Result<Vec<Unnamed>, DatapathError> {
        let mut all = Vec::new();
        for entry in self.0.iter() {
            let (As(key), As(value)) = entry.doing("read the hosts that named nobody")?;
            all.push(read(&key, &value));
        }
        all.sort_by(|a, b| b.packets.cmp(&a.packets).then_with(|| a.host.cmp(&b.host)));
        Ok(all)
    }

    /// Forgets those of a VIP, or all: the program takes no more notes when the map is full.
    pub(super) fn forget(&mut self, vip: Option<u32>) -> Result<(), DatapathError> {
        const WHAT: &str = "forget the hosts that named nobody";
        let keys: Vec<_> = self.0.keys().collect::<Result<_, _>>().doing(WHAT)?;
        for key in keys.into_iter().filter(|As(key)| vip.is_none_or(|vip| key.vip == vip)) {
            self.0.remove(&key).doing(WHAT)?;
        }
        Ok(())
    }
}

fn read(key: &UnnamedKey, value: &layout::Unnamed) -> Unnamed {
    let text = &value.text[..value.text.len().min(value.length as usize)];
    Unnamed {
        vip: key.vip,
        source: KeySource::ALL.get(key.source as usize).copied().unwrap_or_default(),
        host: String::from_utf8_lossy(text).into_owned(),
        packets: value.packets,
        from: value.from.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_they_ended() {
        let key = UnnamedKey { host: 1, vip: 2, source: KeySource::Via as u32 };
        let from = IpAddr::from([10, 0, 0, 11]);
        let mut value = layout::Unnamed { packets: 3, from: from.into(), text: [b'x'; 64], length: 4 };
        let host = |value: &layout::Unnamed| read(&key, value).host;
        assert_eq!(host(&value), "xxxx");
        value.length = 70;
        assert_eq!(host(&value), "x".repeat(64));
        let expected = Unnamed { vip: 2, source: KeySource::Via, host: String::new(), packets: 3, from };
        assert_eq!(read(&key, &layout::Unnamed { length: 0, ..value }), expected);
    }
}
