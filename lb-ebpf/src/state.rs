//! The live state: the generation is read once a packet, and every look-up is in that half.

use crate::{
    bytes::veil,
    maps::{ENDPOINTS, META, NAMES, NEXT_HOPS, PORTS, SOCKETS, VIPS},
    notes::Notes,
    packet::opaque,
    turns::turns,
};
use aya_ebpf::maps::Array;
use lb_common::layout::{
    Address, EndpointKey, EndpointKind, Host, Meta, NameKey, Named, NextHop, PROBES, Port, Ports, ProbeKey,
    Probed, Socket, Vip, half, index, place, place_hash,
};

/// What a packet sees of the maps.
pub(crate) struct State {
    pub(crate) meta: &'static Meta,
    pub(crate) generation: u32,
    pub(crate) half: u32,
    /// Zero, which the verifier can't know.
    pub(crate) zero: u64,
}

impl State {
    /// The live state, if one was published.
    #[inline(always)]
    pub(crate) fn live() -> Option<Self> {
        let meta = META.get(0)?;
        // SAFETY: a plain read; volatile, so that it happens once and user space's store is seen whole.
        let generation = unsafe { core::ptr::read_volatile(&meta.generation) };
        if generation == 0 { None } else { Some(Self::new(meta, generation)) }
    }

    /// The state that the packet is judged by, in a function of its own: the generation is not read again.
    #[inline(always)]
    pub(crate) fn of(notes: &Notes) -> Option<Self> {
        META.get(0).map(|meta| Self::new(meta, notes.generation as u32))
    }

    #[inline(always)]
    fn new(meta: &'static Meta, generation: u32) -> Self {
        Self { meta, generation, half: half(generation), zero: meta.zero }
    }

    /// Entry `id` of this half of an array; 0 is none.
    #[inline(always)]
    pub(crate) fn entry<T>(&self, array: &'static Array<T>, limit: u32, id: u32) -> Option<&'static T> {
        if id == 0 { None } else { array.get(index(self.half, limit, id)) }
    }

    /// A next hop that user space resolved.
    #[inline(always)]
    pub(crate) fn next_hop(&self, id: u32) -> Option<&'static NextHop> {
        self.entry(&NEXT_HOPS, self.meta.next_hops, id)
    }

    /// The bitmaps of ports.
    #[inline(always)]
    pub(crate) fn ports(&self) -> Option<&'static Ports> {
        PORTS.get(self.half)
    }

    /// The VIP with this socket.
    #[inline(always)]
    pub(crate) fn vip(&self, address: Address, port: Port) -> Option<&'static Vip> {
        let id = self.endpoint(EndpointKey::udp(EndpointKind::Vip, address, port))?;
        // A backend may have a port of its VIP for its own.
        self.entry(&VIPS, self.meta.vips + self.meta.backends, id)
    }

    /// What the backend with this socket leaves as.
    #[inline(always)]
    pub(crate) fn socket(&self, address: Address, port: Port) -> Option<&'static Socket> {
        let id = self.endpoint(EndpointKey::udp(EndpointKind::Backend, address, port))?;
        self.entry(&SOCKETS, 2 * self.meta.backends, id)
    }

    /// Whose address this is.
    #[inline(always)]
    pub(crate) fn host(&self, address: Address) -> Option<Host> {
        Host::of(self.endpoint(EndpointKey::host(address))?)
    }

    #[inline(always)]
    fn endpoint(&self, key: EndpointKey) -> Option<u32> {
        let words = key.words();
        match probe(&ENDPOINTS, self.half, self.meta.endpoint_places, words, 0) {
            Probe::Found(endpoint) => Some(endpoint.means),
            Probe::Free => None,
            Probe::Taken => match probe_endpoints(words[0], words[1], words[2], self.generation as u64) {
                0 => None,
                means => Some(means as u32),
            },
        }
    }

    /// Whom a VIP knows by this name.
    #[inline(always)]
    pub(crate) fn named(&self, key: NameKey) -> Named {
        let words = key.words();
        match probe(&NAMES, self.half, self.meta.name_places, words, 0) {
            Probe::Found(named) => *named,
            Probe::Free => Named::NOBODY,
            Probe::Taken => {
                let packed = probe_names(words[0], words[1], self.generation as u64);
                Named { backend: packed as u32, kind: (packed >> 32) as u32 }
            }
        }
    }
}

/// What stands at a place of a probed array.
enum Probe<V: 'static> {
    /// The key.
    Found(&'static V),
    /// Nothing: the key is nowhere.
    Free,
    /// Another key.
    Taken,
}

/// Looks for a key's words at one of their places in a half.
#[inline(always)]
fn probe<K: ProbeKey, V>(
    array: &'static Array<Probed<K, V>>,
    half: u32,
    places: u32,
    words: [u64; 3],
    probe: u32,
) -> Probe<V> {
    let place = place(place_hash(words), probe, places);
    let Some(entry) = array.get(index(half, places, place)) else { return Probe::Free };
    let there = entry.key.words();
    if (there[0] ^ words[0]) | (there[1] ^ words[1]) | (there[2] ^ words[2]) == 0 {
        Probe::Found(&entry.value)
    } else if there[0] | there[1] | there[2] == 0 {
        Probe::Free
    } else {
        Probe::Taken
    }
}

/// What a key stands for, of all its places but the first: 0 is nothing. In a function of its own, since few keys stand there.
#[inline(always)]
fn probe_on<K: ProbeKey, V>(
    array: &'static Array<Probed<K, V>>,
    generation: u64,
    places: impl Fn(&Meta) -> u32,
    words: [u64; 3],
    number: impl Fn(&V) -> u64,
) -> u64 {
    let Some(meta) = META.get(0) else { return 0 };
    let (half, places, zero) = (half(generation as u32), places(meta), meta.zero);
    let mut found = veil(0, zero);
    let mut i = veil(1, zero);
    turns(
        #[inline(always)]
        || {
            if i >= PROBES as u64 {
                return 0;
            }
            i = veil(i, zero) & (PROBES as u64 - 1);
            match probe(array, half, places, words, i as u32) {
                Probe::Found(value) => {
                    found = number(value);
                    0
                }
                Probe::Free => 0,
                Probe::Taken => {
                    i = veil(i + 1, zero);
                    1
                }
            }
        },
    );
    found
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn probe_endpoints(a: u64, b: u64, c: u64, generation: u64) -> u64 {
    let words = [opaque(a), opaque(b), opaque(c)];
    probe_on(
        &ENDPOINTS,
        opaque(generation),
        |meta| meta.endpoint_places,
        words,
        #[inline(always)]
        |endpoint| endpoint.means as u64,
    )
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn probe_names(a: u64, b: u64, generation: u64) -> u64 {
    let words = [opaque(a), opaque(b), 0];
    probe_on(
        &NAMES,
        opaque(generation),
        |meta| meta.name_places,
        words,
        #[inline(always)]
        |named| named.backend as u64 | (named.kind as u64) << 32,
    )
}
