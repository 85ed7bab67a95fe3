//! Address translation, both ways, without state: towards a backend the destination changes, on the way back the source.

use crate::{frame::Layers, packet::Packet};
use lb_common::{
    checksum::{replace, replace_udp},
    layout::{Address, Port, Sums},
    reason::Reason,
};

/// Which end of a packet is rewritten.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Offsets in an IPv4 header, and in a UDP header.
const TTL: u64 = 8;
const CHECKSUM: u64 = 10;
const SOURCE: u64 = 12;
const DESTINATION: u64 = 16;
const SOURCE_PORT: u64 = 0;
const DESTINATION_PORT: u64 = 2;
const UDP_CHECKSUM: u64 = 6;

/// Replaces the socket at one end of an IPv4 packet, with one hop less to live.
#[inline(always)]
pub(crate) fn rewrite(
    packet: Packet,
    layers: &Layers,
    end: End,
    (old, new): (&Sums, &Sums),
    (address, port): (&Address, Port),
) -> Result<(), u8> {
    let (address_at, port_at) = match end {
        End::Source => (SOURCE, SOURCE_PORT),
        End::Destination => (DESTINATION, DESTINATION_PORT),
    };
    // TTL and protocol are one word of the checksum; the TTL is its first byte.
    let life = packet.read::<u16>(layers.ip + TTL).ok_or(Reason::Truncated as u8)?;
    if life.to_be() >> 8 <= 1 {
        return Err(Reason::TtlExpired as u8);
    }
    let shorter = (life.to_be() - 0x100).to_be();
    let checksum = packet.read::<u16>(layers.ip + CHECKSUM).ok_or(Reason::Truncated as u8)?;
    let checksum = replace(checksum, old.address + life as u32, new.address + shorter as u32);
    let udp_checksum = packet.read::<u16>(layers.udp + UDP_CHECKSUM).ok_or(Reason::Truncated as u8)?;
    let udp_checksum = replace_udp(udp_checksum, old.socket, new.socket);
    let wrote = packet.write(layers.ip + TTL, [shorter, checksum])
        && packet.write(layers.ip + address_at, address.words[3])
        && packet.write(layers.udp + port_at, port.0)
        && packet.write(layers.udp + UDP_CHECKSUM, udp_checksum);
    if wrote { Ok(()) } else { Err(Reason::Truncated as u8) }
}
