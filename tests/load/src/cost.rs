//! What a process group has cost: the scheduler's own figures, in nanoseconds.

use std::fs;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;

/// Time that all threads of all processes of a group have had a CPU, in nanoseconds (`/proc/PID/task/TID/schedstat`). On
/// kernels without `CONFIG_IRQ_TIME_ACCOUNTING` the interrupts that came meanwhile are in it.
///
/// # Errors
/// When `/proc` can't be read.
pub fn of_group(group: Pid) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_number(name)) else {
            continue;
        };
        // A process that ended in between has cost what it has cost; those that are measured stay.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if group_of(&stat) != Some(group.as_raw()) {
            continue;
        }
        for task in fs::read_dir(path.join("task")).into_iter().flatten().flatten() {
            sum += fs::read_to_string(task.path().join("schedstat")).map_or(0, |text| time_of(&text));
        }
    }
    Ok(sum)
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Its process group, behind the name in parentheses, which may hold anything: state, parent, group.
fn group_of(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// The first of three numbers: time on a CPU.
fn time_of(schedstat: &str) -> u64 {
    schedstat.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        assert_eq!(group_of("12 (a) b (c)) S 1 77 77 0 -1"), Some(77));
        assert_eq!(group_of("12"), None);
        assert_eq!(time_of("123456 7 8\n"), 123_456);
    }

    #[test]
    fn this_process_has_cost_something() {
        assert!(of_group(nix::unistd::getpgrp()).unwrap() > 0);
    }
}
