//! Which packets a listener gets, as a program of the kernel's classic packet filter (bpf(4)): UDP from the VIP, and ICMP
//! errors. It spares the daemon a look at everything that the network stack receives; what passes is still read with
//! care. Offsets count from the IP header.
use std::net::{Ipv4Addr, Ipv6Addr};

use libc::{
    BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MSH,
    BPF_RET, BPF_W,
};
use socket2::SockFilter;

const UDP: u32 = 17;
const ICMP: u32 = 1;
const ICMPV6: u32 = 58;
/// ICMP types (RFC 792): destination unreachable, time exceeded.
const ICMP_ERRORS: [u32; 2] = [3, 11];
/// ICMPv6 types (RFC 4443): destination unreachable, time exceeded, parameter problem.
const ICMPV6_ERRORS: [u32; 3] = [1, 3, 4];
const FRAGMENT_OFFSET: u32 = 0x1fff;

/// A step whose jumps are not known yet.
#[derive(Clone, Copy)]
enum Step {
    /// Loads bytes.
    Load { mode: u32, size: u32, at: u32 },
    /// Loads the length of the IPv4 header into the index.
    HeaderLength,
    /// Ends with "no" unless the loaded value is this.
    Require(u32),
    /// Ends with "no" if the loaded value has one of these bits.
    Forbid(u32),
    /// Skips as many steps unless the loaded value is this.
    Unless(u32, u8),
    /// Ends with "yes" if the loaded value is this.
    Accept(u32),
    /// Ends with "no".
    Refuse,
}

const fn absolute(size: u32, at: u32) -> Step {
    Step::Load { mode: BPF_ABS, size, at }
}

const fn behind_header(size: u32, at: u32) -> Step {
    Step::Load { mode: BPF_IND, size, at }
}

/// For an IPv4 VIP.
pub(super) fn ipv4(vip: Ipv4Addr, port: u16) -> Vec<SockFilter> {
    let udp = [
        absolute(BPF_W, 12),
        Step::Require(u32::from(vip)),
        behind_header(BPF_H, 0),
        Step::Accept(u32::from(port)),
        Step::Refuse,
    ];
    let mut steps = vec![
        absolute(BPF_H, 6),
        Step::Forbid(FRAGMENT_OFFSET),
        Step::HeaderLength,
        absolute(BPF_B, 9),
        Step::Unless(UDP, udp.len() as u8),
    ];
    steps.extend(udp);
    steps.extend([Step::Require(ICMP), behind_header(BPF_B, 0)]);
    steps.extend(ICMP_ERRORS.map(Step::Accept));
    program(&steps)
}

/// For an IPv6 VIP. Extension headers are not followed: no SIP server writes any.
pub(super) fn ipv6(vip: Ipv6Addr, port: u16) -> Vec<SockFilter> {
    let mut udp = Vec::new();
    for (place, word) in vip.octets().chunks_exact(4).enumerate() {
        let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        udp.extend([absolute(BPF_W, 8 + 4 * place as u32), Step::Require(word)]);
    }
    udp.extend([absolute(BPF_H, 40), Step::Accept(u32::from(port)), Step::Refuse]);
    let mut steps = vec![absolute(BPF_B, 6), Step::Unless(UDP, udp.len() as u8)];
    steps.extend(udp);
    steps.extend([Step::Require(ICMPV6), absolute(BPF_B, 40)]);
    steps.extend(ICMPV6_ERRORS.map(Step::Accept));
    program(&steps)
}

