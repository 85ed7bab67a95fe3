//! What the program tells the daemon at once, by a ring buffer, and not with the next reading of counters.

use std::os::fd::{AsRawFd, RawFd};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use lb_common::layout::{Event, EventKind};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    error::{DatapathError, Doing},
    maps::take,
};

/// The ring buffer. Events that nobody reads in time are lost, which costs a later check and nothing else.
pub struct Events(AsyncFd<Ring>);

struct Ring(RingBuf<MapData>);

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Events {
    /// Of a loaded object. Must be called within a tokio runtime.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, DatapathError> {
        let ring = Ring(take(object, "EVENTS")?);
        // SAFETY: the ring holds its file descriptor, and always the same one, until it is dropped with the registration.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        Ok(Self(ring.map_err(std::io::Error::from).doing("wait for events of the program")?))
    }

    /// Waits for events, and returns the ids of the backends whose SIP port nobody listens on, each once.
    ///
    /// # Errors
    /// When the kernel does not let us wait.
    pub async fn unreachable(&mut self) -> Result<Vec<u32>, DatapathError> {
        let mut ready = self.0.readable_mut().await.doing("wait for events of the program")?;
        let mut backends = Vec::new();
        while let Some(bytes) = ready.get_inner_mut().0.next() {
            if let Some(event) = event(&bytes)
                && event.kind == EventKind::PortUnreachable as u32
                && !backends.contains(&event.backend)
            {
                backends.push(event.backend);
            }
        }
        ready.clear_ready();
        Ok(backends)
    }
}

/// An event from its bytes; a program of another release may write others.
fn event(bytes: &[u8]) -> Option<Event> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some(Event { kind: word(0)?, backend: word(4)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_as_it_is_written() {
        let event_of = |words: [u32; 2]| event(&words.map(u32::to_ne_bytes).concat());
        assert_eq!(event_of([1, 7]), Some(Event { kind: EventKind::PortUnreachable as u32, backend: 7 }));
        assert_eq!(event(&[1, 0, 0, 0]), None);
    }
}
