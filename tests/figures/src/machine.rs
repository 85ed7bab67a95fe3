//! Where, when and of what figures were taken: facts of the machine and of the clone that the benchmark was built from.

use std::{fmt, fs, process::Command};

use serde::{Deserialize, Serialize};

/// The machine that figures were taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub cpu: String,
    /// Processors of the machine, whether this process may use them or not.
    pub cpus: usize,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Version of the kernel, such as 6.18.4, without what a distributor adds to it.
    pub kernel: String,
}

impl Machine {
    /// The machine that this runs on. What it does not tell is "unknown", or 0.
    pub fn of_this() -> Self {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        let (processors, release) = (read("/proc/cpuinfo"), read("/proc/sys/kernel/osrelease"));
        let kernel = version(&release);
        Self {
            cpu: fields(&processors, "model name").next().map_or_else(unknown, str::to_owned),
            cpus: fields(&processors, "processor").count(),
            memory_mib: fields(&read("/proc/meminfo"), "MemTotal").next().map_or(0, kib) / 1024,
            kernel: if kernel.is_empty() { unknown() } else { kernel.to_owned() },
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.memory_mib as f64 / 1024.0;
        write!(f, "{}, {} CPUs, {gib:.1} GiB of memory, Linux {}", self.cpu, self.cpus, self.kernel)
    }
}

/// The commit that this was built from, and "with changes" where files other than the figures differ from it. "unknown" away
/// from a clone.
pub fn commit() -> String {
    let Some(head) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    // What benchmarks write themselves is no change of what they measure.
    let figures = [":(top)", ":(top,exclude)docs/benchmarks", ":(top,exclude)docs/benchmarks.md"];
    match git(&[&["status", "--porcelain", "--"], &figures[..]].concat()) {
        Some(changes) if changes.is_empty() => head,
        _ => format!("{head} with changes"),
    }
}

/// The day, in UTC, as 2026-01-31.
pub fn date() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What stands behind each `name` and a colon.
fn fields<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let value = move |line: &'a str| line.split_once(':').filter(|(key, _)| key.trim() == name);
    text.lines().filter_map(value).map(|(_, value)| value.trim())
}

/// The numbers that a release of the kernel begins with.
fn version(release: &str) -> &str {
    release.split(|letter: char| !letter.is_ascii_digit() && letter != '.').next().unwrap_or_default()
}

/// The number of `123 kB`, or 0.
fn kib(value: &str) -> u64 {
    value.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Machine, date, fields, kib, version};

    #[test]
    fn facts_are_read_from_proc() {
        let text = "processor\t: 0\nmodel name\t: Example CPU: 3 GHz\nmodel\t\t: 17\n\nprocessor\t: 1\n";
        assert_eq!(fields(text, "model name").next(), Some("Example CPU: 3 GHz"));
        assert_eq!(fields(text, "model").next(), Some("17"));
        assert_eq!(fields(text, "processor").count(), 2);
        assert_eq!(fields(text, "MemTotal").next(), None);
        assert_eq!(version("6.18.4-1-amd64\n"), "6.18.4");
        assert_eq!(version("6.6\n"), "6.6");
        assert_eq!(version(""), "");
        assert_eq!(kib("16384 kB"), 16_384);
        assert_eq!(kib(""), 0);
    }

    #[test]
    fn this_machine_is_known() {
        let machine = Machine::of_this();
        assert!(machine.cpus > 0 && machine.memory_mib > 0, "{machine:?}");
        assert!(machine.to_string().contains(&machine.kernel));
    }

    #[test]
    fn a_date_is_year_month_day() {
        let date = date();
        let parts: Vec<_> = date.split('-').map(str::len).collect();
        assert_eq!(parts, [4, 2, 2], "{date}");
    }
}
