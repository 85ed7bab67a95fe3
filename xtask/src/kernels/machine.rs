//! The machine: QEMU, and what comes out of its serial console.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::packages::Packages;
use crate::{process, test::Tally};

/// How long the machine may take, in seconds. Emulated on two busy cores, it takes about four minutes.
const LIMIT_S: &str = "900";

/// What lines begin with that are for us; `init.sh` prints them.
const MARK: &str = "guest: ";

/// Boots the machine, shows what it prints, and counts.
pub(super) fn boot(packages: &Packages, image: &Path) -> Result<Tally> {
    let (program, root) = packages.qemu();
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "--kill-after=10", LIMIT_S])
        .arg(program)
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(packages.kernel()?)
        .arg("-initrd")
        .arg(image)
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .stdin(std::process::Stdio::null());
    if let Some(root) = root {
        let libraries = root.join("usr/lib/x86_64-linux-gnu");
        command
            .env("QEMU_MODULE_DIR", libraries.join("qemu"))
            .env("LD_LIBRARY_PATH", std::env::join_paths([libraries, root.join("lib/x86_64-linux-gnu")])?);
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(root.join(folder));
        }
    }
    let mut console = Console::default();
    let ended = process::each_line(&mut command, |line| {
        println!("{line}");
        console.take(line.trim_end());
        Ok(())
    });
    if let Err(error) = &ended {
        eprintln!("{error:#}");
    }
    Ok(console.tally(ended.is_ok()))
}

/// What was read so far.
#[derive(Default)]
struct Console {
    tally: Tally,
    /// Counted since the last program began.
    current: Tally,
    is_done: bool,
}

impl Console {
    fn take(&mut self, line: &str) {
        self.current.add(Tally::of_line(line).unwrap_or_default());
        let Some(words) = line.strip_prefix(MARK) else { return };
        match words.split(' ').collect::<Vec<_>>()[..] {
            ["ended", _, status] => {
                let mut of_program = std::mem::take(&mut self.current);
                // A program that counts nothing is one test; one that dies before it counts has failed.
                if status != "0" {
                    of_program.failed = of_program.failed.max(1);
                } else if of_program == Tally::default() {
                    of_program.passed = 1;
                }
                self.tally.add(of_program);
            }
            ["done"] => self.is_done = true,
            _ => {}
        }
    }

    /// The count, one failure more if the machine did not come to its end.
    fn tally(mut self, is_well: bool) -> Tally {
        if !self.is_done || !is_well {
            eprintln!("the machine did not come to its end");
            self.tally.failed += 1;
        }
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut console = Console::default();
        lines.iter().for_each(|line| console.take(line));
        console.tally(true)
    }

    #[test]
    fn what_the_console_says_is_counted() {
        let closing =
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s";
        assert_eq!(
            tally(&[closing, "guest: ended fixtures 101", "guest: ended daemon 0", "guest: done"]),
            Tally { passed: 13, failed: 3 }
        );
        assert_eq!(tally(&["guest: ended fixtures 139", "guest: done"]), Tally { passed: 0, failed: 1 });
        assert_eq!(tally(&["guest: ended daemon 0"]), Tally { passed: 1, failed: 1 });
        assert_eq!(tally(&[]), Tally { passed: 0, failed: 1 });
    }
}
