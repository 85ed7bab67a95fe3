//! The messages: real-looking SIP of one length, and what floods are made of.
//!
//! A message is made once, here. What changes from frame to frame (number, time, user, addresses) the generator writes over
//! it. Invariant: all frames of one set have the same length, and the trailer is their body.

use std::net::Ipv4Addr;

use lb_common::load::{FRAME_MAX, TEMPLATES, Template, Trailer};

/// Bytes of the header of every message, to the empty line.
const HEADER_BYTES: usize = 600;
/// The domain of all users.
const DOMAIN: &str = "example.com";
/// Stands where a user's name goes.
const USER: &[u8] = b"u0000000";
/// Stands where the digit of a server goes.
const SERVER: &[u8] = b"b0.sip";

const ETHERNET_BYTES: usize = 14;
const IP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;

/// One of the messages that take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// INVITE for a user of our own domain.
    Invite,
    /// REGISTER of a user.
    Register,
    /// BYE in a dialog, whose Route names a server.
    Bye,
    /// What scanners send: OPTIONS for a user at an address.
    Scan,
    /// Bytes that are no SIP.
    Junk,
    /// A later fragment of a datagram whose first one never came.
    Fragment,
}

/// Where frames come from, and the addresses of the wire that they leave by.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// MAC address of the sender.
    pub from_mac: [u8; 6],
    /// MAC address of the receiver.
    pub to_mac: [u8; 6],
    /// Address of the sender.
    pub from: Ipv4Addr,
    /// Address that clients talk to, for the text of messages.
    pub vip: Ipv4Addr,
}

/// A set of messages that take turns.
#[derive(Clone, Debug)]
pub struct Messages {
    pub(crate) templates: Vec<Template>,
    pub(crate) frame_bytes: usize,
    pub(crate) has_ports: bool,
    /// Sum of the IP header's words but for destination, id and checksum.
    sum: u32,
}

impl Messages {
    /// Calls, registrations and calls' ends as a registrar's first stage sees them: half INVITEs, 5 of 16 REGISTERs, 3 of
    /// 16 BYEs.
    pub fn mixed(ends: &Ends) -> Self {
        use Kind::{Bye, Invite, Register};
        const TURNS: [Kind; TEMPLATES as usize] = [
            Invite, Register, Invite, Bye, Invite, Register, Invite, Register, Invite, Bye, Invite, Register,
            Invite, Register, Invite, Bye,
        ];
        Self::new(&TURNS, ends)
    }

    /// One kind alone.
    pub fn all(kind: Kind, ends: &Ends) -> Self {
        Self::new(&[kind; TEMPLATES as usize], ends)
    }

    fn new(turns: &[Kind; TEMPLATES as usize], ends: &Ends) -> Self {
        let templates: Vec<Template> = turns.iter().map(|&kind| template(kind, ends)).collect();
        let frame_bytes = frame_bytes(turns[0]);
        let sum = templates[0].frame[ETHERNET_BYTES..ETHERNET_BYTES + IP_BYTES - 4].chunks(2);
        let sum = sum.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
        Self { templates, frame_bytes, has_ports: turns[0] != Kind::Fragment, sum }
    }

    /// [`lb_common::load::Destination::sum`] of an address.
    pub(crate) fn sum(&self, to: Ipv4Addr) -> u32 {
        let [a, b, c, d] = to.octets();
        self.sum + u32::from(u16::from_be_bytes([a, b])) + u32::from(u16::from_be_bytes([c, d]))
    }

    /// Bytes of each frame, Ethernet header included.
    pub fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }
}

