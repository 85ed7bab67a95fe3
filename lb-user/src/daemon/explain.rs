//! `siplb explain`: what the program says of a packet, in the operator's words. Called by the daemon, for its live
//! tables, and by the command line, for those of a file.
//!
//! The program tells where in the packet the key's text lies, and what it hashed to; the text itself is brought to its
//! canonical form here, by the scanner that the program was built from.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use lb_common::decide::PassedOver;
use lb_common::layout::{Course, KeyKind, KeySource, Rules, Trace};
use lb_common::reason::Reason;
use lb_common::sip::{Bytes, Message};

use crate::control::Error;
use crate::control::api::{Explanation, Packets, Transaction};
use crate::control::error::Kind;
use crate::datapath::{Explained, Explainer, Sizes};
use crate::pool::Plan;
use crate::pool::lookup::{canonical_user, printable};

/// What messages without packets come from: an address of RFC 5737 or RFC 3849, on the SIP port.
const CLIENT_V4: [u8; 4] = [198, 51, 100, 1];
const CLIENT_V6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const CLIENT_PORT: u16 = 5060;

/// Runs packets through an instance of the program that shares the live tables.
///
/// # Errors
/// When the program can't be loaded, or doesn't take a packet.
pub fn live(
    pin_dir: &Path,
    sizes: &Sizes,
    plan: &Plan,
    packets: &Packets,
) -> Result<Vec<Explanation>, Error> {
    let explainer = Explainer::live(pin_dir, sizes).map_err(Error::failed)?;
    all(explainer, plan, packets)
}

/// Runs packets through an instance of the program that has the tables of a plan, and nothing else.
///
/// # Errors
/// When the program can't be loaded, or doesn't take a packet.
pub fn private(sizes: &Sizes, plan: &Plan, packets: &Packets) -> Result<Vec<Explanation>, Error> {
    let explainer = Explainer::private(sizes, &plan.image).map_err(Error::failed)?;
    all(explainer, plan, packets)
}

fn all(mut explainer: Explainer, plan: &Plan, packets: &Packets) -> Result<Vec<Explanation>, Error> {
    let frames: Vec<Vec<u8>> = match packets {
        Packets::Frames(frames) => frames.iter().map(|frame| frame.0.clone()).collect(),
        Packets::Messages(messages) => {
            let vip = plan.vips.first().map(|(socket, _)| *socket).ok_or_else(|| {
                Error::new(Kind::Bad, "there is no VIP to send a message to", "configure one, or give a pcap")
            })?;
            messages.iter().map(|message| frame(vip, &message.0)).collect()
        }
    };
    let explain = |(index, frame): (usize, &Vec<u8>)| {
        let explained = explainer.run(frame, None).map_err(|error| {
            let mend = "the kernel runs frames of 14 to some 3,500 bytes; leave others out";
            Error::new(Kind::Bad, format!("packet {index}, of {} bytes: {error}", frame.len()), mend)
        })?;
        Ok(explanation(index, frame, &explained, plan))
    };
    frames.iter().enumerate().map(explain).collect()
}

/// A frame that brings a message to a VIP from an example client.
fn frame(vip: SocketAddr, message: &[u8]) -> Vec<u8> {
    let [client, node] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    let ethernet = PacketBuilder::ethernet2(client, node);
    let datagram = match vip.ip() {
        IpAddr::V4(vip) => ethernet.ipv4(CLIENT_V4, vip.octets(), 64),
        IpAddr::V6(vip) => ethernet.ipv6(CLIENT_V6, vip.octets(), 64),
    };
    // Longer than a datagram can be; what is cut off is nothing that the program would read.
    let message = &message[..message.len().min(usize::from(u16::MAX) - 64)];
    let builder = datagram.udp(CLIENT_PORT, vip.port());
    let mut frame = Vec::with_capacity(builder.size(message.len()));
    builder.write(&mut frame, message).expect("a vector takes everything, and the length is checked");
    frame
}

