//! The program of `siplb decap`, frame by frame: what comes out of an encapsulated packet is, byte for byte, the frame that
//! would have come without the encapsulation; every other frame is left as it was, and counted under why.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use lb_common::decap::Outcome;
use lb_user::datapath::decap::{Addresses, Trial};
use siplb_tests::{
    example::{self, from_client, socket, vip, vip6},
    frame::{ARP, Datagram, IPV4, IPV6, Link, MORE_FRAGMENTS, Tag},
    program::Action,
};

const IN_IPV4: u8 = 4;
const IN_IPV6: u8 = 41;
const CUSTOMER: Tag = Tag { protocol: 0x8100, control: 0x0064 };
const SERVICE: Tag = Tag { protocol: 0x88a8, control: 0xe0c8 };

/// The backend's own addresses, one a family.
const OWN: [&str; 2] = ["10.0.0.11", "2001:db8::11"];
const NODE: [&str; 2] = ["10.0.0.1", "2001:db8::1"];

/// An outer header, as a node writes it.
#[derive(Clone)]
struct Outer {
    from: IpAddr,
    to: IpAddr,
    /// IPv4 options.
    options: Vec<u8>,
    /// IPv4 flags and fragment offset.
    fragment: u16,
    /// By how much its length is off.
    length_off: i16,
    /// What the inner packet is announced as; by its family if `None`.
    protocol: Option<u8>,
}

impl Outer {
    fn v4() -> Self {
        Self::between(NODE[0], OWN[0])
    }

    fn v6() -> Self {
        Self::between(NODE[1], OWN[1])
    }

    fn between(from: &str, to: &str) -> Self {
        let ip = |text: &str| text.parse().unwrap();
        Self { from: ip(from), to: ip(to), options: vec![], fragment: 0, length_off: 0, protocol: None }
    }

    /// The frame of `inner` with this header around its packet.
    fn around(&self, inner: &Datagram) -> Vec<u8> {
        let packet = &inner.bytes()[inner.ip_at()..];
        let protocol = self.protocol.unwrap_or(if inner.to.is_ipv4() { IN_IPV4 } else { IN_IPV6 });
        let (ethertype, header) = match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let header_bytes = 20 + self.options.len();
                let total = (header_bytes + packet.len()) as i16 + self.length_off;
                let mut header = vec![0x40 | (header_bytes / 4) as u8, 0];
                header.extend([total as u16, 7, self.fragment].map(u16::to_be_bytes).concat());
                header.extend([64, protocol, 0, 0]);
                header.extend([from.octets(), to.octets()].concat());
                header.extend(&self.options);
                (IPV4, header)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let length = packet.len() as i16 + self.length_off;
                let mut header = vec![0x60, 0, 0, 0];
                header.extend((length as u16).to_be_bytes());
                header.extend([protocol, 64]);
                header.extend([from.octets(), to.octets()].concat());
                (IPV6, header)
            }
            _ => panic!("addresses of two families"),
        };
        inner.link.frame(ethertype, &[header, packet.to_vec()].concat())
    }
}

/// A client's datagram to a VIP, behind these tags.
fn inner(to: SocketAddr, tags: &[Tag]) -> Datagram {
    let from = if to.is_ipv4() { example::client() } else { socket("[2001:db8:1::7]:15062") };
    let datagram = from_client(b"OPTIONS sip:example.com SIP/2.0\r\n\r\n");
    Datagram { link: Link { tags: tags.to_vec(), ..datagram.link }, from, to, ..datagram }
}

/// The loaded program, and what it has counted so far.
struct Machine {
    program: Trial,
    counted: BTreeMap<Outcome, u64>,
}

impl Machine {
    /// With the addresses of [`OWN`], and both VIPs allowed.
    fn new() -> Self {
        let addresses = Addresses {
            outer: OWN.map(|own| own.parse().unwrap()).into(),
            inner: [vip().ip(), vip6().ip()].into(),
        };
        let program = Trial::new(&addresses).expect("the kernel takes the program");
        Self { program, counted: Outcome::ALL.map(|outcome| (outcome, 0)).into() }
    }

    /// Runs a frame, and holds the program to what is to come of it: the frame afterwards, and the outcome.
    #[track_caller]
    fn expect(&mut self, what: &str, frame: &[u8], outcome: Outcome, after: &[u8]) {
        let (action, found) = self.program.run(frame).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(action, Action::Pass as u32, "{what}");
        assert_eq!(found, after, "{what}");
        *self.counted.get_mut(&outcome).unwrap() += 1;
        assert_eq!(self.program.packets().unwrap(), self.counted, "{what}");
    }

    /// A frame that is left as it is.
    #[track_caller]
    fn untouched(&mut self, what: &str, frame: &[u8], outcome: Outcome) {
        self.expect(what, frame, outcome, frame);
    }
}

#[test]
fn every_family_comes_out_of_every_family() {
    let mut machine = Machine::new();
    let ways_in: [&[Tag]; 4] = [&[], &[CUSTOMER], &[SERVICE, CUSTOMER], &[CUSTOMER, CUSTOMER]];
    for outer in [Outer::v4(), Outer::v6()] {
        for vip in [vip(), vip6()] {
            for tags in ways_in {
                let inner = inner(vip, tags);
                let what = format!("{vip} from {}, {} tags", outer.from, tags.len());
                machine.expect(&what, &outer.around(&inner), Outcome::Decapsulated, &inner.bytes());
            }
        }
    }
}