/// The steps as instructions, with "no" and "yes" behind them.
fn program(steps: &[Step]) -> Vec<SockFilter> {
    let instruction = |(place, step): (usize, &Step)| {
        let no = (steps.len() - place - 1) as u8;
        let yes = no + 1;
        let (code, if_true, if_false, value) = match *step {
            Step::Load { mode, size, at } => (BPF_LD | mode | size, 0, 0, at),
            Step::HeaderLength => (BPF_LDX | BPF_MSH | BPF_B, 0, 0, 0),
            Step::Require(value) => (BPF_JMP | BPF_JEQ | BPF_K, 0, no, value),
            Step::Forbid(bits) => (BPF_JMP | BPF_JSET | BPF_K, no, 0, bits),
            Step::Unless(value, steps) => (BPF_JMP | BPF_JEQ | BPF_K, 0, steps, value),
            Step::Accept(value) => (BPF_JMP | BPF_JEQ | BPF_K, yes, 0, value),
            Step::Refuse => (BPF_JMP | BPF_JA, 0, 0, u32::from(no)),
        };
        SockFilter::new(code as u16, if_true, if_false, value)
    };
    let mut program: Vec<SockFilter> = steps.iter().enumerate().map(instruction).collect();
    program.extend([0, u32::MAX].map(|bytes| SockFilter::new((BPF_RET | BPF_K) as u16, 0, 0, bytes)));
    program
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, os::unix::net::UnixDatagram};

    use etherparse::PacketBuilder;
    use proptest::prelude::*;
    use socket2::SockRef;

    use super::*;

    const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
    const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
    const PORT: u16 = 5060;

    /// The kernel's own verdict: a filter is as good on a local socket, and takes no root there.
    fn passes(filter: &[SockFilter], packet: &[u8]) -> bool {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        SockRef::from(&receiver).attach_filter(filter).unwrap();
        receiver.set_nonblocking(true).unwrap();
        let mut buffer = [0; 2048];
        match (sender.send(packet), receiver.recv(&mut buffer)) {
            (_, Ok(length)) => {
                assert_eq!(&buffer[..length], packet, "whole");
                true
            }
            (_, Err(error)) if error.kind() == ErrorKind::WouldBlock => false,
            other => panic!("{other:?}"),
        }
    }

    fn udp(from: Ipv4Addr, port: u16) -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(from.octets(), [10, 0, 0, 1], 64).udp(port, 40_000);
        builder.write(&mut packet, b"SIP/2.0 200 OK").unwrap();
        packet
    }

    fn udp6(from: Ipv6Addr, port: u16) -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv6(from.octets(), VIP6.octets(), 64).udp(port, 40_000);
        builder.write(&mut packet, b"SIP/2.0 200 OK").unwrap();
        packet
    }

    #[test]
    fn only_the_vips_own_datagrams_pass() {
        let filter = ipv4(VIP, PORT);
        assert!(passes(&filter, &udp(VIP, PORT)));
        assert!(!passes(&filter, &udp(VIP, PORT + 1)));
        assert!(!passes(&filter, &udp(Ipv4Addr::new(192, 0, 2, 11), PORT)));
        let mut with_options = udp(VIP, PORT);
        with_options[0] = 0x46;
        with_options.splice(20..20, [1; 4]);
        assert!(passes(&filter, &with_options));
        let mut fragment = udp(VIP, PORT);
        fragment[6] = 0x20;
        assert!(passes(&filter, &fragment), "the first fragment");
        fragment[7] = 1;
        assert!(!passes(&filter, &fragment), "a later one");

        let filter = ipv6(VIP6, PORT);
        assert!(passes(&filter, &udp6(VIP6, PORT)));
        assert!(!passes(&filter, &udp6(VIP6, PORT - 1)));
        for word in 0..4 {
            let mut octets = VIP6.octets();
            octets[4 * word + 3] ^= 1;
            assert!(!passes(&filter, &udp6(octets.into(), PORT)), "word {word}");
        }
    }

    #[test]
    fn icmp_errors_pass_and_nothing_else_of_icmp() {
        let (filter, filter6) = (ipv4(VIP, PORT), ipv6(VIP6, PORT));
        for kind in 0..=255 {
            let (mut packet, mut packet6) = (udp(VIP, PORT), udp6(VIP6, PORT));
            (packet[9], packet[20]) = (1, kind);
            (packet6[6], packet6[40]) = (58, kind);
            assert_eq!(passes(&filter, &packet), [3, 11].contains(&kind), "ICMP type {kind}");
            assert_eq!(passes(&filter6, &packet6), [1, 3, 4].contains(&kind), "ICMPv6 type {kind}");
        }
        let mut tcp = udp(VIP, PORT);
        tcp[9] = 6;
        assert!(!passes(&filter, &tcp));
    }

    proptest! {
        #[test]
        fn garbage_is_no_trouble(packet in prop::collection::vec(any::<u8>(), 1..64)) {
            passes(&ipv4(VIP, PORT), &packet);
            passes(&ipv6(VIP6, PORT), &packet);
        }
    }
}