fn explanation(index: usize, frame: &[u8], explained: &Explained, plan: &Plan) -> Explanation {
    let Explained { trace, action, .. } = explained;
    let reason = Reason::from_number(trace.reason);
    let source = KeySource::ALL.get(usize::from(trace.source)).copied().unwrap_or_default();
    let payload = frame.get(usize::from(trace.payload)..).filter(|_| trace.payload != 0).unwrap_or_default();
    let method = payload.get(usize::from(trace.method_at)..usize::from(trace.method_end)).unwrap_or_default();
    let rules = plan.image.vips.get(&trace.vip).map(|vip| &vip.rules);
    Explanation {
        index,
        verdict: reason.map_or("unknown", |reason| reason.verdict().name()).to_owned(),
        xdp: xdp(*action).to_owned(),
        reason: reason.map_or_else(|| format!("reason-{}", trace.reason), |reason| reason.name().to_owned()),
        method: Some(printable(method)).filter(|method| !method.is_empty()),
        key_source: source.name().to_owned(),
        key: key(source, trace, frame, payload, rules),
        slot: (trace.hash != 0).then_some(trace.slot),
        group: plan
            .group(trace.group)
            .map(|(_, group)| group.name.clone())
            .or_else(|| plan.groups_of_backends.get(&trace.backend).cloned()),
        backend: plan.backends.get(&trace.backend).cloned(),
        passed_over: PassedOver(trace.passed).texts().map(str::to_owned).collect(),
        transaction: transaction(trace),
    }
}

/// What a change in progress makes of it.
fn transaction(trace: &Trace) -> Option<Transaction> {
    let course = Course::ALL.get(usize::from(trace.course)).copied().unwrap_or_default();
    (course != Course::None).then(|| Transaction {
        course: course.name().to_owned(),
        id: (trace.transaction != 0).then(|| format!("{:016x}", trace.transaction)),
    })
}

/// The key in its canonical form.
fn key(
    source: KeySource,
    trace: &Trace,
    frame: &[u8],
    payload: &[u8],
    rules: Option<&Rules>,
) -> Option<String> {
    let (at, end) = (u64::from(trace.key_at), u64::from(trace.key_end));
    let message = Bytes::new(payload);
    match source {
        KeySource::None | KeySource::VipPort | KeySource::Fragment | KeySource::Icmp => None,
        KeySource::Route | KeySource::RequestUriHost | KeySource::Via => {
            Some(host(message, at, end) + &port(message, end))
        }
        KeySource::Source => sender(frame).map(|sender| sender.to_string()),
        KeySource::CallId => Some(printable(message.text(at, end))),
        KeySource::RequestUri | KeySource::To | KeySource::From => {
            let has_host = message.text(end, end + 1) == b"@";
            let is_tel = message.text(at.saturating_sub(4), at).eq_ignore_ascii_case(b"tel:");
            if !has_host && !is_tel {
                // The host of a REGISTER's To, which has no user.
                return Some(host(message, at, end));
            }
            let user = canonical_user(message, at, end, rules.map_or(0, |rules| rules.number_tail));
            let is_aor = rules.is_some_and(|rules| rules.key == KeyKind::Aor as u8);
            if !is_aor || is_tel {
                return Some(user);
            }
            Some(format!("{user}@{}", host(message, end + 1, message.host_end(end + 1))))
        }
    }
}

/// A host as it counts: without case and trailing dot.
fn host(message: Bytes<'_>, at: u64, end: u64) -> String {
    let host = printable(message.text(at, end)).to_ascii_lowercase();
    host.strip_suffix('.').unwrap_or(&host).to_owned()
}

/// The port behind a host, with its colon, as it is written; nothing where there is none.
fn port(message: Bytes<'_>, at: u64) -> String {
    let behind = message.text(at, message.len());
    let digits = behind.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    if behind.first() == Some(&b':') { printable(&behind[..=digits]) } else { String::new() }
}

/// Where a frame came from.
fn sender(frame: &[u8]) -> Option<SocketAddr> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let address = match packet.net? {
        NetSlice::Ipv4(ip) => IpAddr::from(ip.header().source_addr()),
        NetSlice::Ipv6(ip) => IpAddr::from(ip.header().source_addr()),
        NetSlice::Arp(_) => return None,
    };
    match packet.transport? {
        TransportSlice::Udp(udp) => Some(SocketAddr::new(address, udp.source_port())),
        _ => None,
    }
}

/// The names of the XDP return codes.
fn xdp(action: u32) -> &'static str {
    match action {
        0 => "aborted",
        1 => "drop",
        2 => "pass",
        3 => "tx",
        4 => "redirect",
        _ => "unknown",
    }
}
