//! ICMP errors (RFC 792, RFC 4443): about what a backend sent as the VIP, and from a backend about what it was sent.
//!
//! An error quotes the packet that it is about. One to the VIP belongs to the backend that sent that packet: all of them
//! share the VIP's address, so that only a port of its own, or the Via of a request that is quoted far enough, says which.
//! Everything else is the network stack's, echo requests too.

use crate::{
    account::Outcome,
    at_vip,
    deliver::{self, End, Rewrite, next_hop},
    frame::{IPV4_BYTES, IPV6_BYTES, Ipv4, Ipv6, UDP_BYTES, Udp},
    maps::{BACKENDS, EVENTS},
    notes::Notes,
    packet::{Packet, opaque},
    state::State,
    trace::trace,
};
use aya_ebpf::bindings::xdp_md;
use lb_common::{
    checksum::replace,
    layout::{Address, Backend, Event, EventKind, Host, KeySource, Mode, PROTOCOL_UDP, Port, Sums, Vip},
    limits::SCAN_LIMIT,
    reason::Reason,
};

const ICMP_BYTES: u64 = 8;
const CHECKSUM: u64 = 2;

/// The packet that an error quotes.
struct Quoted {
    /// Offset of its IP header.
    ip: u64,
    /// Offset of its UDP header.
    udp: u64,
    source: Address,
    destination: Address,
    source_port: Port,
    destination_port: Port,
    /// Bytes of payload that its UDP header announces.
    announced: u64,
}

/// What becomes of an ICMP message. In steps of their own functions, since few packets come by here, and each step has
/// the stack to itself.
#[inline(always)]
pub(crate) fn from_anybody(packet: Packet, state: &State, notes: &mut Notes) -> Outcome {
    let outcome = icmp_message(packet.ctx, notes);
    if outcome != ABOUT_VIP {
        return Outcome::unpack(outcome);
    }
    // Its port says which VIP sent the quoted packet: the first step has put that in place of the message's own.
    let datagram = &notes.datagram;
    let Some(vip) = state.vip(datagram.destination, datagram.source_port) else {
        return Outcome::new(Reason::NotUdp as u8);
    };
    notes.vip = vip.id as u64;
    let sender = if vip.own != 0 { vip.own } else { at_vip::sender_of_quoted(packet, notes, vip) };
    Outcome::unpack(icmp_forward(packet.ctx, notes, vip, sender as u64))
}

