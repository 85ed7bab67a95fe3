//! The packets, and which program each is for.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use etherparse::PacketBuilder;
use lb_common::{
    layout::{KeyKind, Mode, Rules},
    slot::SLOTS,
};
use lb_user::datapath::{
    Image, Sizes,
    image::{Backend, Group, Name, NamePort, Named, Vip},
};

use crate::lab::{Lab, NEIGHBOUR};

/// A program of the benchmark's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Empty,
    Swap,
    Parse,
    L4,
    Siplb,
    /// The same, from the object for kernels before 6.9.
    BpfLoop,
}

impl Program {
    pub(crate) const ALL: [Self; 6] =
        [Self::Empty, Self::Swap, Self::Parse, Self::L4, Self::Siplb, Self::BpfLoop];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Swap => "swap",
            Self::Parse => "parse",
            Self::L4 => "l4",
            Self::Siplb => "siplb",
            Self::BpfLoop => "siplb by bpf_loop",
        }
    }

    /// Its name in the object.
    pub(crate) const fn entry(self) -> &'static str {
        match self {
            Self::BpfLoop => Self::Siplb.name(),
            _ => self.name(),
        }
    }

    /// The object's file, where `cargo xtask build` leaves it.
    pub(crate) const fn object(self) -> &'static str {
        match self {
            Self::BpfLoop => "bench-bpf-loop.bpf.o",
            _ => "bench.bpf.o",
        }
    }

    /// Is a frame, after all runs, what it was behind its MAC addresses? If not, the runs were not alike.
    pub(crate) fn leaves_alone(self, before: &[u8], after: &[u8]) -> bool {
        before[12..] == after[12..]
    }
}

/// One row of the result.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) frame: Vec<u8>,
    /// What the program must return.
    pub(crate) action: u32,
    /// The aim: at most so many times the plain layer 4 balancer, net of the empty program.
    pub(crate) aim: Option<f64>,
}

pub(crate) const SIZES: Sizes = Sizes {
    vips: 256,
    pools: 16,
    groups: 4_096,
    backends: 4_096,
    names: 32_768,
    fragments: 16_384,
    transactions: 131_072,
    fingerprint: 0,
};

const VIP: &str = "192.0.2.10:5060";
const VIP_V6: &str = "[2001:db8::10]:5060";
const VIP_DSR: &str = "192.0.2.11:5060";
const VIP_IPIP: &str = "192.0.2.12:5060";
const CLIENT_V6: &str = "[2001:db8:1::1]:5062";
const BACKEND: &str = "10.0.0.11:5070";
const CLIENT: &str = "198.51.100.1:5062";
const SEED: u64 = 0x5eed;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;

/// A VIP for each family and way to forward, each with one group of one backend, and a next hop from user space. The first
/// knows its backend by an alias.
pub(crate) fn image(lab: &Lab) -> Image {
    let rules = Rules { key: KeyKind::User as u8, ..Rules::with_domains(SEED, &["example.com"]) };
    let hop = lab.next_hop();
    let mut image = Image::default();
    for (id, vip, backend, mode) in [
        (1, VIP, BACKEND, Mode::Nat),
        (2, VIP_V6, "[2001:db8::11]:5070", Mode::Nat),
        (3, VIP_DSR, "10.0.0.13:5060", Mode::Dsr),
        (4, VIP_IPIP, "10.0.0.14:5060", Mode::Ipip),
    ] {
        let name = |port| Name { host: "b1.sip.example.com".into(), port };
        let names =
            [(name(NamePort::None), Named::Backend(id)), (name(NamePort::Any), Named::Backend(id))].into();
        let table = Arc::new([id as u16; SLOTS]);
        image.vips.insert(id, Vip { socket: socket(vip), rules, table: Some(id), change: None, names });
        image.tables.insert(id, table);
        image.groups.insert(id, Group::served_by(Some(id)));
        let tunnel_source = [172, 16, 0, 0].into();
        let entry = Backend { mode, tunnel_source, ..Backend::new(socket(backend), Some(id), Some(hop)) };
        image.backends.insert(id, entry);
    }
    image
}

