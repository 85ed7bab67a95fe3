//! A packet that does not fit the tunnel: its sender is told (RFC 1191, RFC 8201), since nobody else will tell him. The
//! frame becomes the ICMP message, from the VIP, and goes back where it came from.

use super::header::{HeaderV4, HeaderV6, halves};
use crate::{
    frame::{ETHERNET_BYTES, IPV4_BYTES, IPV6_BYTES, Part, swap_link},
    limiter,
    notes::Notes,
    packet::Packet,
};
use lb_common::{
    checksum::{Sum, fold},
    layout::Address,
    reason::Reason,
};

const ICMP_BYTES: u64 = 8;
/// Bytes of the packet that are quoted: within the 576 bytes of RFC 1812 section 4.3.2.3, and the 1,280 of RFC 4443
/// section 2.4 c.
const QUOTED_V4: usize = 512;
const QUOTED_V6: usize = 1_024;
/// What the helper for checksums takes at once.
const AT_ONCE: usize = 512;

const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
const FRAGMENT: u64 = 6;
const DONT_FRAGMENT: u16 = 0x4000_u16.to_be();

/// Fragmentation needed (RFC 792), or packet too big (RFC 4443), in front of the quoted packet.
#[derive(Clone, Copy)]
#[repr(C)]
struct Icmp {
    type_and_code: u16,
    checksum: u16,
    mtu: [u16; 2],
}

/// The whole of what stands in front of the quoted packet.
#[derive(Clone, Copy)]
#[repr(C)]
struct Message<H> {
    ip: H,
    icmp: Icmp,
}

/// Makes the frame the message that `mtu` bytes are the most, if that may be said. Either way the packet is not sent on.
#[inline(always)]
pub(super) fn too_big(packet: Packet, notes: &mut Notes, bytes: u64, mtu: u64) -> u8 {
    // Nobody is told by an error about an error (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e).
    let may_tell = (notes.datagram.part as u8) < Part::Later as u8 && may_not_be_cut(packet, notes);
    if !may_tell || !limiter::allows_one() {
        return Reason::TooBigUntold as u8;
    }
    let told = if notes.datagram.is_v4() {
        bytes >= QUOTED_V4 as u64 && tell_v4(packet, notes, mtu).is_some()
    } else {
        bytes >= QUOTED_V6 as u64 && tell_v6(packet, notes, mtu).is_some()
    };
    if told { Reason::TooBig as u8 } else { Reason::TooBigUntold as u8 }
}

/// A router could cut an IPv4 packet without this flag, so that its sender waits for no such message.
#[inline(always)]
fn may_not_be_cut(packet: Packet, notes: &Notes) -> bool {
    !notes.datagram.is_v4()
        || packet.read::<u16>(notes.datagram.ip + FRAGMENT).is_some_and(|field| field & DONT_FRAGMENT != 0)
}

/// Makes room for headers in front of the packet, cuts what is not quoted, and turns the frame round. Returns where the
/// headers begin.
#[inline(always)]
fn reshape(packet: Packet, tags: u64, headers: u64, quoted: u64) -> Option<u64> {
    let link = ETHERNET_BYTES + (tags & 3) * 4;
    let is_done = packet.grow_head(headers as i32)
        && swap_link(packet, headers, tags)
        && packet.cut(link + headers + quoted);
    if is_done { Some(link) } else { None }
}

#[inline(always)]
fn tell_v4(packet: Packet, notes: &Notes, mtu: u64) -> Option<()> {
    const HEADERS: u64 = IPV4_BYTES + ICMP_BYTES;
    let at = reshape(packet, notes.datagram.tags, HEADERS, QUOTED_V4 as u64)?;
    let (source, destination) = (notes.datagram.destination, notes.datagram.source);
    let mut icmp = Icmp { type_and_code: 0x0304_u16.to_be(), checksum: 0, mtu: [0, (mtu as u16).to_be()] };
    let quoted = packet.sum::<QUOTED_V4>(at + HEADERS, 0)?;
    icmp.checksum = !fold(folded(quoted) + icmp.type_and_code as Sum + icmp.mtu[1] as Sum);
    let bytes = ICMP_BYTES + QUOTED_V4 as u64;
    let message = Message { ip: HeaderV4::new(bytes, 0, ICMP, source.words[3], destination.words[3]), icmp };
    if packet.write(at, message) { Some(()) } else { None }
}

#[inline(always)]
fn tell_v6(packet: Packet, notes: &Notes, mtu: u64) -> Option<()> {
    const HEADERS: u64 = IPV6_BYTES + ICMP_BYTES;
    const PAYLOAD: u64 = ICMP_BYTES + QUOTED_V6 as u64;
    let at = reshape(packet, notes.datagram.tags, HEADERS, QUOTED_V6 as u64)?;
    let (source, destination) = (notes.datagram.destination, notes.datagram.source);
    let mut icmp = Icmp { type_and_code: 0x0200_u16.to_be(), checksum: 0, mtu: [0, (mtu as u16).to_be()] };
    let first = packet.sum::<AT_ONCE>(at + HEADERS, 0)?;
    let second = packet.sum::<AT_ONCE>(at + HEADERS + AT_ONCE as u64, 0)?;
    // The pseudo-header (RFC 8200 section 8.1): addresses, length, protocol.
    let pseudo = (PAYLOAD as u16).to_be() as Sum + (ICMP_V6 as u16).to_be() as Sum;
    let sum = folded(first)
        + folded(second)
        + folded(all(&source))
        + folded(all(&destination))
        + pseudo
        + icmp.type_and_code as Sum
        + icmp.mtu[1] as Sum;
    icmp.checksum = !fold(sum);
    let message = Message { ip: HeaderV6::new(PAYLOAD, 0, ICMP_V6, source, destination), icmp };
    if packet.write(at, message) { Some(()) } else { None }
}

#[inline(always)]
fn folded(sum: Sum) -> Sum {
    fold(sum) as Sum
}

#[inline(always)]
fn all(address: &Address) -> Sum {
    let [a, b, c, d] = address.words;
    halves(a) + halves(b) + halves(c) + halves(d)
}

const _: () = {
    assert!(size_of::<Message<HeaderV4>>() as u64 == IPV4_BYTES + ICMP_BYTES);
    assert!(size_of::<Message<HeaderV6>>() as u64 == IPV6_BYTES + ICMP_BYTES);
};
