//! The SIP of a check: writes the OPTIONS request and reads what comes back, both with `ezk-sip-types`. Called by the
//! check task. Pure: randomness is a parameter.
//!
//! Invariant: only an answer to this very check ends it. Call-ID, the branch of the topmost Via and the method in CSeq
//! must all be the ones that were sent (RFC 3261 sections 8.1.3.3 and 17.1.3); Call-ID and branch hold 64 random bits
//! each, so that nobody who can't read the wire can keep a dead backend up.
//!
//! Backends write their answers in every way the grammar allows, so the reader takes folded lines, compact names,
//! blanks before a colon, bare line feeds and bytes that are no UTF-8 in headers it has no need of.
use std::net::SocketAddr;

use bytes::Bytes;
use ezk_sip_types::{
    CodeKind, Headers, Method, Name, StatusCode,
    header::typed::{CSeq, CallID, ContentLength, FromTo, MaxForwards, RetryAfter, Via},
    msg::{Line, MessageLine, PullParser, RequestLine, StatusLine},
    parse::Parse,
    print::{AppendCtx, PrintCtx, UriContext},
    uri::{NameAddr, SipUri, params::Param},
};
use rand::Rng;

/// Begins every branch made after RFC 3261 (its section 8.1.1.7).
const MAGIC_COOKIE: &str = "z9hG4bK";
/// The first of its Call-ID, and a check sends no second.
const SEQUENCE_NUMBER: u32 = 1;

/// The request of one check. Retransmissions send the same bytes again.
#[derive(Clone, Debug)]
pub struct Request {
    call_id: String,
    branch: String,
    text: String,
}

/// What a datagram is to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The final answer to it.
    Final {
        /// 200 to 699.
        code: u16,
        /// Seconds that a 503 asks to be spared for, if it does.
        retry_after_s: Option<u32>,
    },
    /// A provisional answer to it (1xx). The check goes on.
    Provisional,
    /// SIP, but not an answer to this check: of another transaction, or a request.
    Stray,
    /// No SIP message that could be read, and why.
    Malformed(&'static str),
}

impl Request {
    /// The request that goes from `local` to `backend`.
    pub fn new(local: SocketAddr, backend: SocketAddr, random: &mut impl Rng) -> Self {
        let mut token = || format!("{:016x}", random.random::<u64>());
        let (call_id, branch, tag) =
            (format!("{}@{}", token(), local.ip()), format!("{MAGIC_COOKIE}{}", token()), token());

        let mut via = Via::new("UDP", local, branch.as_str());
        via.params.push(Param::name("rport"));
        let (ours, theirs) = (SipUri::new(local.into()), SipUri::new(backend.into()));
        let from = FromTo::new(NameAddr::uri(ours), Some(tag.into()));
        let to = FromTo::new(NameAddr::uri(theirs.clone()), None);

        let mut headers = Headers::new();
        headers.insert_named(&via);
        headers.insert_named(&MaxForwards(70));
        headers.insert_type(Name::FROM, &from);
        headers.insert_type(Name::TO, &to);
        headers.insert_named(&CallID::new(call_id.as_str()));
        headers.insert_named(&CSeq::new(SEQUENCE_NUMBER, Method::OPTIONS));
        headers.insert(Name::ACCEPT, "application/sdp");
        headers.insert(Name::USER_AGENT, concat!("siplb/", env!("CARGO_PKG_VERSION")));
        headers.insert_named(&ContentLength(0));

        let line = MessageLine::Request(RequestLine { method: Method::OPTIONS, uri: theirs });
        let context = PrintCtx { method: Some(&Method::OPTIONS), uri: Some(UriContext::ReqUri) };
        let text = format!("{}\r\n{headers}\r\n", line.print_ctx(context));
        Self { call_id, branch, text }
    }

