//! The typed maps of a loaded object, read and written half by half.

use std::{collections::BTreeMap, sync::Arc};

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, xdp::DevMapHash},
};
use lb_common::{
    layout::{
        Backend, Group, HostKey, Meta, NameKey, Named, NextHop, Ports, Socket, SocketKey, Table, Vip, index,
    },
    slot::SLOTS,
};

use super::{
    error::{DatapathError, Doing},
    image::Slots,
    lowered::{Lowered, PortsOf, difference},
    meta::MappedMeta,
    object::Sizes,
};

/// A type of `lb_common::layout` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct As<T>(pub(super) T);

// SAFETY: every type that this is used with is `repr(C)` without hidden padding, and was written as such: enums are read
// only from maps that this program alone writes.
unsafe impl<T: Copy + 'static> Pod for As<T> {}

/// A host as its number, since a map may hold any.
type HostNumber = u32;

/// The maps of the state.
pub(super) struct StateMaps {
    pub(super) meta: MappedMeta,
    sizes: Sizes,
    ports: Array<MapData, As<Ports>>,
    vips: HashMap<MapData, As<SocketKey>, As<Vip>>,
    tables: Array<MapData, As<Table>>,
    groups: Array<MapData, As<Group>>,
    backends: Array<MapData, As<Backend>>,
    next_hops: Array<MapData, As<NextHop>>,
    sockets: HashMap<MapData, As<SocketKey>, As<Socket>>,
    hosts: HashMap<MapData, As<HostKey>, HostNumber>,
    names: HashMap<MapData, As<NameKey>, As<Named>>,
    pub(super) interfaces: DevMapHash<MapData>,
}

/// Takes a map out of a loaded object as a typed one.
pub(super) fn take<T: TryFrom<Map>>(object: &mut Ebpf, name: &'static str) -> Result<T, DatapathError>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    let map = object.take_map(name).ok_or("the eBPF object has no such map").doing(name)?;
    T::try_from(map).doing(name)
}

impl StateMaps {
    /// Takes the maps out of a loaded object. With `fresh` sizes and fingerprint are written first.
    pub(super) fn take(object: &mut Ebpf, sizes: &Sizes, fresh: bool) -> Result<Self, DatapathError> {
        let meta = object.take_map("META").ok_or("the eBPF object has no such map").doing("META")?;
        let mapped = MappedMeta::new(&meta)?;
        if fresh {
            let mut array: Array<MapData, As<Meta>> = Array::try_from(meta).doing("META")?;
            array.set(0, As(describe(sizes)), 0).doing("write META")?;
        }
        Ok(Self {
            meta: mapped,
            sizes: *sizes,
            ports: take(object, "PORTS")?,
            vips: take(object, "VIPS")?,
            tables: take(object, "TABLES")?,
            groups: take(object, "GROUPS")?,
            backends: take(object, "BACKENDS")?,
            next_hops: take(object, "NEXT_HOPS")?,
            sockets: take(object, "SOCKETS")?,
            hosts: take(object, "HOSTS")?,
            names: take(object, "NAMES")?,
            interfaces: take(object, "INTERFACES")?,
        })
    }

    /// What a half holds.
    pub(super) fn read(&self, half: u32) -> Result<Lowered, DatapathError> {
        const WHAT: &str = "read the pinned maps";
        let sizes = &self.sizes;
        Ok(Lowered {
            ports: Box::new(PortsOf(self.ports.get(&half, 0).doing(WHAT)?.0)),
            vips: read_hash(&self.vips, |key| (key.half == half).then_some(SocketKey { half: 0, ..key }))?,
            tables: read_tables(&self.tables, half, sizes.tables())?,
            groups: read_array(&self.groups, half, sizes.groups, |group| *group != Group::default())?,
            backends: read_array(&self.backends, half, sizes.backends, |backend| {
                *backend != Backend::default()
            })?,
            next_hops: read_array(&self.next_hops, half, sizes.backends, |hop| *hop != NextHop::default())?,
            sockets: read_hash(&self.sockets, |key| {
                (key.half == half).then_some(SocketKey { half: 0, ..key })
            })?,
            hosts: read_hosts(&self.hosts, half)?,
            names: read_hash(&self.names, |key| {
                (u32::from(key.half) == half).then_some(NameKey { half: 0, ..key })
            })?,
        })
    }

    /// Writes what `to` has and `known` has not. `known` follows each write, so that after a failure it still says what
    /// the maps hold.
    pub(super) fn write(
        &mut self,
        half: u32,
        known: &mut Lowered,
        to: &Lowered,
    ) -> Result<(), DatapathError> {
        let sizes = self.sizes;
        if known.ports != to.ports {
            self.ports.set(half, As(to.ports.0), 0).doing("write the port bitmaps")?;
            known.ports = to.ports.clone();
        }
        let at = |limit: u32| move |id: u32| index(half, Sizes::entries(limit), id);
        write_tables(&mut self.tables, at(sizes.tables()), &mut known.tables, &to.tables)?;
        write_array(&mut self.groups, at(sizes.groups), &mut known.groups, &to.groups)?;
        write_array(&mut self.backends, at(sizes.backends), &mut known.backends, &to.backends)?;
        write_array(&mut self.next_hops, at(sizes.backends), &mut known.next_hops, &to.next_hops)?;
        let with_half = |key: SocketKey| SocketKey { half, ..key };
        write_hash(&mut self.vips, with_half, As, &mut known.vips, &to.vips)?;
        write_hash(&mut self.sockets, with_half, As, &mut known.sockets, &to.sockets)?;
        write_hash(
            &mut self.names,
            |key| NameKey { half: half as u16, ..key },
            As,
            &mut known.names,
            &to.names,
        )?;
        write_hash(
            &mut self.hosts,
            |key| HostKey { half, ..key },
            |host| host as u32,
            &mut known.hosts,
            &to.hosts,
        )
    }
}

