//! The packets of checks, against an independent reading of them: `etherparse`'s strict one, and checksums added up here.
use std::net::{IpAddr, SocketAddr};

use etherparse::{
    Icmpv4Type, Icmpv6Type, LinkExtHeader, NetHeaders, PacketBuilder, PacketHeaders, TransportHeader, icmpv4,
    icmpv6,
};
use lb_common::layout::{NextHop, Vlans};
use proptest::prelude::*;

use super::packet::{Addressing, News, read};

const PAYLOADS: [&[u8]; 3] = [b"OPTIONS sip:192.0.2.10 SIP/2.0\r\n\r\n", b"odd", b""];

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The two ends of a check, of each family.
fn ends() -> [(SocketAddr, SocketAddr); 2] {
    [
        (socket("10.0.0.1:40000"), socket("192.0.2.10:5060")),
        (socket("[2001:db8::1]:40000"), socket("[2001:db8::10]:5060")),
    ]
}

/// Every outer header, none included.
fn outers() -> [Option<(IpAddr, IpAddr)>; 3] {
    let pair = |from: &str, to: &str| Some((from.parse().unwrap(), to.parse().unwrap()));
    [None, pair("10.0.0.1", "10.0.0.11"), pair("2001:db8::1", "2001:db8::11")]
}

fn hop(tags: &[(u16, u16)]) -> NextHop {
    let mut vlans = Vlans { count: tags.len() as u32, ..Vlans::default() };
    for (place, (protocol, id)) in tags.iter().enumerate() {
        (vlans.protocols[place], vlans.tags[place]) = (protocol.to_be(), id.to_be());
    }
    NextHop { interface: 3, destination: [2, 0, 0, 0, 0, 2], source: [2, 0, 0, 0, 0, 1], vlans, mtu: 1_500 }
}

