//! IP headers of our own making: in front of a packet in a tunnel, and of an ICMP message.

use crate::frame::{IPV4_BYTES, IPV6_BYTES};
use lb_common::{
    checksum::{Sum, fold},
    layout::Address,
};

/// What such a packet has to live.
const HOPS: u8 = 64;

/// An IPv4 header without options (RFC 791 section 3.1).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct HeaderV4 {
    version_and_service: u16,
    total_bytes: u16,
    id: u16,
    fragment: u16,
    ttl_and_protocol: u16,
    checksum: u16,
    source: u32,
    destination: u32,
}

impl HeaderV4 {
    /// In front of `bytes` bytes; `fragment` and the addresses are in network byte order.
    #[inline(always)]
    pub(super) fn new(bytes: u64, fragment: u16, protocol: u8, source: u32, destination: u32) -> Self {
        let mut header = Self {
            version_and_service: 0x4500_u16.to_be(),
            total_bytes: ((bytes + IPV4_BYTES) as u16).to_be(),
            id: 0,
            fragment,
            ttl_and_protocol: u16::from_be_bytes([HOPS, protocol]).to_be(),
            checksum: 0,
            source,
            destination,
        };
        let sum = header.version_and_service as Sum
            + header.total_bytes as Sum
            + header.fragment as Sum
            + header.ttl_and_protocol as Sum
            + halves(source)
            + halves(destination);
        header.checksum = !fold(sum);
        header
    }
}

/// An IPv6 header (RFC 8200 section 3).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct HeaderV6 {
    version_and_flow: u32,
    payload_bytes: u16,
    next_header_and_hops: u16,
    source: [u32; 4],
    destination: [u32; 4],
}

impl HeaderV6 {
    /// In front of `bytes` bytes; the lower 20 bits of `flow` are its flow label.
    #[inline(always)]
    pub(super) fn new(bytes: u64, flow: u32, protocol: u8, source: Address, destination: Address) -> Self {
        Self {
            version_and_flow: (0x6000_0000 | flow & 0xf_ffff).to_be(),
            payload_bytes: (bytes as u16).to_be(),
            next_header_and_hops: u16::from_be_bytes([protocol, HOPS]).to_be(),
            source: source.words,
            destination: destination.words,
        }
    }
}

/// The sum of a word's two halves.
#[inline(always)]
pub(super) fn halves(word: u32) -> Sum {
    (word & 0xffff) + (word >> 16)
}

const _: () = {
    assert!(size_of::<HeaderV4>() as u64 == IPV4_BYTES);
    assert!(size_of::<HeaderV6>() as u64 == IPV6_BYTES);
};
