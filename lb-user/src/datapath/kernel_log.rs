//! The lines of a program that was built to log each packet (`cargo xtask build --log`), in the daemon's own log. For work
//! on the program; no other build has this.

use std::{thread, time::Duration};

use aya::Ebpf;
use aya_log::EbpfLogger;

use super::error::{DatapathError, Doing};

/// How often the ring buffer is emptied.
const PAUSE: Duration = Duration::from_millis(50);

/// Shows what the program says from now on, at the level `debug`.
pub(super) fn follow(object: &mut Ebpf) -> Result<(), DatapathError> {
    let mut logger = EbpfLogger::init(object).doing("follow the program's log")?;
    thread::spawn(move || {
        loop {
            logger.flush();
            thread::sleep(PAUSE);
        }
    });
    Ok(())
}