/// The ones' complement sum of 16-bit words (RFC 1071).
fn sum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let total = words.sum::<u32>();
    let folded = (total & 0xffff) + (total >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

/// Reads a datagram strictly, and adds up its checksums.
fn expect_datagram(packet: &[u8], from: SocketAddr, to: SocketAddr, payload: &[u8]) {
    let headers = PacketHeaders::from_ip_slice(packet).unwrap();
    let header_bytes = if to.is_ipv4() { 20 } else { 40 };
    let addresses = match headers.net {
        Some(NetHeaders::Ipv4(ref header, _)) => {
            assert_eq!(sum(&[&packet[..20]]), 0xffff, "the header's checksum");
            assert_eq!((header.time_to_live, usize::from(header.total_len)), (2, packet.len()));
            [header.source.to_vec(), header.destination.to_vec()].concat()
        }
        Some(NetHeaders::Ipv6(ref header, _)) => {
            assert_eq!((header.hop_limit, usize::from(header.payload_length)), (2, packet.len() - 40));
            [header.source, header.destination].concat()
        }
        other => panic!("{other:?}"),
    };
    let bytes = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    assert_eq!(addresses, [bytes(from.ip()), bytes(to.ip())].concat());
    let Some(TransportHeader::Udp(udp)) = headers.transport else { panic!("{headers:?}") };
    assert_eq!((udp.source_port, udp.destination_port), (from.port(), to.port()));
    assert_ne!(udp.checksum, 0, "a checksum of zero means none");
    let pseudo = [0, 17, (udp.length >> 8) as u8, udp.length as u8];
    assert_eq!(sum(&[&addresses, &pseudo, &packet[header_bytes..]]), 0xffff, "the checksum of UDP");
    assert_eq!(headers.payload.slice(), payload);
}

#[test]
fn what_is_sent_is_what_a_stranger_reads() {
    let ways_out: [&[(u16, u16)]; 3] = [&[], &[(0x8100, 100)], &[(0x88a8, 200), (0x8100, 100)]];
    for (from, to) in ends() {
        for outer in outers() {
            for tags in ways_out {
                for payload in PAYLOADS {
                    let frame =
                        Addressing { from, to, outer, hop: hop(tags) }.frame(payload).expect("one family");
                    assert_eq!(frame[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
                    let headers = PacketHeaders::from_ethernet_slice(&frame).unwrap();
                    let found: Vec<(u16, u16)> = headers
                        .link_exts
                        .iter()
                        .zip(tags)
                        .map(|(extension, (protocol, _))| match extension {
                            LinkExtHeader::Vlan(vlan) => (*protocol, vlan.vlan_id.value()),
                            other => panic!("{other:?}"),
                        })
                        .collect();
                    assert_eq!(found, tags, "and their ethertypes:");
                    let mut at = 12;
                    for (protocol, _) in tags {
                        assert_eq!(frame[at..at + 2], protocol.to_be_bytes());
                        at += 4;
                    }
                    expect_layers(&frame[at..], outer, to, |packet| {
                        expect_datagram(packet, from, to, payload);
                    });
                }
            }
        }
    }
}

/// From the last ethertype on.
fn expect_layers(bytes: &[u8], outer: Option<(IpAddr, IpAddr)>, to: SocketAddr, inner: impl Fn(&[u8])) {
    let (ethertype, packet) = (u16::from_be_bytes([bytes[0], bytes[1]]), &bytes[2..]);
    let first = outer.map_or(to.ip(), |(_, to)| to);
    assert_eq!(ethertype, if first.is_ipv4() { 0x0800 } else { 0x86dd });
    let protocol = if to.is_ipv4() { 4 } else { 41 };
    match outer {
        None => inner(packet),
        Some((IpAddr::V4(from), IpAddr::V4(to))) => {
            assert_eq!(sum(&[&packet[..20]]), 0xffff, "the outer header's checksum");
            assert_eq!((packet[0], packet[8], packet[9]), (0x45, 64, protocol));
            assert_eq!(packet[2..4], (packet.len() as u16).to_be_bytes());
            assert_eq!(packet[12..20], [from.octets(), to.octets()].concat());
            inner(&packet[20..]);
        }
        Some((IpAddr::V6(from), IpAddr::V6(to))) => {
            assert_eq!((packet[0], packet[6], packet[7]), (0x60, protocol, 64));
            assert_eq!(packet[4..6], (packet.len() as u16 - 40).to_be_bytes());
            assert_eq!(packet[8..40], [from.octets(), to.octets()].concat());
            inner(&packet[40..]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_families_are_refused() {
    let [(v4, _), (_, v6)] = ends();
    assert!(Addressing { from: v4, to: v6, outer: None, hop: hop(&[]) }.frame(b"").is_err());
}

/// A UDP packet the other way.
fn answer(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let builder = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => panic!("two families"),
    };
    let mut packet = Vec::new();
    builder.udp(from.port(), to.port()).write(&mut packet, b"SIP/2.0 200 OK").unwrap();
    packet
}

#[test]
fn an_answer_is_the_vips_and_names_the_check() {
    for (check, vip) in ends() {
        let mut packet = answer(vip, check);
        assert_eq!(read(&packet, vip), Some((check, News::Answer(b"SIP/2.0 200 OK"))));
        packet.extend([0; 6]);
        assert_eq!(read(&packet, vip), Some((check, News::Answer(b"SIP/2.0 200 OK"))), "with padding");
        packet.truncate(packet.len() - 6 - 7);
        assert_eq!(read(&packet, vip), Some((check, News::Answer(b"SIP/2.0"))), "cut off");
        let other = SocketAddr::new(vip.ip(), 5061);
        assert_eq!(read(&answer(other, check), vip), None);
        assert_eq!(read(&answer(SocketAddr::new(check.ip(), vip.port()), check), vip), None);
    }
    let (check, vip) = ends()[0];
    let mut fragment = answer(vip, check);
    fragment[6] = 0x20;
    assert!(read(&fragment, vip).is_some(), "the first fragment");
    fragment[7] = 1;
    assert_eq!(read(&fragment, vip), None, "a later one");
}

/// An ICMPv4 error about a packet.
fn error(kind: Icmpv4Type, quoted: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 11], [10, 0, 0, 1], 64).icmpv4(kind).write(&mut packet, quoted).unwrap();
    packet
}

#[test]
fn an_icmp_error_says_why_a_check_did_not_arrive() {
    let ends = ends();
    let (check, vip) = ends[0];
    let port = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port);
    let protocol = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Protocol);
    let expired = Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit);
    for outer in &outers()[..2] {
        let sent =
            Addressing { from: check, to: vip, outer: *outer, hop: hop(&[]) }.frame(b"OPTIONS").unwrap();
        // RFC 792: the IP header and eight bytes of what it carries, at least.
        let least = 28 + if outer.is_some() { 20 } else { 0 };
        for quoted in [&sent[14..], &sent[14..14 + least]] {
            for (kind, part) in [
                (port.clone(), "nobody listens"),
                (protocol.clone(), "outer header"),
                (expired.clone(), "not an address of the backend"),
            ] {
                let packet = error(kind, quoted);
                let Some((found, News::Undelivered(reason) | News::Refused(reason))) = read(&packet, vip)
                else {
                    panic!("{part}: {:?}", read(&packet, vip))
                };
                assert_eq!(found, check);
                let is_refused = matches!(read(&packet, vip), Some((_, News::Refused(_))));
                assert_eq!(is_refused, part == "nobody listens", "{reason}");
                assert!(reason.contains(part), "{reason}");
            }
        }
        assert_eq!(read(&error(port.clone(), &sent[14..14 + least - 1]), vip), None, "too short a quote");
        assert_eq!(read(&error(port.clone(), &sent[14..]), socket("192.0.2.10:5061")), None);
    }
    let sent = Addressing { from: check, to: vip, outer: None, hop: hop(&[]) }.frame(b"OPTIONS").unwrap();
    for kind in [
        Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FragmentationNeeded {
            next_hop_mtu: 576,
        }),
        Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::FragmentReassemblyTimeExceeded),
    ] {
        assert_eq!(read(&error(kind, &sent[14..]), vip), None);
    }

    let (check, vip) = ends[1];
    let sent = Addressing { from: check, to: vip, outer: None, hop: hop(&[]) }.frame(b"OPTIONS").unwrap();
    let mut packet = Vec::new();
    PacketBuilder::ipv6([1; 16], [2; 16], 64)
        .icmpv6(Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port))
        .write(&mut packet, &sent[14..])
        .unwrap();
    assert_eq!(read(&packet, vip), Some((check, News::Refused("nobody listens on the VIP's port"))));
}

proptest! {
    #[test]
    fn garbage_is_nobodys(
        packet in prop::collection::vec(any::<u8>(), 0..120),
        damage in prop::collection::vec((0_usize..60, any::<u8>()), 0..4),
    ) {
        let (check, vip) = ends()[0];
        prop_assert_eq!(read(&packet, vip), None);
        let mut packet = answer(vip, check);
        for (at, value) in damage {
            if let Some(byte) = packet.get_mut(at) {
                *byte = value;
            }
        }
        read(&packet, vip);
    }
}
