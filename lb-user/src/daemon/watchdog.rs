//! What the daemon does once a second, so that others can tell that it lives and that what it leaves behind will outlive it.

use super::core::Core;
use super::live::Live;
use crate::control::api;
use crate::control::error::told;
use crate::datapath::{Pins, boot_time_ns};
use crate::pool::path;

/// What was noticed since the daemon started.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// Attempts to publish that failed.
    pub(super) publish_failures: u64,
    /// Are the pins where they belong?
    pins: Pins,
    /// Did the last heartbeat fail? Said once.
    is_mute: bool,
}

impl<D: Live> Core<D> {
    /// To be called once a second by the loop that does everything else: if that hangs, nobody calls this.
    pub(super) fn tick(&mut self) {
        self.beat();
        self.keep_pins();
        self.retry();
    }

    fn beat(&mut self) {
        let beaten = self.datapath.beat();
        if let (Err(error), false) = (&beaten, self.noticed.is_mute) {
            log::error!("no heartbeat can be left, so that this daemon will seem dead: {}", told(error));
        }
        self.noticed.is_mute = beaten.is_err();
    }

    fn keep_pins(&mut self) {
        let pins = self.datapath.keep_pins();
        if pins == self.noticed.pins {
            return;
        }
        match &pins {
            Pins::Lost(why) => log::error!(
                "the pins are gone. Packets are forwarded while this daemon lives, and no longer: {why}"
            ),
            Pins::Mended => {
                log::warn!("the pins are back: packets are forwarded on whatever becomes of this daemon")
            }
            Pins::Kept => {}
        }
        self.noticed.pins = pins;
    }

    /// The state in a few words, for whoever lists services.
    pub(super) fn in_short(&self) -> String {
        let all = self.desired.backends().count();
        let up =
            self.desired.backends().filter(|(pool, backend)| self.is_up(&path(&pool.name, &backend.name)));
        format!("generation {}, {} of {all} backends up", self.datapath.generation(), up.count())
    }

    /// How daemon and datapath are getting on.
    pub(super) fn watchdog(&self) -> api::Watchdog {
        let vitals = self.datapath.vitals();
        api::Watchdog {
            heartbeat_age_s: vitals.silence(boot_time_ns()).map(|silence| silence.as_secs_f64()),
            alone_s: vitals.alone_ns as f64 / 1e9,
            alone_packets: vitals.alone_packets,
            publish_failures: self.noticed.publish_failures,
            pins_lost: match &self.noticed.pins {
                Pins::Lost(why) => Some(why.clone()),
                Pins::Kept | Pins::Mended => None,
            },
        }
    }
}
