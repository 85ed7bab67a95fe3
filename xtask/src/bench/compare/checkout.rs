//! A side of the comparison, built: the files as they are, or a commit in a git worktree below target/compare.
//!
//! The worktrees share one target folder for the crates of others, which most of the time of building goes to. Cargo names
//! what it builds of a workspace alike wherever the workspace is, and trusts times of change; so what it has there of one
//! commit's own crates is removed before another's are built, and a benchmark is copied away before that.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use serde_json::Value;

use crate::{
    build, process,
    setup::{self, Need},
};

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The files of this workspace, committed or not.
    Worktree,
    /// A commit, and how it was called.
    Commit { hash: String, called: String },
}

/// Where a side is built.
pub(super) struct Checkout {
    side: Side,
}

impl Side {
    /// Understands `worktree`, and whatever git does.
    pub(super) fn of(called: &str) -> Result<Self> {
        if called == "worktree" {
            return Ok(Self::Worktree);
        }
        let wanted = format!("{called}^{{commit}}");
        let hash =
            process::output(git().args(["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]))
                .with_context(|| format!("git knows no commit {called:?}"))?;
        Ok(Self::Commit { hash: hash.trim().to_owned(), called: called.to_owned() })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worktree => write!(f, "worktree"),
            Self::Commit { hash, .. } => write!(f, "{}", &hash[..12]),
        }
    }
}

impl Checkout {
    pub(super) fn of(side: &Side) -> Self {
        Self { side: side.clone() }
    }

    /// Builds it, and returns the path of its benchmark, which finds its eBPF objects by itself.
    pub(super) fn build(&self) -> Result<PathBuf> {
        match &self.side {
            Side::Worktree => {
                build::objects(&setup::ensure(Need::Toolchain)?)?;
                built_copy(process::cargo(), &folder().join("worktree.bench"))
            }
            Side::Commit { hash, called } => self.build_commit(hash, called),
        }
    }

    fn build_commit(&self, hash: &str, called: &str) -> Result<PathBuf> {
        let (tree, bench) = (self.tree(), self.bench());
        if bench.is_file() && tree.is_dir() {
            eprintln!("compare: {called} ({}) is built already", self.side);
            return Ok(bench);
        }
        process::output(git().args(["worktree", "prune"]))?;
        if !tree.is_dir() {
            process::output(git().args(["worktree", "add", "--detach"]).arg(&tree).arg(hash))?;
        }
        let cargo = || {
            let mut command = Command::new(process::host_cargo());
            command.current_dir(&tree).env("CARGO_TARGET_DIR", folder().join("build"));
            // Nobody debugs what is built there, and it is much smaller so.
            command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
            command
        };
        for profile in ["dev", "release"] {
            process::output(cargo().args(["clean", "--quiet", "--workspace", "--profile", profile]))?;
        }
        let mut own = cargo();
        own.args(["xtask", "build"]);
        process::with_progress(&format!("build {called} ({})", self.side), own)?;
        built_copy(cargo(), &bench)
    }

    /// Takes the worktree away, if it is one, and what is built in it.
    pub(super) fn remove(&self) -> Result<()> {
        let (tree, bench) = (self.tree(), self.bench());
        if self.side != Side::Worktree && tree.is_dir() {
            process::output(git().args(["worktree", "remove", "--force"]).arg(&tree))?;
        }
        if bench.is_file() {
            fs::remove_file(&bench).with_context(|| format!("cannot remove {}", bench.display()))?;
        }
        Ok(())
    }

    fn tree(&self) -> PathBuf {
        folder().join(self.side.to_string())
    }

    fn bench(&self) -> PathBuf {
        folder().join(format!("{}.bench", self.side))
    }
}

/// Keeps another comparison from building in the same folder, for as long as the value lives.
pub(super) fn lock() -> Result<Flock<fs::File>> {
    let path = folder().join("lock");
    fs::create_dir_all(folder())?;
    let file = fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => anyhow!("another comparison is under way here: wait for its end"),
        error => anyhow!("cannot lock {}: {error}", path.display()),
    })
}

/// Where everything is that is built for comparisons.
fn folder() -> PathBuf {
    process::workspace().join("target/compare")
}

fn git() -> Command {
    let mut command = Command::new("git");
    command.current_dir(process::workspace());
    command
}

/// Builds the benchmark by the given cargo, and copies it.
fn built_copy(mut cargo: Command, to: &Path) -> Result<PathBuf> {
    cargo.args(["bench", "--quiet", "--no-run", "--package", "siplb-tests", "--bench", "datapath"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let mut executable = None;
    process::each_line(&mut cargo, |line| {
        let message: Value = serde_json::from_str(line).context("cargo's messages are not JSON")?;
        if message["target"]["name"] == "datapath" {
            executable = message["executable"].as_str().map(PathBuf::from).or(executable.take());
        }
        Ok(())
    })?;
    let executable = executable.context("cargo built no benchmark `datapath`")?;
    ensure!(executable.is_file(), "cargo left no {}", executable.display());
    // In one step: what an interrupted copy left would be taken for a benchmark the next time.
    let partial = to.with_extension("partial");
    fs::copy(&executable, &partial)
        .and_then(|_| fs::rename(&partial, to))
        .with_context(|| format!("cannot copy {} to {}", executable.display(), to.display()))?;
    Ok(to.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Side;

    #[test]
    fn revisions_are_what_git_understands() {
        assert_eq!(Side::of("worktree").unwrap(), Side::Worktree);
        let head = Side::of("HEAD").unwrap();
        assert_eq!(head.to_string().len(), 12);
        assert!(matches!(&head, Side::Commit { called, .. } if called == "HEAD"));
        let error = Side::of("no-such-branch").unwrap_err().to_string();
        assert!(error.contains("no commit \"no-such-branch\""), "{error}");
        assert!(Side::of("--help").is_err());
    }
}