    /// The datagram to send.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// What `datagram` is to this check. Takes any bytes; a message cut off behind the headers that matter reads as a
    /// whole one.
    pub fn read(&self, datagram: &[u8]) -> Reading {
        let head = match Head::read(datagram) {
            Ok(head) => head,
            Err(flaw) => return Reading::Malformed(flaw),
        };
        let Some(code) = head.code else { return Reading::Stray };
        let is_ours = head.call_id == self.call_id
            && head.branch.as_deref() == Some(self.branch.as_str())
            && head.cseq == CSeq::new(SEQUENCE_NUMBER, Method::OPTIONS);
        match code.kind() {
            CodeKind::Custom => Reading::Malformed("its status code is not within 100 to 699"),
            _ if !is_ours => Reading::Stray,
            CodeKind::Provisional => Reading::Provisional,
            _ => Reading::Final { code: code.into_u16(), retry_after_s: head.retry_after_s },
        }
    }
}

/// The parts of a message that say whom it answers.
struct Head {
    /// Nothing in a request.
    code: Option<StatusCode>,
    call_id: String,
    branch: Option<String>,
    cseq: CSeq,
    /// Of a 503 only.
    retry_after_s: Option<u32>,
}

impl Head {
    /// Reads a message until it has seen the three headers, and not a byte further: what a backend writes behind
    /// them, however much or odd, neither costs time nor changes the result. In a 503 Retry-After is looked for too,
    /// which is optional, and one that can't be read counts as none.
    fn read(datagram: &[u8]) -> Result<Self, &'static str> {
        let message = Bytes::copy_from_slice(datagram);
        let mut lines = PullParser::new(&message, 0);
        let first = lines.next().and_then(Result::ok).ok_or("it has no complete first line")?;
        let first = str::from_utf8(first).map_err(|_| "its first line is not UTF-8")?;
        let code = match MessageLine::parse(&message)(first) {
            Ok((_, MessageLine::Response(StatusLine { code, .. }))) => Some(code),
            Ok((_, MessageLine::Request(_))) => None,
            Err(_) => return Err("its first line is neither a request's nor an answer's"),
        };

        let mut headers = Headers::new();
        let mut missing = vec![Name::VIA, Name::CALL_ID, Name::CSEQ];
        if code == Some(StatusCode::SERVICE_UNAVAILABLE) {
            missing.push(Name::RETRY_AFTER);
        }
        while !missing.is_empty() {
            let Some(Ok(line)) = lines.next() else { break };
            let Ok(line) = str::from_utf8(line) else { continue };
            let Ok((_, Line { name, value })) = Line::parse(&message, line) else { continue };
            // The topmost of each counts, so a name is done with once it was seen.
            if let Some(found) = missing.iter().position(|wanted| *wanted == name) {
                headers.insert(missing.swap_remove(found), value);
            }
        }
        let via: Via = headers.get_named().map_err(|_| "it has no Via that can be read")?;
        let CallID(call_id) = headers.get_named().map_err(|_| "it has no Call-ID that can be read")?;
        let cseq = headers.get_named().map_err(|_| "it has no CSeq that can be read")?;
        let branch = via.params.get_val("branch").map(ToString::to_string);
        let retry_after_s = headers.get_named::<RetryAfter>().ok().map(|header| header.value);
        Ok(Self { code, call_id: call_id.to_string(), branch, cseq, retry_after_s })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn request(local: &str, backend: &str) -> Request {
        Request::new(local.parse().unwrap(), backend.parse().unwrap(), &mut StdRng::seed_from_u64(7))
    }

    fn v4() -> Request {
        request("10.0.0.1:40000", "10.0.0.11:5060")
    }

    fn answered(code: u16) -> Reading {
        Reading::Final { code, retry_after_s: None }
    }

    /// An answer as a plain server writes it.
    fn answer(request: &Request, code: &str) -> String {
        let local = request.call_id.split_once('@').unwrap().1;
        let sent_by = if local.contains(':') { format!("[{local}]") } else { local.to_owned() };
        format!(
            "SIP/2.0 {code}\r\nVia: SIP/2.0/UDP {sent_by}:40000;branch={};rport=40000;received={local}\r\n\
             From: <sip:{sent_by}:40000>;tag=1\r\nTo: <sip:10.0.0.11:5060>;tag=2\r\nCall-ID: {}\r\n\
             CSeq: 1 OPTIONS\r\nServer: x\r\nContent-Length: 0\r\n\r\n",
            request.branch, request.call_id
        )
    }