/// The contents of `META` before anything was published.
fn describe(sizes: &Sizes) -> Meta {
    Meta {
        abi: lb_common::layout::ABI,
        tables: Sizes::entries(sizes.tables()),
        groups: Sizes::entries(sizes.groups),
        backends: Sizes::entries(sizes.backends),
        next_hops: Sizes::entries(sizes.backends),
        vips: Sizes::entries(sizes.vips),
        names: sizes.names,
        fragments: sizes.fragments,
        transactions: sizes.transactions,
        fingerprint: sizes.fingerprint,
        ..Meta::default()
    }
}

/// The entries of a half that are in use.
fn read_array<V: Copy + 'static>(
    map: &Array<MapData, As<V>>,
    half: u32,
    limit: u32,
    is_used: impl Fn(&V) -> bool,
) -> Result<BTreeMap<u32, V>, DatapathError> {
    let mut entries = BTreeMap::new();
    for id in 1..=limit {
        let value = map.get(&index(half, Sizes::entries(limit), id), 0).doing("read the pinned maps")?.0;
        if is_used(&value) {
            entries.insert(id, value);
        }
    }
    Ok(entries)
}

/// A table is 128 KiB: each is moved to the heap in a function of its own, or they would pile up on the stack.
fn read_tables(
    map: &Array<MapData, As<Table>>,
    half: u32,
    limit: u32,
) -> Result<BTreeMap<u32, Slots>, DatapathError> {
    let mut tables = BTreeMap::new();
    for id in 1..=limit {
        let slots = read_slots(map, index(half, Sizes::entries(limit), id))?;
        if slots.iter().any(|&group| group != 0) {
            tables.insert(id, slots);
        }
    }
    Ok(tables)
}

#[inline(never)]
fn read_slots(map: &Array<MapData, As<Table>>, index: u32) -> Result<Slots, DatapathError> {
    Ok(Arc::new(map.get(&index, 0).doing("read the pinned maps")?.0.groups))
}

#[inline(never)]
fn write_slots(
    map: &mut Array<MapData, As<Table>>,
    index: u32,
    slots: &[u16; SLOTS],
) -> Result<(), DatapathError> {
    let table = As(Table { groups: *slots, pad: [0; 3] });
    map.set(index, table, 0).doing("write a lookup table; raise limits.pools if there is no room")
}

fn read_hash<K: Copy + Ord + 'static, V: Copy + 'static>(
    map: &HashMap<MapData, As<K>, As<V>>,
    ours: impl Fn(K) -> Option<K>,
) -> Result<BTreeMap<K, V>, DatapathError> {
    let mut entries = BTreeMap::new();
    for entry in map.iter() {
        let (key, value) = entry.doing("read the pinned maps")?;
        if let Some(key) = ours(key.0) {
            entries.insert(key, value.0);
        }
    }
    Ok(entries)
}

fn read_hosts(
    map: &HashMap<MapData, As<HostKey>, HostNumber>,
    half: u32,
) -> Result<BTreeMap<HostKey, lb_common::layout::Host>, DatapathError> {
    use lb_common::layout::Host;
    let mut entries = BTreeMap::new();
    for entry in map.iter() {
        let (As(key), number) = entry.doing("read the pinned maps")?;
        let host = [Host::Node, Host::Peer, Host::Backend, Host::Vip]
            .into_iter()
            .find(|host| *host as u32 == number);
        if let (true, Some(host)) = (key.half == half, host) {
            entries.insert(HostKey { half: 0, ..key }, host);
        }
    }
    Ok(entries)
}

fn write_array<V: Copy + Default + PartialEq + 'static>(
    map: &mut Array<MapData, As<V>>,
    at: impl Fn(u32) -> u32,
    known: &mut BTreeMap<u32, V>,
    to: &BTreeMap<u32, V>,
) -> Result<(), DatapathError> {
    let (removed, written) = difference(known, to);
    for id in removed {
        map.set(at(id), As(V::default()), 0).doing("clear a map entry")?;
        known.remove(&id);
    }
    for (id, &value) in written {
        map.set(at(id), As(value), 0).doing("write a map entry; raise [limits] if there is no room")?;
        known.insert(id, value);
    }
    Ok(())
}

fn write_tables(
    map: &mut Array<MapData, As<Table>>,
    at: impl Fn(u32) -> u32,
    known: &mut BTreeMap<u32, Slots>,
    to: &BTreeMap<u32, Slots>,
) -> Result<(), DatapathError> {
    // A table that is no longer there stays: nothing leads to it.
    let (_, written) = difference(known, to);
    let written: Vec<(u32, Slots)> = written.into_iter().map(|(id, slots)| (id, slots.clone())).collect();
    for (id, slots) in written {
        write_slots(map, at(id), &slots)?;
        known.insert(id, slots);
    }
    Ok(())
}

fn write_hash<K: Copy + Ord + 'static, V: Copy + PartialEq, W: Pod>(
    map: &mut HashMap<MapData, As<K>, W>,
    key_of: impl Fn(K) -> K,
    value_of: impl Fn(V) -> W,
    known: &mut BTreeMap<K, V>,
    to: &BTreeMap<K, V>,
) -> Result<(), DatapathError> {
    let (removed, written) = difference(known, to);
    for key in removed {
        map.remove(&As(key_of(key))).doing("remove a map entry")?;
        known.remove(&key);
    }
    for (key, &value) in written {
        map.insert(As(key_of(key)), value_of(value), 0)
            .doing("write a map entry; raise [limits] if there is no room")?;
        known.insert(key, value);
    }
    Ok(())
}
