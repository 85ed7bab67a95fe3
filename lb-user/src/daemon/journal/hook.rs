//! The operator's program of `on-change`: called for every entry of the journal, one call at a time.
//!
//! There is no shell: the program is started with no arguments, the entry in its environment (`SIPLB_EVENT`, `SIPLB_SEQ`,
//! `SIPLB_TIME`, `SIPLB_SUBJECT`, `SIPLB_REASON`, `SIPLB_WHO`) and as one line of JSON on its standard input. Its standard
//! output goes nowhere, its standard error to that of the daemon.
//!
//! Invariant: the daemon waits for none of it. Entries wait in a queue of 256; what finds it full is not told to the program,
//! and stands in the journal all the same. A call that takes longer than 10 s is ended, with all that it has started.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Entry;

/// Entries that wait for the program.
const WAITING: usize = 256;
/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Calls one program, until it is dropped.
#[derive(Debug)]
pub(super) struct Hook {
    program: PathBuf,
    queue: Sender<Entry>,
    task: JoinHandle<()>,
    /// How many entries in a row found the queue full.
    missed: u64,
}

impl Hook {
    /// For this program, which need not be there yet. Must be called within a tokio runtime.
    pub(super) fn new(program: &Path) -> Self {
        Self::with_limit(program, LIMIT)
    }

    fn with_limit(program: &Path, limit: Duration) -> Self {
        let (queue, entries) = mpsc::channel(WAITING);
        let task = tokio::spawn(serve(program.to_owned(), limit, entries));
        Self { program: program.to_owned(), queue, task, missed: 0 }
    }

    /// The program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Has the program told of an entry when its turn comes.
    pub(super) fn tell(&mut self, entry: &Entry) {
        let program = self.program.display();
        match self.queue.try_send(entry.clone()) {
            Ok(()) if self.missed > 0 => {
                log::warn!("{program} was not told of {} events, and is told again", self.missed);
                self.missed = 0;
            }
            Ok(()) => {}
            Err(_) => {
                if self.missed == 0 {
                    log::error!(
                        "{program} is too slow: {WAITING} events wait for it, and what comes is not told"
                    );
                }
                self.missed += 1;
            }
        }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(program: PathBuf, limit: Duration, mut entries: Receiver<Entry>) {
    while let Some(entry) = entries.recv().await {
        if let Err(failure) = call(&program, limit, &entry).await {
            log::error!(
                "on-change: {} for event {} ({}): {failure}",
                program.display(),
                entry.seq,
                entry.event
            );
        }
    }
}

/// Why a call did not end well.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("can't be started ({0}); mend on-change, or make it executable")]
    Start(io::Error),
    #[error("can't be waited for ({0})")]
    Wait(io::Error),
    #[error("took longer than {} s and was ended", LIMIT.as_secs())]
    Slow,
    #[error("ended with {}", ending(*.0))]
    Ended(std::process::ExitStatus),
}

fn ending(status: std::process::ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "neither code nor signal".to_owned(),
    }
}

async fn call(program: &Path, limit: Duration, entry: &Entry) -> Result<(), Failure> {
    let mut child = start(program, entry).map_err(Failure::Start)?;
    let input = child.stdin.take();
    let line = serde_json::to_string(entry).map_err(|error| Failure::Start(error.into()))? + "\n";
    let run = async {
        if let Some(mut input) = input {
            // One that doesn't read it is no failure.
            drop(input.write_all(line.as_bytes()).await);
        }
        child.wait().await
    };
    match timeout(limit, run).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(Failure::Ended(status)),
        Ok(Err(error)) => Err(Failure::Wait(error)),
        Err(_) => {
            end(&mut child).await;
            Err(Failure::Slow)
        }
    }
}

fn start(program: &Path, entry: &Entry) -> io::Result<Child> {
    let Entry { seq, time, event, subject, reason, who } = entry;
    Command::new(program)
        .env("SIPLB_EVENT", event.name())
        .env("SIPLB_SEQ", seq.to_string())
        .env("SIPLB_TIME", time)
        .env("SIPLB_SUBJECT", subject)
        .env("SIPLB_REASON", reason)
        .env("SIPLB_WHO", who)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Kills a program and what it has started.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok())
        && let Err(error) = killpg(Pid::from_raw(pid), Signal::SIGKILL)
    {
        log::warn!("a program of on-change can't be ended: {error}");
    }
    drop(child.wait().await);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::super::Kind;
    use super::*;

    fn entry() -> Entry {
        Entry {
            seq: 7,
            time: "2026-01-02T03:04:05.678Z".into(),
            event: Kind::BackendDown,
            subject: "p/a1".into(),
            reason: "$(touch x); no answer".into(),
            who: "checks".into(),
        }
    }

    /// A program that runs `script`; its folder.
    fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\ncd {}\n{script}\n", folder.path().display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, program)
    }

    #[tokio::test]
    async fn a_program_is_told_by_environment_and_input() {
        let (folder, program) = program("cat > input; env | grep ^SIPLB_ | sort > environment");
        call(&program, LIMIT, &entry()).await.unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&read("input")).unwrap(), entry());
        assert_eq!(
            read("environment"),
            "SIPLB_EVENT=backend-down\nSIPLB_REASON=$(touch x); no answer\nSIPLB_SEQ=7\nSIPLB_SUBJECT=p/a1\n\
             SIPLB_TIME=2026-01-02T03:04:05.678Z\nSIPLB_WHO=checks\n"
        );
    }

    #[tokio::test]
    async fn whatever_a_program_does_it_is_told_and_over() {
        let (_folder, failing) = program("exit 3");
        let failure = call(&failing, LIMIT, &entry()).await.unwrap_err().to_string();
        assert_eq!(failure, "ended with exit code 3");
        let failure = call(Path::new("/nowhere/program"), LIMIT, &entry()).await.unwrap_err();
        assert!(matches!(failure, Failure::Start(_)), "{failure}");
        // The sleep is a child of the program's, and must not outlive it.
        let (folder, slow) = program("(sleep 2; touch late) & wait");
        let started = Instant::now();
        let failure = call(&slow, Duration::from_millis(200), &entry()).await.unwrap_err();
        assert!(matches!(failure, Failure::Slow) && started.elapsed() < Duration::from_secs(2), "{failure}");
        tokio::time::sleep(Duration::from_millis(2_200)).await;
        assert!(!folder.path().join("late").exists());
    }

    #[tokio::test]
    async fn a_slow_program_holds_up_nobody() {
        let (folder, program) = program("sleep 0.2; echo $SIPLB_SEQ >> told");
        let mut hook = Hook::new(&program);
        let started = Instant::now();
        for seq in 0..2_000 {
            hook.tell(&Entry { seq, ..entry() });
        }
        assert!(started.elapsed() < Duration::from_secs(1) && hook.missed >= 2_000 - WAITING as u64 - 1);
        let told = async {
            while fs::read_to_string(folder.path().join("told")).unwrap_or_default() != "0\n1\n" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), told).await.expect("one after the other");
    }
}
