//! Signs that a backend may be gone, other than its checks: each has it checked at once, and nothing else follows from it.
//! Whoever can forge packets can thus provoke checks, a quarter of an interval apart, and no more.

use std::collections::BTreeSet;

use super::core::Core;
use super::live::Live;
use crate::config::Forward;
use crate::control::error::told;
use crate::health::Cause;
use crate::pool::path;

impl<D: Live> Core<D> {
    /// Looks whether backends have fallen silent under traffic.
    pub(super) fn look(&mut self) {
        // In the other modes replies pass the node by. What is down already is not waited for.
        let heard = self.desired.backends().filter(|(pool, _)| pool.forward == Forward::Nat);
        let heard = heard.map(|(pool, backend)| path(&pool.name, &backend.name));
        let up = heard.filter(|path| self.is_up(path));
        let ids: Vec<u32> = up.filter_map(|path| self.planner.ids().backends.get(&path)).collect();
        match self.datapath.traffic(&ids) {
            Ok(traffic) => {
                let silent = self.silence.look(&traffic);
                if !silent.is_empty() {
                    log::debug!("the backends with the numbers {silent:?} answer nothing any more; checking");
                    self.check_now(&silent, Cause::Silent);
                }
            }
            // Checks go on at their times.
            Err(error) => log::debug!("the traffic of backends can't be read: {}", told(&error)),
        }
    }

    /// Has the backends of these ids checked at once.
    pub(super) fn check_now(&self, ids: &[u32], cause: Cause) {
        let ids: BTreeSet<u32> = ids.iter().copied().collect();
        let paths = self.effective.backends().map(|(pool, backend)| path(&pool.name, &backend.name));
        let meant = |path: &String| self.planner.ids().backends.get(path).is_some_and(|id| ids.contains(&id));
        let paths: Vec<String> = paths.filter(meant).collect();
        self.prober.check_now(paths.iter().map(String::as_str), cause);
    }
}
