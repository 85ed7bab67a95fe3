//! What is not siplb's to handle reaches whom it is for as it was sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use siplb_lab::Netns;
use siplb_lab::siplb;
use siplb_lab::topology::{CALLERS, SIP_PORT, VIP};

use crate::stage::{Stage, on_stage};

const PATIENCE: Duration = Duration::from_secs(3);
/// A port that is nobody's VIP.
const OTHER_PORT: u16 = 5999;
/// Looks like SIP, so that only its addresses make it foreign.
const TEXT: &[u8] = b"OPTIONS sip:alice@example.com SIP/2.0\r\n\r\n";

#[test]
fn foreign_traffic_passes_untouched() {
    on_stage("foreign", 2, |stage| {
        stage.start_siplb(&siplb::config(&stage.lab))?;
        other_ports_of_the_vip(stage)?;
        tcp_to_the_vip(stage)?;
        ports_of_a_backend(stage)?;
        backend_to_backend(stage)
    });
}

fn other_ports_of_the_vip(stage: &Stage) -> Result<()> {
    let topology = stage.lab.topology();
    let before = stage.packets("foreign")?;
    let node = udp(&topology.node, VIP, OTHER_PORT)?;
    let client = udp(&topology.client, CALLERS, 0)?;
    arrives(&client, &node, client.local_addr()?)?;
    arrives(&node, &client, (VIP, OTHER_PORT).into())?;
    ensure!(stage.packets("foreign")? > before, "not counted as foreign");
    Ok(())
}

fn tcp_to_the_vip(stage: &Stage) -> Result<()> {
    let topology = stage.lab.topology();
    let before = stage.packets("not-udp")?;
    let listener = topology.node.run(|| Ok(TcpListener::bind((VIP, SIP_PORT))?))?;
    let vip = SocketAddr::from((VIP, SIP_PORT));
    let connect = || TcpStream::connect_timeout(&vip, PATIENCE).context("TCP to the VIP");
    let mut client = topology.client.run(connect)?;
    let (mut server, from) = listener.accept()?;
    ensure!(from == client.local_addr()?, "the node sees {from}");
    client.write_all(TEXT)?;
    server.set_read_timeout(Some(PATIENCE))?;
    let mut received = [0; TEXT.len()];
    server.read_exact(&mut received).context("what came by TCP")?;
    ensure!(received == TEXT);
    ensure!(stage.packets("not-udp")? > before, "not counted as not-udp");
    Ok(())
}

/// Media, DNS and the like keep their addresses; what leaves the SIP socket leaves as the VIP.
fn ports_of_a_backend(stage: &Stage) -> Result<()> {
    let topology = stage.lab.topology();
    let host = &topology.backends[0];
    let client = udp(&topology.client, CALLERS, 0)?;
    let media = udp(&host.netns, host.address, 10_000)?;
    arrives(&media, &client, (host.address, 10_000).into())?;
    arrives(&client, &media, client.local_addr()?)?;
    let sip = udp(&host.netns, host.address, SIP_PORT)?;
    arrives(&sip, &client, (VIP, SIP_PORT).into())
}

fn backend_to_backend(stage: &Stage) -> Result<()> {
    let hosts = &stage.lab.topology().backends;
    let before = stage.packets("backend-to-backend")?;
    let [b1, b2] = [0, 1].map(|at: usize| udp(&hosts[at].netns, hosts[at].address, SIP_PORT));
    let (b1, b2) = (b1?, b2?);
    arrives(&b1, &b2, b1.local_addr()?)?;
    ensure!(stage.packets("backend-to-backend")? > before, "not counted as backend-to-backend");
    Ok(())
}

pub(crate) fn udp(netns: &Netns, address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    let socket = netns.run(|| Ok(UdpSocket::bind((address, port))?))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Sends a text to the address that `to` is bound to, and checks that it comes, and from whom it seems to come.
fn arrives(from: &UdpSocket, to: &UdpSocket, seen_as: SocketAddr) -> Result<()> {
    let target = to.local_addr()?;
    from.send_to(TEXT, target)?;
    let mut received = [0; 2048];
    loop {
        let (length, source) =
            to.recv_from(&mut received).with_context(|| format!("nothing came to {target}"))?;
        // siplb's checks come to a backend's SIP port too.
        if received[..length] != *TEXT {
            continue;
        }
        ensure!(source == seen_as, "came to {target} from {source}, not from {seen_as}");
        return Ok(());
    }
}
