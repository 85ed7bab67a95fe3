//! How far a benchmark is: a bar on a terminal, lines elsewhere.

use std::{io::IsTerminal as _, sync::Mutex};

use indicatif::{ProgressBar, ProgressStyle};

/// The bar of the benchmark that runs; a process runs one.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Lines that a benchmark of many steps prints away from a terminal.
const LINES: usize = 20;

/// Says that `done` of `all` steps of a benchmark are done, and `what` comes next or was done. On a terminal that is a bar
/// which goes away with the last step; elsewhere a line on stderr, for benchmarks of many steps one in so many.
pub fn progress(bench: &str, done: usize, all: usize, what: &str) {
    if !std::io::stderr().is_terminal() {
        if is_told(done, all) {
            eprintln!("{bench}: {done} of {all}: {what}");
        }
        return;
    }
    let mut slot = BAR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let bar = slot.get_or_insert_with(|| {
        let style = ProgressStyle::with_template(
            "{prefix} {elapsed:>4} {bar:20} {human_pos} of {human_len} {wide_msg}",
        )
        .expect("a valid template");
        ProgressBar::new(0).with_style(style)
    });
    bar.set_prefix(bench.to_owned());
    bar.set_length(all as u64);
    bar.set_message(what.to_owned());
    bar.set_position(done as u64);
    if done >= all {
        bar.finish_and_clear();
        *slot = None;
    }
}

/// Whether a step has a line: the last, and one in every twentieth of all.
fn is_told(done: usize, all: usize) -> bool {
    let part = |done: usize| done * LINES / all.max(1);
    all <= LINES || done >= all || done == 0 || part(done) != part(done - 1)
}

#[cfg(test)]
mod tests {
    use super::{LINES, is_told};

    #[test]
    fn few_steps_have_a_line_each_and_many_some() {
        assert!((0..=20).all(|done| is_told(done, 20)));
        let told = (1..=1_000).filter(|done| is_told(*done, 1_000)).count();
        assert_eq!(told, LINES);
        assert!(is_told(1_000, 1_000) && is_told(31, 31) && is_told(0, 0));
    }
}