/// Every row, in the order of the report.
pub(crate) fn all() -> Vec<Case> {
    let invite = |user: &str, length| frame(CLIENT, VIP, &invite(&format!("sip:{user}@example.com"), length));
    let user_10 = "aliceliddl";
    let user_32 = "alice.liddell.of.wonderland-0001";
    let siplb = Program::Siplb;
    let own = self::invite(&format!("sip:{user_10}@example.com"), 600);
    let case = |name, program, frame, action, aim| Case { name, program, frame, action, aim };
    vec![
        case("empty program", Program::Empty, invite(user_10, 600), XDP_TX, None),
        case("MAC swap", Program::Swap, invite(user_10, 600), XDP_TX, None),
        case("header parse, counted", Program::Parse, frame(CLIENT, "192.0.2.99:53", OTHER), XDP_PASS, None),
        case("plain L4 balancer", Program::L4, invite(user_10, 600), XDP_TX, None),
        case(
            "INVITE, own domain, user 10, 600 bytes",
            Program::Siplb,
            invite(user_10, 600),
            XDP_TX,
            Some(1.3),
        ),
        case(
            "INVITE, own domain, user 32, 600 bytes",
            Program::Siplb,
            invite(user_32, 600),
            XDP_TX,
            Some(1.3),
        ),
        case(
            "INVITE, own domain, user 10, 1400 bytes",
            Program::Siplb,
            invite(user_10, 1_400),
            XDP_TX,
            Some(1.3),
        ),
        case("INVITE, number +12015550123", Program::Siplb, invite("+12015550123", 600), XDP_TX, None),
        case("INVITE, percent-escaped user", Program::Siplb, invite("%61liceliddl", 600), XDP_TX, None),
        case("INVITE read to the empty line, 600 bytes", siplb, foreign_invite(600), XDP_TX, Some(3.5)),
        case("INVITE read to its end, no user, 600 bytes", siplb, userless_invite(600), XDP_TX, None),
        case("BYE by Route, Route at 200", siplb, frame(CLIENT, VIP, &bye(200)), XDP_TX, None),
        case("response by Via", siplb, frame(CLIENT, VIP, NAMED_OK), XDP_TX, None),
        case("first fragment of an INVITE", siplb, fragments().0, XDP_TX, None),
        case("later fragment", siplb, fragments().1, XDP_TX, None),
        case("INVITE, own domain, IPv6", siplb, frame(CLIENT_V6, VIP_V6, &own), XDP_TX, None),
        case("INVITE, own domain, dsr", siplb, frame(CLIENT, VIP_DSR, &own), XDP_TX, None),
        case("INVITE, own domain, ipip", siplb, frame(CLIENT, VIP_IPIP, &own), XDP_TX, None),
        case("REGISTER, To at 150", Program::Siplb, register(150), XDP_TX, None),
        case("REGISTER, To at 350", Program::Siplb, register(350), XDP_TX, Some(3.0)),
        case("REGISTER, To at 900", Program::Siplb, register(900), XDP_TX, Some(6.0)),
        case("reply of a backend", Program::Siplb, frame(BACKEND, CLIENT, OK), XDP_TX, Some(1.1)),
        case("foreign UDP", Program::Siplb, frame(CLIENT, "192.0.2.99:53", OTHER), XDP_PASS, None),
        case("foreign TCP", Program::Siplb, tcp(), XDP_PASS, None),
        case(
            "INVITE, own domain, user 10, by bpf_loop",
            Program::BpfLoop,
            invite(user_10, 600),
            XDP_TX,
            None,
        ),
        case("INVITE to the empty line, by bpf_loop", Program::BpfLoop, userless_invite(600), XDP_TX, None),
        case("REGISTER, To at 350, by bpf_loop", Program::BpfLoop, register(350), XDP_TX, None),
        case("REGISTER, To at 900, by bpf_loop", Program::BpfLoop, register(900), XDP_TX, None),
    ]
}

const OK: &[u8] =
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.1:5062;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n";

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// The addresses of a frame's two ends, in IPv4.
fn ends(from: &str, to: &str) -> ([u8; 4], u16, [u8; 4], u16) {
    let v4 = |socket: SocketAddr| match socket {
        SocketAddr::V4(v4) => (v4.ip().octets(), v4.port()),
        SocketAddr::V6(_) => panic!("IPv4 only"),
    };
    let ((from, from_port), (to, to_port)) = (v4(socket(from)), v4(socket(to)));
    (from, from_port, to, to_port)
}

fn frame(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(NEIGHBOUR, [2, 0, 0, 0, 0, 1]);
    let (from, to) = (socket(from), socket(to));
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        _ => panic!("addresses of two families"),
    };
    let mut frame = Vec::new();
    ip.udp(from.port(), to.port()).write(&mut frame, payload).expect("memory takes every frame");
    frame
}