#[test]
fn options_padding_and_fragments_inside_are_no_matter() {
    let mut machine = Machine::new();
    for words in 1..=10 {
        let outer = Outer { options: vec![1; words * 4], ..Outer::v4() };
        for vip in [vip(), vip6()] {
            let inner = inner(vip, &[CUSTOMER]);
            let what = format!("{words} words of options");
            machine.expect(&what, &outer.around(&inner), Outcome::Decapsulated, &inner.bytes());
        }
    }
    let odd = Datagram {
        options: vec![1; 40],
        fragment: MORE_FRAGMENTS,
        payload: vec![b'x'; 1_001],
        trailer: vec![0; 9],
        ..inner(vip(), &[])
    };
    // The trailer is behind the outer packet, and stays.
    let outer = Outer { length_off: -9, ..Outer::v6() };
    machine.expect("an odd inner packet", &outer.around(&odd), Outcome::Decapsulated, &odd.bytes());
    let large = Datagram { payload: vec![b'x'; 8_000], ..inner(vip(), &[]) };
    machine.expect("several pages", &Outer::v4().around(&large), Outcome::Decapsulated, &large.bytes());
}

#[test]
fn what_is_not_for_this_machine_is_left_alone() {
    let mut machine = Machine::new();
    let to_vip = inner(vip(), &[]);
    machine.untouched("not encapsulated", &to_vip.bytes(), Outcome::Passed);
    machine.untouched("ARP", &to_vip.link.frame(ARP, &[0; 28]), Outcome::Passed);
    for (from, to) in [(NODE[0], "10.0.0.12"), (NODE[1], "2001:db8::12"), (NODE[0], "192.0.2.10")] {
        let frame = Outer::between(from, to).around(&to_vip);
        machine.untouched(&format!("outer destination {to}"), &frame, Outcome::Passed);
    }
    for fragment in [MORE_FRAGMENTS, MORE_FRAGMENTS | 8, 8] {
        let frame = Outer { fragment, ..Outer::v4() }.around(&to_vip);
        machine.untouched(&format!("fragment {fragment:#x}"), &frame, Outcome::Passed);
    }
    // A fragment of an outer IPv6 packet, and one with destination options.
    for protocol in [44, 60, 17] {
        let frame = Outer { protocol: Some(protocol), ..Outer::v6() }.around(&to_vip);
        machine.untouched(&format!("next header {protocol}"), &frame, Outcome::Passed);
    }
    let three = inner(vip(), &[SERVICE, CUSTOMER, CUSTOMER]);
    machine.untouched("three tags", &Outer::v4().around(&three), Outcome::Passed);
}

#[test]
fn nothing_comes_out_that_was_not_allowed() {
    let mut machine = Machine::new();
    for to in ["10.0.0.11:5060", "192.0.2.11:5060", "127.0.0.1:22", "[2001:db8::11]:5060", "[::1]:22"] {
        let frame = Outer::v4().around(&inner(socket(to), &[]));
        machine.untouched(to, &frame, Outcome::Refused);
    }
    // Two layers: the inner one is for the machine itself and no VIP.
    let twice = Outer::v4().around(&Datagram { protocol: IN_IPV4, ..inner(socket("10.0.0.11:5060"), &[]) });
    machine.untouched("encapsulated twice", &twice, Outcome::Refused);
}

#[test]
fn contradictions_are_malformed() {
    let mut machine = Machine::new();
    let v4 = inner(vip(), &[]);
    for (outer, protocol) in [(Outer::v4(), IN_IPV6), (Outer::v6(), IN_IPV6)] {
        let frame = Outer { protocol: Some(protocol), ..outer }.around(&v4);
        machine.untouched("IPv4 announced as IPv6", &frame, Outcome::Malformed);
    }
    for outer in [Outer::v4(), Outer::v6()] {
        let frame = Outer { length_off: 1, ..outer.clone() }.around(&v4);
        machine.untouched("outer length beyond the frame", &frame, Outcome::Malformed);
        let frame = Outer { length_off: -1, ..outer }.around(&v4);
        machine.untouched("inner length beyond the outer", &frame, Outcome::Malformed);
    }
    let mut short = Outer::v4().around(&v4);
    short[14] = 0x44;
    machine.untouched("outer header of 16 bytes", &short, Outcome::Malformed);
    let mut short = Outer::v4().around(&v4);
    short[34] = 0x44;
    machine.untouched("inner header of 16 bytes", &short, Outcome::Malformed);
}

#[test]
fn a_frame_that_is_cut_never_comes_out() {
    let mut machine = Machine::new();
    for (outer, to) in [(Outer::v4(), vip()), (Outer::v6(), vip6()), (Outer::v4(), vip6())] {
        let frame = outer.around(&inner(to, &[CUSTOMER]));
        for length in 14..frame.len() {
            let what = format!("{length} of {} bytes", frame.len());
            machine.untouched(&what, &frame[..length], Outcome::Malformed);
        }
    }
}
