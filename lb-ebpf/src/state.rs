//! The live state: the generation is read once a packet, and every look-up is in that half.

use crate::{
    maps::{HOSTS, META, NEXT_HOPS, PORTS, SOCKETS, VIPS},
    notes::Notes,
};
use aya_ebpf::maps::Array;
use lb_common::layout::{
    Address, Host, HostKey, Meta, NextHop, Port, Ports, Socket, SocketKey, Vip, half, index,
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
        // SAFETY: entries of the live half are not written.
        unsafe { VIPS.get(SocketKey::udp(self.half, address, port)) }
    }

    /// What the backend with this socket leaves as.
    #[inline(always)]
    pub(crate) fn socket(&self, address: Address, port: Port) -> Option<&'static Socket> {
        // SAFETY: as above.
        unsafe { SOCKETS.get(SocketKey::udp(self.half, address, port)) }
    }

    /// Whose address this is.
    #[inline(always)]
    pub(crate) fn host(&self, address: Address) -> Option<Host> {
        // SAFETY: as above.
        unsafe { HOSTS.get(HostKey { address, half: self.half }) }.copied()
    }
}
