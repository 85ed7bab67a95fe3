//! The frames, and what is drawn for each.

use etherparse::PacketBuilder;
use lb_common::traffic::Plan;

use crate::{
    instance::{BACKENDS_FROM, Shape, VIPS_FROM},
    lab::NEIGHBOUR,
};

/// The users' letters before any are drawn: behind two that stay.
const LETTERS: &str = "aaaaaaaa";
const SIP_PORT: u16 = 5060;
const CLIENTS_FROM: [u8; 4] = [100, 64, 0, 1];
/// Addresses of clients; each has 60,000 ports.
const CLIENTS: u32 = 1 << 20;
const SOURCE_AT: u16 = 26;
const DESTINATION_AT: u16 = 30;
const SOURCE_PORT_AT: u16 = 34;
const DESTINATION_PORT_AT: u16 = 36;
const PAYLOAD_AT: u16 = 42;
/// Bytes of an INVITE's header, and where REGISTER has its To: as the benchmark of the datapath has them.
const INVITE_BYTES: usize = 600;
const TO_AT: usize = 350;

/// What comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Message {
    Invite,
    Register,
    Reply,
}

impl Message {
    pub(crate) const ALL: [Self; 3] = [Self::Invite, Self::Register, Self::Reply];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Invite => "INVITE, own domain, 600 bytes",
            Self::Register => "REGISTER, To at 350",
            Self::Reply => "reply of a backend",
        }
    }

    /// Does it have a user that decides?
    pub(crate) fn has_user(self) -> bool {
        self != Self::Reply
    }

    fn text(self) -> String {
        let user = format!("us{LETTERS}");
        let via = "Via: SIP/2.0/UDP 100.64.0.1:5062;branch=z9hG4bK776asdhds;rport\r\n";
        match self {
            Self::Invite => {
                let first = format!("INVITE sip:{user}@example.com SIP/2.0\r\n{via}");
                let last = "From: \"Bob\" <sip:bob@example.com>;tag=1928301774\r\nTo: <sip:alice@example.com>\r\n\
                            Call-ID: a84b4c76e66710@100.64.0.1\r\nCSeq: 314159 INVITE\r\nContent-Length: 0\r\n\r\n";
                format!("{first}{}{last}", filler(INVITE_BYTES - first.len() - last.len()))
            }
            Self::Register => {
                let first = format!("REGISTER sip:example.com SIP/2.0\r\n{via}");
                format!(
                    "{first}{}To: \"Alice\" <sip:{user}@example.com>\r\nFrom: <sip:alice@example.com>;tag=1\r\n\
                     Call-ID: a84b4c76e66710@100.64.0.1\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n",
                    filler(TO_AT - first.len())
                )
            }
            Self::Reply => format!(
                "SIP/2.0 200 OK\r\n{via}From: <sip:{user}@example.com>;tag=1\r\nTo: <sip:alice@example.com>;tag=2\r\n\
                 Call-ID: a84b4c76e66710@100.64.0.1\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
            ),
        }
    }
}

/// How packets follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// The same one again and again.
    Repeated,
    /// Another user, VIP or backend, and client each time.
    Random,
    /// The same, and everything else was put out of the nearer caches before each.
    Cold,
}

impl Order {
    pub(crate) const ALL: [Self; 3] = [Self::Repeated, Self::Random, Self::Cold];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Repeated => "one packet repeated",
            Self::Random => "random",
            Self::Cold => "random, caches cold",
        }
    }
}

/// A frame of a message, with its plan at its end.
pub(crate) fn frame(message: Message, order: Order, shape: Shape, users: u32, random: u64) -> Vec<u8> {
    let text = message.text();
    let (from, to) = match message {
        Message::Reply => (BACKENDS_FROM, CLIENTS_FROM),
        Message::Invite | Message::Register => (CLIENTS_FROM, VIPS_FROM),
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(NEIGHBOUR, [2, 0, 0, 0, 0, 1])
        .ipv4(from, to, 64)
        .udp(SIP_PORT, SIP_PORT)
        .write(&mut frame, text.as_bytes())
        .expect("memory takes every frame");
    let is_random = order != Order::Repeated;
    let count = |count: u32| if is_random { count } else { 1 };
    let at = text.find(LETTERS).expect("every message has a user") as u16;
    let common = Plan {
        random,
        took_ns: 0,
        users: count(users),
        addresses: count(shape.vips),
        first_address: u32::from_be_bytes(VIPS_FROM),
        clients: count(CLIENTS),
        first_client: u32::from_be_bytes(CLIENTS_FROM),
        user_at: PAYLOAD_AT + at,
        address_at: DESTINATION_AT,
        client_at: SOURCE_AT,
        client_port_at: SOURCE_PORT_AT,
        is_cold: u32::from(order == Order::Cold),
    };
    let plan = match message {
        Message::Invite | Message::Register => common,
        Message::Reply => Plan {
            addresses: count(shape.backends),
            first_address: u32::from_be_bytes(BACKENDS_FROM),
            address_at: SOURCE_AT,
            client_at: DESTINATION_AT,
            client_port_at: DESTINATION_PORT_AT,
            ..common
        },
    };
    frame.extend(plan.bytes());
    frame
}

/// The time that the program itself took, as the plan at the end of a frame has it.
pub(crate) fn took_ns(frame: &[u8]) -> u64 {
    let plan = &frame[frame.len() - size_of::<Plan>()..];
    u64::from_ne_bytes(plan[8..16].try_into().expect("eight bytes"))
}

/// Headers as a telephone sends them, `length` bytes.
fn filler(length: usize) -> String {
    const LINES: [&str; 5] = [
        "Max-Forwards: 70\r\n",
        "Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS, UPDATE, PRACK\r\n",
        "Supported: replaces, timer, path, outbound\r\n",
        "User-Agent: Example Telephone 1.2.3 (build 456)\r\n",
        "Contact: <sip:alice@100.64.0.1:5062;transport=udp>\r\n",
    ];
    let mut text = String::new();
    for line in LINES.iter().cycle() {
        if text.len() + line.len() + "X: \r\n".len() > length {
            break;
        }
        text += line;
    }
    let rest = length - text.len() - "X: \r\n".len();
    text + &format!("X: {}\r\n", "x".repeat(rest))
}
