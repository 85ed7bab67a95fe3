//! Address translation, both ways, without state: towards a backend the destination changes, on the way back the source.

use crate::{frame::Datagram, packet::Packet};
use lb_common::{
    checksum::{Sum, replace, replace_udp},
    layout::{Address, Port, Sums},
    reason::Reason,
};

/// Which end of a packet is rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// What is put in place of one end of a packet.
pub(crate) struct Rewrite<'a> {
    /// Which end.
    pub(crate) end: End,
    /// The part of the checksums that leaves.
    pub(crate) old: Sums,
    /// The address that comes.
    pub(crate) address: &'a Address,
    /// Its part of the checksums.
    pub(crate) new_address: Sum,
    /// The port that comes.
    pub(crate) port: Port,
}

/// Offsets in an IPv4 header, an IPv6 header and a UDP header.
const TTL: u64 = 8;
const CHECKSUM: u64 = 10;
const SOURCE: u64 = 12;
const DESTINATION: u64 = 16;
const HOP_LIMIT: u64 = 7;
const SOURCE_V6: u64 = 8;
const DESTINATION_V6: u64 = 24;
const SOURCE_PORT: u64 = 0;
const DESTINATION_PORT: u64 = 2;
const UDP_CHECKSUM: u64 = 6;

/// Replaces the socket at one end of a datagram, or of its first fragment, with one hop less to live.
#[inline(always)]
pub(crate) fn rewrite(packet: Packet, datagram: &Datagram, rewrite: &Rewrite<'_>) -> Result<(), u8> {
    readdress(packet, datagram, rewrite)?;
    let port_at = if rewrite.end == End::Source { SOURCE_PORT } else { DESTINATION_PORT };
    let checksum = packet.read::<u16>(datagram.udp + UDP_CHECKSUM).ok_or(Reason::Truncated as u8)?;
    let checksum = replace_udp(checksum, rewrite.old.socket, rewrite.new_address + rewrite.port.0 as Sum);
    let wrote = packet.write(datagram.udp + port_at, rewrite.port.0)
        && packet.write(datagram.udp + UDP_CHECKSUM, checksum);
    if wrote { Ok(()) } else { Err(Reason::Truncated as u8) }
}

/// Replaces the address at one end of a packet, with one hop less to live: all that there is of a later fragment.
#[inline(always)]
pub(crate) fn readdress(packet: Packet, datagram: &Datagram, rewrite: &Rewrite<'_>) -> Result<(), u8> {
    let wrote = if datagram.is_v4() {
        let at = if rewrite.end == End::Source { SOURCE } else { DESTINATION };
        age_v4(packet, datagram.ip, rewrite.old.address, rewrite.new_address)?
            && packet.write(datagram.ip + at, rewrite.address.words[3])
    } else {
        let at = if rewrite.end == End::Source { SOURCE_V6 } else { DESTINATION_V6 };
        age_v6(packet, datagram.ip)? && packet.write(datagram.ip + at, rewrite.address.words)
    };
    if wrote { Ok(()) } else { Err(Reason::Truncated as u8) }
}

/// Takes one from what a packet has to live, and nothing else.
#[inline(always)]
pub(super) fn age(packet: Packet, datagram: &Datagram) -> Result<(), u8> {
    let wrote =
        if datagram.is_v4() { age_v4(packet, datagram.ip, 0, 0)? } else { age_v6(packet, datagram.ip)? };
    if wrote { Ok(()) } else { Err(Reason::Truncated as u8) }
}

/// Has a packet more than one hop to live? One that has not must not come to a server that takes it for the VIP, or what a
/// backend without the VIP sends back would go round.
#[inline(always)]
pub(super) fn has_life(packet: Packet, datagram: &Datagram) -> Result<(), u8> {
    let at = datagram.ip + if datagram.is_v4() { TTL } else { HOP_LIMIT };
    let life = packet.read::<u8>(at).ok_or(Reason::Truncated as u8)?;
    if life <= 1 { Err(Reason::TtlExpired as u8) } else { Ok(()) }
}

/// Takes one from the TTL of an IPv4 header, whose checksum loses and gains the sums of addresses too.
#[inline(always)]
fn age_v4(packet: Packet, ip: u64, removed: Sum, added: Sum) -> Result<bool, u8> {
    // TTL and protocol are one word of the checksum; the TTL is its first byte.
    let life = packet.read::<u16>(ip + TTL).ok_or(Reason::Truncated as u8)?;
    if life.to_be() >> 8 <= 1 {
        return Err(Reason::TtlExpired as u8);
    }
    let shorter = (life.to_be() - 0x100).to_be();
    let checksum = packet.read::<u16>(ip + CHECKSUM).ok_or(Reason::Truncated as u8)?;
    let checksum = replace(checksum, removed + life as Sum, added + shorter as Sum);
    Ok(packet.write(ip + TTL, [shorter, checksum]))
}

/// Takes one from the hop limit of an IPv6 header, which has no checksum.
#[inline(always)]
fn age_v6(packet: Packet, ip: u64) -> Result<bool, u8> {
    let limit = packet.read::<u8>(ip + HOP_LIMIT).ok_or(Reason::Truncated as u8)?;
    if limit <= 1 {
        return Err(Reason::TtlExpired as u8);
    }
    Ok(packet.write(ip + HOP_LIMIT, limit - 1))
}