/// The two fragments of an INVITE whose header is 2,000 bytes long.
fn fragments() -> (Vec<u8>, Vec<u8>) {
    const FIRST: usize = 1_480;
    let whole = frame(CLIENT, VIP, &invite("sip:aliceliddl@example.com", 2_000));
    let (link, header) = (&whole[..14], &whole[14..34]);
    let part = |bytes: &[u8], field: u16| {
        let mut header = header.to_vec();
        header[2..4].copy_from_slice(&(20 + bytes.len() as u16).to_be_bytes());
        header[4..8].copy_from_slice(&[0x12, 0x34, (field >> 8) as u8, field as u8]);
        // The checksum is not looked at on the way, only changed.
        [link, &header, bytes].concat()
    };
    let (first, later) = whole[34..].split_at(FIRST);
    (part(first, 0x2000), part(later, (FIRST / 8) as u16))
}

fn tcp() -> Vec<u8> {
    let (from, from_port, to, to_port) = ends(CLIENT, VIP);
    let builder = PacketBuilder::ethernet2(NEIGHBOUR, [2, 0, 0, 0, 0, 1])
        .ipv4(from, to, 64)
        .tcp(from_port, to_port, 1, 1_024);
    let mut frame = Vec::new();
    builder.write(&mut frame, OTHER).expect("memory takes every frame");
    frame
}

/// What is no SIP, and long enough for what puts headers back.
const OTHER: &[u8] = &[b'x'; 40];

const NAMED_OK: &[u8] =
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP b1.sip.example.com;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n";

/// A BYE whose Route line begins at byte `at`.
fn bye(at: usize) -> Vec<u8> {
    let first =
        "BYE sip:x7f3a9@198.51.100.9:49152 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5062;branch=z9hG4bK7\r\n";
    let text = format!(
        "{first}{}Route: <sip:b1.sip.example.com;lr>\r\nFrom: <sip:bob@example.com>;tag=1\r\n\
         To: <sip:aliceliddl@example.com>;tag=2\r\nCall-ID: a84b4c76e66710@198.51.100.1\r\nContent-Length: 0\r\n\r\n",
        filler(at - first.len())
    );
    text.into_bytes()
}

/// An INVITE to a domain that is not ours: it names no backend, which is known at its empty line.
fn foreign_invite(length: usize) -> Vec<u8> {
    frame(CLIENT, VIP, &invite("sip:aliceliddl@example.org", length))
}

/// Headers as a telephone sends them, so that a header of `length` bytes has lines of common lengths.
fn filler(length: usize) -> String {
    const LINES: [&str; 6] = [
        "Max-Forwards: 70\r\n",
        "Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS, UPDATE, PRACK\r\n",
        "Supported: replaces, timer, path, outbound\r\n",
        "User-Agent: Example Telephone 1.2.3 (build 456)\r\n",
        "Contact: <sip:aliceliddl@198.51.100.1:5062;transport=udp>\r\n",
        "Accept: application/sdp\r\n",
    ];
    let mut text = String::new();
    for line in LINES.iter().cycle() {
        if text.len() + line.len() + "X: \r\n".len() > length {
            break;
        }
        text += line;
    }
    let rest = length - text.len();
    text += &format!("X: {}\r\n", "x".repeat(rest - "X: \r\n".len()));
    text
}

/// An INVITE whose header, with its empty line, is `length` bytes.
fn invite(uri: &str, length: usize) -> Vec<u8> {
    let first = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5062;branch=z9hG4bK776asdhds;rport\r\n"
    );
    let last = format!(
        "From: \"Bob\" <sip:bob@example.com>;tag=1928301774\r\nTo: <{uri}>\r\nCall-ID: a84b4c76e66710@198.51.100.1\r\n\
         CSeq: 314159 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    format!("{first}{}{last}", filler(length - first.len() - last.len())).into_bytes()
}

/// An INVITE without anything to go by but its source, which is known at the empty line only.
fn userless_invite(length: usize) -> Vec<u8> {
    let first =
        "INVITE sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5062;branch=z9hG4bK776asdhds\r\n";
    let text = format!("{first}{}\r\n", filler(length - first.len() - 2));
    frame(CLIENT, VIP, text.as_bytes())
}

/// A REGISTER whose To line begins at byte `at`.
fn register(at: usize) -> Vec<u8> {
    let first = "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5062;branch=z9hG4bK7\r\n";
    let text = format!(
        "{first}{}To: \"Alice\" <sip:aliceliddl@example.com>\r\nFrom: <sip:aliceliddl@example.com>;tag=1\r\n\
         Call-ID: a84b4c76e66710@198.51.100.1\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n",
        filler(at - first.len())
    );
    frame(CLIENT, VIP, text.as_bytes())
}