/// What [`icmp_message`] answers about an error that quotes what may have left as a VIP.
const ABOUT_VIP: u64 = u64::MAX;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn icmp_message(ctx: *mut xdp_md, notes: *mut Notes) -> u64 {
    let Some(notes) = Notes::handed(notes) else { return 0 };
    let Some(state) = State::of(notes) else { return 0 };
    match judge(Packet { ctx }, &state, notes) {
        Some(outcome) => outcome.pack(),
        None => ABOUT_VIP,
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn icmp_forward(ctx: *mut xdp_md, notes: *mut Notes, vip: *const Vip, sender: u64) -> u64 {
    // SAFETY: callers hand over an entry of the live half.
    let (Some(notes), Some(vip)) = (Notes::handed(notes), unsafe { vip.as_ref() }) else { return 0 };
    let Some(state) = State::of(notes) else { return 0 };
    let sender = opaque(sender) as u32;
    let mut outcome = Outcome { vip: vip.id, ..Outcome::new(Reason::IcmpUnknown as u8) };
    trace(|trace| (trace.generation, trace.source) = (state.generation, KeySource::Icmp as u8));
    let Some(backend) = state.entry(&BACKENDS, state.meta.backends, sender) else { return outcome.pack() };
    outcome.backend = sender;
    outcome.reason = match forward(Packet { ctx }, &state, notes, (vip, sender, backend)) {
        Ok(action) => {
            outcome.action = action;
            Reason::IcmpForwarded as u8
        }
        Err(reason) => reason,
    };
    outcome.pack()
}

/// What becomes of a message; `None` for an error about what may have left as a VIP.
#[inline(always)]
fn judge(packet: Packet, state: &State, notes: &mut Notes) -> Option<Outcome> {
    const NOT_OURS: Option<Outcome> = Some(Outcome::new(Reason::NotUdp as u8));
    let to = state.host(notes.datagram.destination);
    let from = state.host(notes.datagram.source);
    if !matches!(to, Some(Host::Vip)) && !matches!((to, from), (None, Some(Host::Backend))) {
        return NOT_OURS;
    }
    let Some(kind) = packet.read::<[u8; 2]>(notes.datagram.udp) else { return NOT_OURS };
    let is_v4 = notes.datagram.is_v4();
    if !is_error(is_v4, kind[0]) {
        return NOT_OURS;
    }
    let Some(quoted) = quoted(packet, notes) else { return NOT_OURS };
    if matches!(to, Some(Host::Vip)) {
        // What did not leave as the VIP is not about the VIP.
        if quoted.source != notes.datagram.destination {
            return NOT_OURS;
        }
        let end = notes.datagram.udp + notes.datagram.held;
        let end = if end < packet.linear_bytes() { end } else { packet.linear_bytes() };
        if end < quoted.udp + UDP_BYTES {
            return NOT_OURS;
        }
        let there = end - (quoted.udp + UDP_BYTES);
        let length = if quoted.announced < there { quoted.announced } else { there };
        notes.length = if length > SCAN_LIMIT { SCAN_LIMIT } else { length };
        notes.quoted = notes.datagram.udp;
        (notes.datagram.udp, notes.datagram.announced) = (quoted.udp, quoted.announced);
        notes.datagram.source_port = quoted.source_port;
        return None;
    }
    let unreachable = if is_v4 { [3, 3] } else { [1, 4] };
    if kind == unreachable
        && let Some(socket) = state.socket(quoted.destination, quoted.destination_port)
    {
        // Nobody but the daemon needs to know: the client did not send to this address.
        let event = Event { kind: EventKind::PortUnreachable as u32, backend: socket.backend };
        let _ = EVENTS.output::<Event>(event, 0);
        trace(|trace| trace.generation = state.generation);
        let outcome = Outcome::new(Reason::BackendUnreachable as u8);
        return Some(Outcome { vip: socket.vip, backend: socket.backend, ..outcome });
    }
    NOT_OURS
}

/// Destination unreachable, time exceeded, parameter problem; in IPv6 packet too big as well.
#[inline(always)]
fn is_error(is_v4: bool, kind: u8) -> bool {
    if is_v4 { kind == 3 || kind == 11 || kind == 12 } else { (1..=4).contains(&kind) }
}

/// The quoted packet, if it is a UDP datagram, or the first fragment of one.
#[inline(always)]
fn quoted(packet: Packet, notes: &Notes) -> Option<Quoted> {
    let ip = notes.datagram.udp + ICMP_BYTES;
    let (udp, source, destination) = if notes.datagram.is_v4() {
        let header = packet.read::<Ipv4>(ip)?;
        let bytes = (header.version_and_length as u64 & 0xf) * 4;
        if header.protocol != PROTOCOL_UDP || !header.has_ports() || bytes < IPV4_BYTES {
            return None;
        }
        (ip + bytes, Address::v4(header.source), Address::v4(header.destination))
    } else {
        let header = packet.read::<Ipv6>(ip)?;
        if header.next_header != PROTOCOL_UDP {
            return None;
        }
        (ip + IPV6_BYTES, Address { words: header.source }, Address { words: header.destination })
    };
    let udp = udp ^ notes.zero;
    let ports = packet.read::<Udp>(udp)?;
    Some(Quoted {
        ip,
        udp,
        source,
        destination,
        source_port: Port(ports.source),
        destination_port: Port(ports.destination),
        announced: (u16::from_be(ports.bytes) as u64).saturating_sub(UDP_BYTES),
    })
}

/// Sends an error to the backend that it is for. With `nat`, the quoted packet becomes the one that the backend sent.
#[inline(always)]
fn forward(
    packet: Packet,
    state: &State,
    notes: &mut Notes,
    (vip, id, backend): (&Vip, u32, &'static Backend),
) -> Result<u32, u8> {
    notes.datagram.udp = notes.quoted;
    let quoted = &quoted(packet, notes).ok_or(Reason::Truncated as u8)?;
    let port = if id == vip.own { backend.own_port } else { backend.port };
    let removed = Sums::new(&notes.datagram.destination, quoted.source_port);
    let added = Sums { address: backend.sums.address, socket: backend.sums.address + port.0 as u32 };
    let rewrite = Rewrite {
        end: End::Destination,
        old: removed,
        address: &backend.address,
        new_address: added.address,
        port,
    };
    if backend.mode == Mode::Nat as u32 {
        let change = Change { old: removed, new: added, address: &backend.address, port };
        restore(packet, notes, quoted, &change).ok_or(Reason::Truncated as u8)?;
        // Behind the address there are no ports to rewrite.
        deliver::readdress(packet, &notes.datagram, &rewrite)?;
        return match state.next_hop(backend.next_hop) {
            Some(hop) => next_hop::send(packet, &notes.datagram, hop),
            None => next_hop::route(packet, &notes.datagram),
        };
    }
    deliver::to_backend(packet, state, notes, backend, &rewrite)
}

/// What the source of the quoted packet becomes.
struct Change<'a> {
    old: Sums,
    new: Sums,
    address: &'a Address,
    port: Port,
}

/// Puts the backend's socket back as the source of the quoted packet, and mends all checksums that cover it.
#[inline(always)]
fn restore(packet: Packet, notes: &Notes, quoted: &Quoted, change: &Change<'_>) -> Option<()> {
    const UDP_CHECKSUM: u64 = 6;
    const IP_CHECKSUM: u64 = 10;
    const SOURCE_V4: u64 = 12;
    const SOURCE_V6: u64 = 8;
    let mut removed = change.old.socket;
    let mut added = change.new.socket;
    let old = packet.read::<u16>(quoted.udp + UDP_CHECKSUM)?;
    let new = lb_common::checksum::replace_udp(old, change.old.socket, change.new.socket);
    (removed, added) = (removed + old as u32, added + new as u32);
    let mut wrote = packet.write(quoted.udp, change.port.0) && packet.write(quoted.udp + UDP_CHECKSUM, new);
    if notes.datagram.is_v4() {
        let old = packet.read::<u16>(quoted.ip + IP_CHECKSUM)?;
        let new = replace(old, change.old.address, change.new.address);
        (removed, added) = (removed + old as u32, added + new as u32);
        wrote = wrote
            && packet.write(quoted.ip + IP_CHECKSUM, new)
            && packet.write(quoted.ip + SOURCE_V4, change.address.words[3]);
    } else {
        // The destination of the outer packet changes as well, which an ICMPv6 checksum covers (RFC 4443 section 2.3).
        (removed, added) = (removed + change.old.address, added + change.new.address);
        wrote = wrote && packet.write(quoted.ip + SOURCE_V6, change.address.words);
    }
    let icmp = notes.datagram.udp + CHECKSUM;
    let checksum = replace(packet.read::<u16>(icmp)?, removed, added);
    if wrote && packet.write(icmp, checksum) { Some(()) } else { None }
}
