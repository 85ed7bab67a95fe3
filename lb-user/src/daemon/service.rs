//! What the service manager is told (sd_notify(3)): that the daemon is ready, reloads, lives, ends. Without one, nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service manager, and what it was told last.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// Does it want to hear that the daemon lives?
    watchdog: Option<Duration>,
    status: String,
}

impl Service {
    /// The one that started this process, if one did.
    pub(super) fn found() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), status: String::new() }
    }

    /// Everything is attached, and requests are answered.
    pub(super) fn ready(&mut self, status: String) {
        self.status = status;
        tell(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
    }

    /// The configuration is being read again; [`Service::ready`] is to follow.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The loop turns. To be called more often than the manager's watchdog waits.
    pub(super) fn alive(&mut self, status: String) {
        if self.watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        if self.status != status {
            self.status = status;
            tell(&[NotifyState::Status(&self.status)]);
        }
    }

    /// The daemon ends; the datapath does not.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("ending; packets are forwarded on")]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the service manager can't be told: {error}");
    }
}
