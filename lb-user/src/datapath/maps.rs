//! The typed maps of a loaded object, read and written half by half.

use std::{collections::BTreeMap, sync::Arc};

use aya::{
    Ebpf, Pod,
    maps::{Array, Map, MapData, xdp::DevMapHash},
};
use lb_common::{
    layout::{
        Backend, Endpoint, EndpointKey, Group, Meta, NameKey, Named, NextHop, Ports, ProbeKey, Probed,
        Socket, Table, Vip, index,
    },
    slot::SLOTS,
};

use super::{
    error::{DatapathError, Doing},
    image::Slots,
    lowered::{Lowered, PortsOf, difference},
    meta::MappedMeta,
    object::Sizes,
    probed::ProbedArray,
};

/// A type of `lb_common::layout` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct As<T>(pub(super) T);

// SAFETY: every type that this is used with is `repr(C)` without hidden padding, and was written as such: enums are read
// only from maps that this program alone writes.
unsafe impl<T: Copy + 'static> Pod for As<T> {}

/// The maps of the state.
pub(super) struct StateMaps {
    pub(super) meta: MappedMeta,
    sizes: Sizes,
    ports: Array<MapData, As<Ports>>,
    endpoints: ProbedArray<EndpointKey, Endpoint>,
    vips: Array<MapData, As<Vip>>,
    tables: Array<MapData, As<Table>>,
    groups: Array<MapData, As<Group>>,
    backends: Array<MapData, As<Backend>>,
    next_hops: Array<MapData, As<NextHop>>,
    sockets: Array<MapData, As<Socket>>,
    names: ProbedArray<NameKey, Named>,
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
            endpoints: ProbedArray::take(object, "ENDPOINTS", sizes.endpoint_places())?,
            vips: take(object, "VIPS")?,
            tables: take(object, "TABLES")?,
            groups: take(object, "GROUPS")?,
            backends: take(object, "BACKENDS")?,
            next_hops: take(object, "NEXT_HOPS")?,
            sockets: take(object, "SOCKETS")?,
            names: ProbedArray::take(object, "NAMES", sizes.name_places())?,
            interfaces: take(object, "INTERFACES")?,
        })
    }

    /// What a half holds.
    pub(super) fn read(&self, half: u32) -> Result<Lowered, DatapathError> {
        const WHAT: &str = "read the pinned maps";
        let sizes = &self.sizes;
        Ok(Lowered {
            ports: Box::new(PortsOf(self.ports.get(&half, 0).doing(WHAT)?.0)),
            endpoints: self.endpoints.read(half),
            vips: read_array(&self.vips, half, sizes.vip_entries(), |vip| *vip != Vip::default())?,
            tables: read_tables(&self.tables, half, sizes.tables())?,
            groups: read_array(&self.groups, half, Sizes::entries(sizes.groups), |group| {
                *group != Group::default()
            })?,
            backends: read_array(&self.backends, half, Sizes::entries(sizes.backends), |backend| {
                *backend != Backend::default()
            })?,
            next_hops: read_array(&self.next_hops, half, Sizes::entries(sizes.backends), |hop| {
                *hop != NextHop::default()
            })?,
            sockets: read_array(&self.sockets, half, sizes.socket_entries(), |socket| {
                *socket != Socket::default()
            })?,
            names: self.names.read(half),
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
        let at = |entries: u32| move |id: u32| index(half, entries, id);
        let of = |limit: u32| at(Sizes::entries(limit));
        write_tables(&mut self.tables, of(sizes.tables()), &mut known.tables, &to.tables)?;
        write_array(&mut self.groups, of(sizes.groups), &mut known.groups, &to.groups)?;
        write_array(&mut self.backends, of(sizes.backends), &mut known.backends, &to.backends)?;
        write_array(&mut self.next_hops, of(sizes.backends), &mut known.next_hops, &to.next_hops)?;
        write_array(&mut self.vips, at(sizes.vip_entries()), &mut known.vips, &to.vips)?;
        write_array(&mut self.sockets, at(sizes.socket_entries()), &mut known.sockets, &to.sockets)?;
        write_probed(&mut self.endpoints, half, &mut known.endpoints, &to.endpoints)?;
        write_probed(&mut self.names, half, &mut known.names, &to.names)
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
        name_places: sizes.name_places(),
        endpoint_places: sizes.endpoint_places(),
        ..Meta::default()
    }
}

/// The entries of a half that are in use.
fn read_array<V: Copy + 'static>(
    map: &Array<MapData, As<V>>,
    half: u32,
    count: u32,
    is_used: impl Fn(&V) -> bool,
) -> Result<BTreeMap<u32, V>, DatapathError> {
    let mut entries = BTreeMap::new();
    for id in 1..count {
        let value = map.get(&index(half, count, id), 0).doing("read the pinned maps")?.0;
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

fn write_probed<K: ProbeKey + Default, V: Copy + Default + PartialEq + 'static>(
    map: &mut ProbedArray<K, V>,
    half: u32,
    known: &mut BTreeMap<K, V>,
    to: &BTreeMap<K, V>,
) -> Result<(), DatapathError>
where
    As<Probed<K, V>>: Pod,
{
    if known != to {
        map.write(half, to)?;
        known.clone_from(to);
    }
    Ok(())
}
