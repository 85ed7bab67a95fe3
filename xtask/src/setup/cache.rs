//! Tools that cargo installs for this workspace alone, each version in a folder of its own below the user's cache: they
//! survive `cargo clean`, serve every checkout, and never shadow what the user has installed.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::Result;

use crate::process;

/// One program in one version, installed or not.
pub(crate) struct CachedTool {
    name: &'static str,
    version: &'static str,
    root: PathBuf,
}

impl CachedTool {
    /// `name` in `version`; `variant` tells builds of one version apart.
    pub(super) fn new(name: &'static str, version: &'static str, variant: &str) -> Self {
        Self { name, version, root: folder().join(format!("{name}-{version}{variant}")) }
    }

    /// The executable, which exists once the tool is installed.
    pub(crate) fn file(&self) -> PathBuf {
        self.root.join("bin").join(self.name)
    }

    /// Builds the tool from its source, with what `options` adds to the command.
    pub(super) fn cargo_install(&self, options: impl FnOnce(&mut Command)) -> Result<()> {
        println!("setup: will build {} {} into {}", self.name, self.version, self.root.display());
        let mut command = Command::new(process::host_cargo());
        process::without_host_build(&mut command)
            .args(["install", "--locked", "--force", "--version", self.version])
            .arg("--root")
            .arg(&self.root)
            .arg(self.name);
        options(&mut command);
        process::with_progress(&format!("cargo install {} {}", self.name, self.version), command)
    }

    /// Fetches the tool as its project builds it; cargo-binstall is installed in its turn where it is missing.
    pub(super) fn cargo_binstall(&self) -> Result<()> {
        println!("setup: will fetch {} {} into {}", self.name, self.version, self.root.display());
        let binstall = match process::find_program("cargo-binstall") {
            Some(file) => file,
            None => cargo_tool("cargo-binstall", "1.24.0")?,
        };
        fs::create_dir_all(&self.root)?;
        let mut command = Command::new(binstall);
        process::without_host_build(&mut command)
            .args(["--no-confirm", "--force", "--root"])
            .arg(&self.root)
            .arg(format!("{}@{}", self.name, self.version));
        process::with_progress(&format!("cargo binstall {} {}", self.name, self.version), command)
    }
}

/// The executable of a tool from the crates registry, installed first if it is not there.
pub(crate) fn cargo_tool(name: &'static str, version: &'static str) -> Result<PathBuf> {
    let tool = CachedTool::new(name, version, "");
    if !tool.file().is_file() {
        tool.cargo_install(|_| ())?;
    }
    Ok(tool.file())
}

/// The folder of all cached tools: below the user's cache, or the workspace's target where there is no home.
pub(super) fn folder() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .unwrap_or_else(|| process::workspace().join("target"));
    cache.join("siplb-tools")
}
