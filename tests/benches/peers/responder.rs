//! A server that answers checks and nothing else: what has a number never comes up to it.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use siplb_lab::topology::{Host, SIP_PORT};

/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// A thread with a socket in a backend's namespace; dropped, it ends.
pub(crate) struct Responder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts it.
    pub(crate) fn start(host: &Host) -> Result<Self> {
        let socket = host.netns.run(|| {
            let socket = UdpSocket::bind((host.address, SIP_PORT))?;
            socket.set_read_timeout(Some(LOOK))?;
            Ok(socket)
        });
        let socket = socket.with_context(|| format!("cannot answer checks on {}", host.name))?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&socket, &stopped));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic has told its reason already.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 4_096];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(&buffer[..length]);
        let Some((_, headers)) = text.split_once("\r\n") else { continue };
        // Whoever is gone is told by the network, and need not be told of here.
        let _ = socket.send_to(format!("SIP/2.0 200 OK\r\n{headers}").as_bytes(), from);
    }
}