    #[test]
    fn the_request_has_all_that_a_server_asks_for() {
        let request = v4();
        let text = request
            .text
            .replace(&request.branch, "BRANCH")
            .replace(&request.call_id, "CALL-ID")
            .replace(env!("CARGO_PKG_VERSION"), "VERSION");
        let (before, tag) = text.split_once(";tag=").unwrap();
        insta::assert_snapshot!(format!("{before};tag=TAG{}", &tag[16..]).replace('\r', ""), @r"
        OPTIONS sip:10.0.0.11:5060 SIP/2.0
        Via: SIP/2.0/UDP 10.0.0.1:40000;branch=BRANCH;rport
        Max-Forwards: 70
        From: <sip:10.0.0.1>;tag=TAG
        To: <sip:10.0.0.11>
        Call-ID: CALL-ID
        CSeq: 1 OPTIONS
        Accept: application/sdp
        User-Agent: siplb/VERSION
        Content-Length: 0
        ");
        assert!(text.ends_with("\r\n\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']));
    }

    #[test]
    fn an_ipv6_address_is_written_in_brackets() {
        let text = request("[2001:db8::1]:40000", "[2001:db8::11]:5060").text;
        assert!(text.starts_with("OPTIONS sip:[2001:db8::11]:5060 SIP/2.0\r\n"), "{text}");
        assert!(text.contains("Via: SIP/2.0/UDP [2001:db8::1]:40000;branch="), "{text}");
    }

    #[test]
    fn two_checks_share_no_identifier() {
        let mut random = StdRng::seed_from_u64(7);
        let (local, backend) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let (one, two) =
            (Request::new(local, backend, &mut random), Request::new(local, backend, &mut random));
        assert!(one.call_id != two.call_id && one.branch != two.branch);
        assert_eq!(one.read(answer(&two, "200 OK").as_bytes()), Reading::Stray);
    }

    #[test]
    fn answers_are_told_apart_by_code() {
        for (code, reading) in [
            ("200 OK", answered(200)),
            ("100 Trying", Reading::Provisional),
            ("199 x", Reading::Provisional),
            ("483 Too Many Hops", answered(483)),
            ("503 ", answered(503)),
            ("699 x", answered(699)),
            ("99 x", Reading::Malformed("its status code is not within 100 to 699")),
            ("700 x", Reading::Malformed("its status code is not within 100 to 699")),
        ] {
            assert_eq!(v4().read(answer(&v4(), code).as_bytes()), reading, "{code}");
        }
    }

    #[test]
    fn a_503_may_say_for_how_long() {
        let plain = answer(&v4(), "503 Overloaded");
        for (header, retry_after_s) in [
            ("Retry-After: 120\r\n", Some(120)),
            ("retry-after : 18 (in a meeting)\r\n", Some(18)),
            ("Retry-After: 7;duration=3600\r\n", Some(7)),
            ("Retry-After: soon\r\n", None),
            ("Retry-After: -1\r\n", None),
            ("Retry-After: 99999999999\r\n", None),
            ("", None),
        ] {
            // Last of all, where no other answer is read to.
            let written = plain.replace("Content-Length: 0\r\n", &format!("Content-Length: 0\r\n{header}"));
            assert_eq!(
                v4().read(written.as_bytes()),
                Reading::Final { code: 503, retry_after_s },
                "{header}"
            );
            let other = written.replace("503", "500");
            assert_eq!(v4().read(other.as_bytes()), answered(500), "{header}");
        }
    }

    #[test]
    fn any_legal_way_to_write_an_answer_is_read() {
        let request = v4();
        let plain = answer(&request, "200 OK");
        for (what, from, to) in [
            ("line feeds only", "\r\n", "\n"),
            ("compact names", "Via: ", "v:"),
            ("compact Call-ID", "Call-ID: ", "i: "),
            ("lower case", "CSeq: 1", "cseq: 1"),
            ("blanks before the colon", "Via:", "Via \t:"),
            ("a folded foreign header", "Server: x", "Server: x\r\n y\r\n\tz"),
            ("a folded Via", ";branch=", "\r\n ;branch="),
            ("a folded name", "Call-ID: ", "Call-ID:\r\n  "),
            ("blanks around the parameters", ";branch=", " ; branch = "),
            ("blanks in the protocol", "SIP/2.0/UDP", "SIP / 2.0 / UDP"),
            ("branch last", ";branch=", ";received=2001:db8::1;branch="),
            ("no reason phrase", "200 OK", "200 "),
            ("a second Via below", "From:", "Via: SIP/2.0/UDP h;branch=z9hG4bKother\r\nFrom:"),
            ("a second Via behind", ";received=10.0.0.1", ", SIP/2.0/UDP h;branch=z9hG4bKother"),
            ("a header before", "Via:", "X-First: \"unclosed\r\nVia:"),
        ] {
            assert!(plain.contains(from), "{what}");
            let written = plain.replace(from, to);
            assert_eq!(request.read(written.as_bytes()), answered(200), "{what}: {written}");
        }
        let mut latin = plain.replace("Via:", "Server: \x01\r\nVia:").into_bytes();
        let at = latin.iter().position(|byte| *byte == 1).unwrap();
        latin[at] = 0xe9;
        assert_eq!(request.read(&latin), answered(200));
        let v6 = super::tests::request("[2001:db8::1]:40000", "[2001:db8::11]:5060");
        assert_eq!(v6.read(answer(&v6, "200 OK").as_bytes()), answered(200));
    }

    #[test]
    fn what_answers_something_else_is_stray() {
        let request = v4();
        let plain = answer(&request, "200 OK");
        for (from, to) in [
            ("Call-ID: ", "Call-ID: x"),
            (";branch=z9hG4bK", ";branch=z9hG4bKx"),
            (";branch=", ";brunch="),
            ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
            ("CSeq: 1 OPTIONS", "CSeq: 2 OPTIONS"),
            ("Via:", "Via: SIP/2.0/UDP h;branch=z9hG4bKother\r\nVia:"),
        ] {
            assert_eq!(request.read(plain.replace(from, to).as_bytes()), Reading::Stray, "{to}");
        }
        assert_eq!(request.read(request.as_bytes()), Reading::Stray, "our own request, reflected");
    }

    #[test]
    fn what_is_not_sip_is_malformed() {
        let request = v4();
        let plain = answer(&request, "200 OK");
        for bytes in [&b""[..], b"\r\n\r\n", b"\0\0\0\0", b"HTTP/1.1 200 OK\r\n\r\n", b"SIP/2.0 200 OK"] {
            assert!(matches!(request.read(bytes), Reading::Malformed(_)), "{bytes:?}");
        }
        for header in ["Via", "Call-ID", "CSeq"] {
            let without = plain.replace(header, "X");
            assert!(matches!(request.read(without.as_bytes()), Reading::Malformed(_)), "{without}");
        }
    }

    #[test]
    fn a_cut_off_answer_is_read_if_what_matters_is_there() {
        let (request, plain) = (v4(), answer(&v4(), "200 OK"));
        let end = plain.find("Server").unwrap();
        for length in 0..plain.len() {
            let reading = request.read(&plain.as_bytes()[..length]);
            // A line has ended for certain once two bytes of the next one are there: it could be folded.
            if length >= end + 2 {
                assert_eq!(reading, answered(200), "{length}");
            } else if length < end {
                assert!(matches!(reading, Reading::Malformed(_)), "{length}: {reading:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_bytes_upset_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(matches!(v4().read(&bytes), Reading::Malformed(_) | Reading::Stray));
        }

        #[test]
        fn no_damage_upsets_the_reader(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..12),
            marks in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(
                vec!["\r", "\n", "\r\n ", "\"", "\\", "<", ";", ",", ":", "\0", "%", "%4", "[", "é", "=", "@", " "])), 0..6),
        ) {
            let request = v4();
            let mut bytes = answer(&request, "200 OK").into_bytes();
            for (place, byte, kind) in edits {
                let place = place.index(bytes.len());
                match kind {
                    0 => bytes[place] = byte,
                    1 => bytes.insert(place, byte),
                    _ => bytes.truncate(place.max(1)),
                }
            }
            for (place, mark) in marks {
                let place = place.index(bytes.len());
                bytes.splice(place..place, mark.bytes());
            }
            request.read(&bytes);
        }
    }
}
