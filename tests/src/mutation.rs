//! Messages that nobody would write: real ones, damaged at random but the same in every run.

use lb_common::limits::SCAN_LIMIT;

/// Longest message made, in bytes: beyond what is scanned, and with its headers short of a page.
pub const LONGEST: usize = SCAN_LIMIT as usize + 328;

/// Numbers that look random: Marsaglia's xorshift64.
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero, and seeds that are close together would begin alike.
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.number();
        }
        random
    }

    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Texts that mean something to a scanner.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\r\n ",
    b"\n\t",
    b"\r\n\r\n",
    b"\"",
    b"\\",
    b"\\\"",
    b"<",
    b">",
    b":",
    b";",
    b"@",
    b",",
    b"?",
    b"[",
    b"]",
    b"%",
    b"%41",
    b"%3b",
    b"%00",
    b"%4",
    b"+",
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"sip:",
    b"SIPS:",
    b"tel:",
    b"urn:",
    b";gr",
    b";gr=1",
    b"\r\nTo: ",
    b"\nt:",
    b"\r\nTO\t: ",
    b"\r\nFrom: ",
    b"\r\nf:",
    b"\r\nCall-ID: ",
    b"\r\ni :",
    b"\r\nX: ",
    b"<sip:alice@example.com>",
    b"sip:Bob:pw@example.com.:5061;x=y",
    b"<tel:+1-201-555-0123;phone-context=a>",
    b"sip:(201)555.01.23.4567@example.com",
    b"sip:00120155501234567@h",
    b"REGISTER ",
    b"INVITE ",
    b"SIP/2.0 200 OK\r\n",
    b"\0\0\0\0\x21\x12\xa4\x42",
];

/// One of the messages, damaged in up to eight places.
pub fn damaged(random: &mut Random, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut message = random.pick(messages).clone();
    for _ in 0..random.below(9) {
        damage(random, &mut message, messages);
    }
    message.truncate(LONGEST);
    message
}

fn damage(random: &mut Random, message: &mut Vec<u8>, messages: &[Vec<u8>]) {
    // Most of what decides stands at the beginning.
    let near = if random.below(2) == 0 { message.len().min(80) } else { message.len() };
    let at = random.below(near + 1);
    let end = at + random.below((message.len() - at).min(40) + 1);
    match random.below(9) {
        0 => drop(message.splice(at..end, [])),
        1 | 2 => drop(message.splice(at..at, random.pick(TOKENS).iter().copied())),
        3 => drop(message.splice(at..end, random.pick(TOKENS).iter().copied())),
        4 => {
            if let Some(byte) = message.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        5 => {
            let copy = message[at..end].repeat(1 + random.below(40));
            message.splice(at..at, copy);
        }
        6 => {
            let filler = vec![*random.pick(b"x ,0\0%\"\n"); random.below(600)];
            message.splice(at..at, filler);
        }
        7 => {
            let other = random.pick(messages);
            let from = random.below(other.len());
            message.truncate(at);
            message.extend(&other[from..]);
        }
        _ => lengthen(random, message),
    }
    if random.below(12) == 0 {
        message.truncate(at);
    }
}

/// Puts a line behind the first that moves the others to the end of what is scanned.
fn lengthen(random: &mut Random, message: &mut Vec<u8>) {
    let Some(line_end) = message.iter().position(|&byte| byte == b'\n') else { return };
    let target = SCAN_LIMIT as usize - random.below(120);
    let length = target.saturating_sub(line_end + 1 + b"X: \r\n".len());
    let line = [b"X: ", vec![b'x'; length].as_slice(), b"\r\n"].concat();
    message.splice(line_end + 1..line_end + 1, line);
}