/// The MAC address in what `ip -o link show` says of an interface.
pub fn mac(shown: &str) -> Option<[u8; 6]> {
    let address = shown.split("link/ether ").nth(1)?.split_whitespace().next()?;
    let bytes: Vec<u8> = address.split(':').map_while(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes.try_into().ok()
}

/// Bytes of a frame of a kind.
fn frame_bytes(kind: Kind) -> usize {
    ETHERNET_BYTES + IP_BYTES + UDP_BYTES + header_bytes(kind) + Trailer::BYTES
}

fn header_bytes(kind: Kind) -> usize {
    match kind {
        Kind::Junk | Kind::Fragment => 200,
        _ => HEADER_BYTES,
    }
}

fn template(kind: Kind, ends: &Ends) -> Template {
    let mut frame = headers(kind, ends);
    frame.extend(match kind {
        Kind::Junk | Kind::Fragment => noise(header_bytes(kind)),
        _ => text(kind, ends).into_bytes(),
    });
    frame.resize(frame_bytes(kind), 0);
    let mut places = find(&frame, USER).map(|at| at as u32);
    let user_at = [(); 3].map(|()| places.next().unwrap_or(0));
    let server_at = find(&frame, SERVER).next().map_or(0, |at| at as u32 + 1);
    let mut whole = [0; FRAME_MAX];
    whole[..frame.len()].copy_from_slice(&frame);
    Template { frame: whole, user_at, server_at }
}

/// Ethernet, IPv4 and UDP. Destination, id and the header's checksum are left to the generator; UDP's checksum is 0, which
/// IPv4 permits (RFC 768).
fn headers(kind: Kind, ends: &Ends) -> Vec<u8> {
    let ip_bytes = (frame_bytes(kind) - ETHERNET_BYTES) as u16;
    // In units of 8 bytes: behind a first fragment of an Ethernet's usual 1,500.
    let fragment: u16 = if kind == Kind::Fragment { 185 } else { 0x4000 };
    let mut frame = [ends.to_mac, ends.from_mac].concat();
    frame.extend([0x08, 0x00, 0x45, 0x00]);
    frame.extend(ip_bytes.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, 17, 0, 0]);
    frame.extend(ends.from.octets());
    frame.extend([0; 4]);
    if kind == Kind::Fragment {
        frame.extend([0x5a; UDP_BYTES]);
        return frame;
    }
    frame.extend(5060_u16.to_be_bytes());
    frame.extend(5060_u16.to_be_bytes());
    frame.extend((ip_bytes - IP_BYTES as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame
}

/// Header of a message, padded to [`HEADER_BYTES`].
fn text(kind: Kind, ends: &Ends) -> String {
    let Ends { from, vip, .. } = ends;
    let (method, uri, to) = match kind {
        Kind::Invite => ("INVITE", format!("sip:u0000000@{DOMAIN}"), format!("<sip:u0000000@{DOMAIN}>")),
        Kind::Register => {
            ("REGISTER", format!("sip:{DOMAIN}"), format!("\"A. User\" <sip:u0000000@{DOMAIN}>"))
        }
        Kind::Bye => {
            ("BYE", format!("sip:u0000000@{from}:5070"), format!("<sip:u0000000@{DOMAIN}>;tag=8f3a2c91"))
        }
        _ => ("OPTIONS", format!("sip:u0000000@{vip}"), format!("\"sipvicious\" <sip:u0000000@{vip}>")),
    };
    let route =
        if kind == Kind::Bye { format!("Route: <sip:b0.sip.{DOMAIN};lr>\r\n") } else { String::new() };
    let caller =
        if kind == Kind::Register { to.clone() } else { format!("\"A Caller\" <sip:caller@{DOMAIN}>") };
    let agent = if kind == Kind::Scan { "friendly-scanner" } else { "Telephone/4.2" };
    let start = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:5062;branch=z9hG4bK-d8754z-1c2e7b4f6a90d3e8;rport\r\n\
         {route}Max-Forwards: 70\r\nFrom: {caller};tag=5d2c1f7a\r\nTo: {to}\r\n\
         Call-ID: 9f1d3b7e5c2a4e60@{from}\r\nCSeq: 314 {method}\r\nContact: <sip:device@{from}:5062>\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS, INFO\r\nUser-Agent: {agent}"
    );
    let end =
        format!("\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n", Trailer::BYTES);
    let padding = HEADER_BYTES.saturating_sub(start.len() + end.len() + 1);
    format!("{start} {}{end}", "x".repeat(padding))
}

/// Bytes that are no text, the same in every run.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 | 0x80
    };
    (0..bytes).map(|_| next()).collect()
}

fn find<'a>(frame: &'a [u8], what: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    frame.windows(what.len()).enumerate().filter(move |(_, window)| *window == what).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: Ends = Ends {
        from_mac: [2, 0, 0, 0, 0, 1],
        to_mac: [2, 0, 0, 0, 0, 2],
        from: Ipv4Addr::new(198, 51, 100, 10),
        vip: Ipv4Addr::new(192, 0, 2, 10),
    };

    #[test]
    fn headers_of_all_messages_are_equally_long() {
        for kind in [Kind::Invite, Kind::Register, Kind::Bye, Kind::Scan] {
            let text = text(kind, &ENDS);
            assert_eq!(text.len(), HEADER_BYTES, "{text}");
            assert!(text.ends_with("Content-Length: 32\r\n\r\n"));
        }
    }

    #[test]
    fn users_are_written_wherever_they_stand() {
        let places = |kind| template(kind, &ENDS).user_at.iter().filter(|&&at| at != 0).count();
        assert_eq!([Kind::Invite, Kind::Register, Kind::Bye, Kind::Scan].map(places), [2; 4]);
        assert_eq!(places(Kind::Junk), 0);
    }

    #[test]
    fn only_messages_of_dialogs_name_a_server() {
        let template = |kind| template(kind, &ENDS);
        assert_eq!(template(Kind::Invite).server_at, 0);
        let bye = template(Kind::Bye);
        let at = bye.server_at as usize;
        assert_eq!(&bye.frame[at - 1..at + 5], b"b0.sip");
    }

    #[test]
    fn a_mac_address_is_read_from_what_ip_says() {
        let shown =
            "2: c0@if2: <BROADCAST,UP> mtu 1500\\    link/ether 0a:1b:2c:3d:4e:5f brd ff:ff:ff:ff:ff:ff";
        assert_eq!(mac(shown), Some([0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]));
        assert_eq!(mac("1: lo: <LOOPBACK> link/loopback 00:00"), None);
    }

    #[test]
    fn the_sum_is_that_of_the_ip_header() {
        let messages = Messages::mixed(&ENDS);
        let to = Ipv4Addr::new(10, 0, 0, 11);
        let mut header = messages.templates[0].frame[ETHERNET_BYTES..ETHERNET_BYTES + IP_BYTES].to_vec();
        header[16..].copy_from_slice(&to.octets());
        let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        assert_eq!(messages.sum(to), words.sum::<u32>());
    }
}
