//! Asks an interface's driver, by the ioctl that `ethtool` uses (linux/ethtool.h): rtnetlink doesn't know these things, and
//! sysfs shows those of the network namespace that it was mounted in.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::facts::Spread;

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GRXFH: u32 = 0x29;
const ETHTOOL_GRXRINGS: u32 = 0x2d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// Names of features, as a set of strings.
const ETH_SS_FEATURES: u32 = 4;
/// Bytes of a name.
const ETH_GSTRING_LEN: usize = 32;

/// UDP over IPv4 and over IPv6, as flow types.
pub(super) const UDP_V4_FLOW: u32 = 0x02;
pub(super) const UDP_V6_FLOW: u32 = 0x06;

/// What flows are hashed by: the addresses, and bytes 0 to 3 of the layer 4 header, where the ports are.
const RXH_ADDRESSES: u64 = 1 << 4 | 1 << 5;
const RXH_PORTS: u64 = 1 << 6 | 1 << 7;

/// The longest answer is that with the names of features, of which Linux has some 60.
const NAMES_LIMIT: usize = 500;
const BUFFER_BYTES: usize = 16 + NAMES_LIMIT * ETH_GSTRING_LEN;

/// A question and its answer, aligned as the kernel's structs are.
#[repr(C, align(8))]
struct Buffer([u8; BUFFER_BYTES]);

impl Buffer {
    /// A question: 32-bit words from the beginning, and zeroes.
    fn new(words: &[u32]) -> Box<Self> {
        let mut buffer = Box::new(Self([0; BUFFER_BYTES]));
        for (place, word) in buffer.0.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        buffer
    }

    /// The 32-bit word at this byte.
    fn word(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.0[at..at + 4].try_into().expect("it is four bytes"))
    }

    /// The 64-bit word at this byte.
    fn long(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.0[at..at + 8].try_into().expect("it is eight bytes"))
    }

    /// The text that begins at this byte and ends before a NUL, or with its field.
    fn text(&self, at: usize) -> String {
        let field = &self.0[at..at + ETH_GSTRING_LEN];
        let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

/// What is asked of one interface's driver. Each answer is none where the driver gives none.
pub(super) struct Ethtool<'a> {
    interface: &'a str,
    socket: OwnedFd,
}

impl<'a> Ethtool<'a> {
    /// For an interface of the network namespace that this is called in.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub(super) fn new(interface: &'a str) -> io::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { interface, socket })
    }

    /// The driver's name.
    pub(super) fn driver(&self) -> Option<String> {
        let answer = self.ask(Buffer::new(&[ETHTOOL_GDRVINFO]))?;
        Some(answer.text(4)).filter(|name| !name.is_empty())
    }

    /// How many receive queues are in use.
    pub(super) fn queues(&self) -> Option<u32> {
        if let Some(answer) = self.ask(Buffer::new(&[ETHTOOL_GCHANNELS])) {
            // Queues that receive alone, and those that send too.
            return Some(answer.word(20) + answer.word(32)).filter(|queues| *queues > 0);
        }
        let answer = self.ask(Buffer::new(&[ETHTOOL_GRXRINGS]))?;
        u32::try_from(answer.long(8)).ok().filter(|queues| *queues > 0)
    }

    /// By what datagrams are spread over the queues.
    pub(super) fn spread(&self, flow: u32) -> Option<Spread> {
        spread(self.ask(Buffer::new(&[ETHTOOL_GRXFH, flow]))?.long(8))
    }

    /// The names of the features that are on.
    pub(super) fn features(&self) -> Option<Vec<String>> {
        let sets = self.ask(Buffer::new(&[ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES]))?;
        let count = sets.word(16) as usize;
        if sets.long(8) == 0 || count > NAMES_LIMIT {
            return None;
        }
        let names = self.ask(Buffer::new(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count as u32]))?;
        let states = self.ask(Buffer::new(&[ETHTOOL_GFEATURES, count.div_ceil(32) as u32]))?;
        Some(switched_on(&names, &states, count))
    }

    /// Asks, and returns what the kernel made of the question.
    fn ask(&self, mut question: Box<Buffer>) -> Option<Box<Buffer>> {
        let mut name = [0; libc::IFNAMSIZ];
        // A longer name, an alternative one, is none that this ioctl knows.
        if self.interface.len() >= name.len() {
            return None;
        }
        for (place, byte) in name.iter_mut().zip(self.interface.bytes()) {
            *place = byte as libc::c_char;
        }
        let ifr_ifru = libc::__c_anonymous_ifr_ifru { ifru_data: question.0.as_mut_ptr().cast() };
        let mut request = libc::ifreq { ifr_name: name, ifr_ifru };
        // SAFETY: the request is a whole `struct ifreq` whose name ends with NUL. The buffer that it points to outlives the
        // call, is aligned, and holds the longest answer to the commands above: names, whose number was asked before.
        let answer = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
        (answer == 0).then_some(question)
    }
}

/// A driver that says nothing spreads by means that it doesn't tell.
fn spread(fields: u64) -> Option<Spread> {
    if fields & RXH_PORTS != 0 {
        return Some(Spread::Ports);
    }
    (fields & RXH_ADDRESSES != 0).then_some(Spread::Addresses)
}

/// Of each 32 features there are four words: available, requested, active, never changed.
fn switched_on(names: &Buffer, states: &Buffer, count: usize) -> Vec<String> {
    let is_on = |feature: &usize| states.word(8 + feature / 32 * 16 + 8) >> (feature % 32) & 1 == 1;
    (0..count).filter(is_on).map(|feature| names.text(12 + feature * ETH_GSTRING_LEN)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_count_before_addresses() {
        assert_eq!(spread(RXH_ADDRESSES), Some(Spread::Addresses));
        assert_eq!(spread(RXH_ADDRESSES | 1 << 7), Some(Spread::Ports));
        assert_eq!(spread(0), None);
        assert_eq!(spread(1 << 3), None);
    }

    #[test]
    fn features_are_found_by_their_place() {
        let mut names = Buffer::new(&[]);
        for (feature, name) in [(3, "rx-lro"), (40, "rx-gro-hw")] {
            let at = 12 + feature * ETH_GSTRING_LEN;
            names.0[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
        // Command and size, then available, requested, active and never changed, twice.
        let states = Buffer::new(&[0, 2, 0xff, 0, 1 << 3, 0, 0xffff, 0, 1 << 8, 0]);
        assert_eq!(switched_on(&names, &states, 64), ["rx-lro", "rx-gro-hw"]);
        assert!(switched_on(&names, &Buffer::new(&[0, 2, u32::MAX, u32::MAX, 0, u32::MAX]), 64).is_empty());
    }

    #[test]
    fn the_loopback_interface_answers() {
        let loopback = Ethtool::new("lo").unwrap();
        let features = loopback.features().unwrap();
        assert!(features.iter().any(|name| name == "loopback"), "{features:?}");
        let none = Ethtool::new("siplb-none").unwrap();
        assert_eq!((none.driver(), none.queues(), none.features()), (None, None, None));
    }
}
