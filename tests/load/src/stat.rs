//! What the kernel says each CPU was busy with, in `/proc/stat`: samples, one a clock tick.

use std::{fs, ops::Sub};

use anyhow::{Context as _, Result};

/// Time of one CPU, in clock ticks of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// User space, but for what was made nice.
    pub user: u64,
    /// The kernel, on behalf of a process.
    pub system: u64,
    /// Interrupts.
    pub irq: u64,
    /// What interrupts left for later: packets.
    pub softirq: u64,
    /// What the hypervisor gave to others.
    pub steal: u64,
    /// Nothing at all, and what was made nice.
    pub idle: u64,
}

impl Stat {
    /// As it is now.
    ///
    /// # Errors
    /// When `/proc/stat` can't be read, or has no such CPU.
    pub fn of_cpu(cpu: usize) -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        Self::parse(&text, cpu).with_context(|| format!("/proc/stat has no CPU {cpu}"))
    }

    fn parse(text: &str, cpu: usize) -> Option<Self> {
        let title = format!("cpu{cpu} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&title))?;
        let all: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
        let [user, nice, system, idle, waiting, irq, softirq, steal, ..] = all[..] else { return None };
        Some(Self { user, system, irq, softirq, steal, idle: nice + idle + waiting })
    }

    /// The part of the time that was worked, from 0 to 1.
    pub fn share(&self) -> f64 {
        let busy = self.user + self.system + self.irq + self.softirq;
        busy as f64 / (busy + self.idle + self.steal).max(1) as f64
    }

    /// What was worked, in nanoseconds.
    pub fn busy_ns(&self) -> u64 {
        const TICK_NS: u64 = 10_000_000;
        (self.user + self.system + self.irq + self.softirq) * TICK_NS
    }
}

impl Sub for Stat {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
            irq: self.irq - earlier.irq,
            softirq: self.softirq - earlier.softirq,
            steal: self.steal - earlier.steal,
            // The kernel corrects this one downwards now and then.
            idle: self.idle.saturating_sub(earlier.idle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_cpu_counts() {
        let text = "cpu  1 2 3 4 5 6 7 8 0 0\ncpu0 9 9 9 9 9 9 9 9 0 0\ncpu1 10 900 30 4000 50 6 7 8 0 0\n";
        let stat = Stat::parse(text, 1).unwrap();
        assert_eq!(stat, Stat { user: 10, system: 30, irq: 6, softirq: 7, steal: 8, idle: 4_950 });
        assert!((stat.share() - 53.0 / 5_011.0).abs() < 1e-9);
        assert_eq!(stat.busy_ns(), 530_000_000);
        assert_eq!(Stat::parse(text, 2), None);
    }
}
