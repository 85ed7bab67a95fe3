//! Captures: the Ethernet frames in a pcap or pcapng file.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};

use super::failure::{Code, Failure};

/// The first bytes of a pcapng file, the same in both byte orders.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The bytes of a file; `-` is stdin.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    bytes.map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { Code::NotFound } else { Code::Failed };
        Failure::new(code, format!("{} can't be read: {error}", file.display()))
    })
}

/// The frames of a capture.
pub(super) fn frames(file: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = read(file)?;
    let frames = if bytes.starts_with(&PCAPNG) { of_pcapng(&bytes) } else { of_pcap(&bytes) };
    frames.map_err(|flaw| {
        Failure::new(Code::BadUsage, match flaw {
            Flaw::Link(link) => format!(
                "{} has packets of link type {link:?}, and Ethernet alone is understood; capture on one interface, \
                 not on `any`",
                file.display()
            ),
            Flaw::Broken(error) => format!(
                "{} is not a capture ({error}); SIP messages alone take --payload",
                file.display()
            ),
        })
    })
}

/// Why a file has no frames for us.
enum Flaw {
    Link(DataLink),
    Broken(PcapError),
}

impl From<PcapError> for Flaw {
    fn from(error: PcapError) -> Self {
        Self::Broken(error)
    }
}

fn is_ethernet(link: DataLink) -> Result<(), Flaw> {
    if link == DataLink::ETHERNET { Ok(()) } else { Err(Flaw::Link(link)) }
}

fn of_pcap(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Flaw> {
    let mut reader = PcapReader::new(bytes)?;
    is_ethernet(reader.header().datalink)?;
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet?.data.into_owned());
    }
    Ok(frames)
}

fn of_pcapng(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Flaw> {
    let mut reader = PcapNgReader::new(bytes)?;
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        match block? {
            Block::InterfaceDescription(interface) => is_ethernet(interface.linktype)?,
            Block::EnhancedPacket(packet) => frames.push(packet.data.into_owned()),
            Block::SimplePacket(packet) => frames.push(packet.data.into_owned()),
            _ => {}
        }
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use pcap_file::Endianness;
    use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
    use pcap_file::pcapng::PcapNgWriter;
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
    use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;

    use super::*;

    const FRAMES: [&[u8]; 2] = [b"the first frame", b"the second frame"];

    #[test]
    fn frames_come_out_of_both_kinds_of_capture() {
        for endianness in [Endianness::Little, Endianness::Big] {
            let header = PcapHeader { endianness, ..PcapHeader::default() };
            let mut pcap = PcapWriter::with_header(Vec::new(), header).unwrap();
            let mut pcapng = PcapNgWriter::with_endianness(Vec::new(), endianness).unwrap();
            let interface =
                InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options: Vec::new() };
            pcapng.write_pcapng_block(interface).unwrap();
            for frame in FRAMES {
                pcap.write_packet(&PcapPacket::new(Default::default(), frame.len() as u32, frame)).unwrap();
                let packet = EnhancedPacketBlock {
                    interface_id: 0,
                    timestamp: Default::default(),
                    original_len: frame.len() as u32,
                    data: frame.into(),
                    options: Vec::new(),
                };
                pcapng.write_pcapng_block(packet).unwrap();
            }
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in [("a.pcap", pcap.into_writer()), ("a.pcapng", pcapng.into_inner())] {
                let file = folder.path().join(name);
                fs::write(&file, &bytes).unwrap();
                assert_eq!(frames(&file).unwrap(), FRAMES, "{name}, {endianness:?}");
                fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
                assert!(frames(&file).is_err(), "{name} cut short");
            }
        }
    }
}
