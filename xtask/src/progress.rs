//! One line that says what is going on: rewritten in place on a terminal, one plain line a step elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of a verb; the line vanishes with the value.
pub(crate) struct Progress {
    verb: &'static str,
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new(verb: &'static str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { verb, bar, is_terminal }
    }

    /// A step without countable parts.
    pub(crate) fn step(&self, what: &str) {
        self.begin(what, "{spinner} {elapsed:>4}  {prefix}");
    }

    /// A step of `total` parts: see [`Progress::done`].
    pub(crate) fn counted_step(&self, what: &str, total: u64) {
        self.bar.set_position(0);
        self.begin(what, "{spinner} {elapsed:>4}  {prefix} {bar:20} {human_pos} of {human_len}");
        self.bar.set_length(total);
    }

    /// How many parts of the step are done.
    pub(crate) fn done(&self, parts: u64) {
        self.bar.set_position(parts);
    }

    /// What is going on in a step that takes long: for who watches a terminal.
    pub(crate) fn show(&self, what: String) {
        self.bar.set_prefix(what);
    }

    /// Takes the line away, for what comes after the last step.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn begin(&self, what: &str, template: &str) {
        self.bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        self.bar.set_prefix(what.to_owned());
        if !self.is_terminal {
            eprintln!("    {}: {what}", self.verb);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
