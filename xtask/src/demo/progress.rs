//! One line that says what is going on: rewritten in place on a terminal, one plain line a step elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of the demo; the line vanishes with the value.
pub(super) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, is_terminal }
    }

    /// A step without countable parts.
    pub(super) fn step(&self, what: &str) {
        self.begin(what, "{spinner} {elapsed:>4}  {prefix}");
    }

    /// A step of `total` parts: see [`Progress::done`].
    pub(super) fn counted_step(&self, what: &str, total: u64) {
        self.bar.set_position(0);
        self.begin(what, "{spinner} {elapsed:>4}  {prefix} {bar:20} {human_pos} of {human_len}");
        self.bar.set_length(total);
    }

    /// How many parts of the step are done.
    pub(super) fn done(&self, parts: u64) {
        self.bar.set_position(parts);
    }

    /// Takes the line away, for what comes after the last step.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn begin(&self, what: &str, template: &str) {
        self.bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        self.bar.set_prefix(what.to_owned());
        if !self.is_terminal {
            eprintln!("    demo: {what}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
