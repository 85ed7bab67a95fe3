//! The messages of the corpus: `corpus/README.md` says where they come from.

use serde::Deserialize;

/// A message and what Kamailio made of it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name.
    pub id: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Kamailio's reading.
    pub kamailio: Reading,
}

/// What Kamailio made of a message. Texts are latin-1, a character a byte.
#[derive(Clone, Debug, Deserialize)]
pub struct Reading {
    /// `req`, `rpl`, or nothing when it dropped the message.
    pub seen: Option<String>,
    /// Method.
    #[serde(rename = "rm")]
    pub method: Option<String>,
    /// User of the Request-URI.
    #[serde(rename = "rU")]
    pub request_user: Option<String>,
    /// User of To.
    #[serde(rename = "tU")]
    pub to_user: Option<String>,
    /// 1 when its URIs parse.
    #[serde(default)]
    pub uri: u8,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    b64: String,
    k: Reading,
}

/// All messages, in the order of the file.
///
/// # Panics
/// When the file is not what its README says.
pub fn messages() -> Vec<Message> {
    include_str!("../corpus/rfc.jsonl")
        .lines()
        .map(|line| {
            let line: Line = serde_json::from_str(line).expect("a line of the corpus is an object");
            Message { id: line.id, bytes: decode(&line.b64), kamailio: line.k }
        })
        .collect()
}

/// Base64 (RFC 4648 section 4).
fn decode(text: &str) -> Vec<u8> {
    let digits = text.trim_end_matches('=').bytes().map(|digit| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{digit:#x} is no digit of base64"),
    });
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba")]
        {
            assert_eq!(decode(text), bytes.as_bytes());
        }
        assert_eq!(decode("+/+/"), [0xfb, 0xff, 0xbf]);
    }

    #[test]
    fn there_are_messages_and_readings() {
        let messages = messages();
        assert_eq!(messages.len(), 70);
        assert!(messages.iter().filter(|message| message.kamailio.uri == 1).count() > 45);
    }
}
