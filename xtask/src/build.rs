//! `build`: the eBPF objects first, then the binary that embeds what it runs.

use std::{
    ffi::OsStr,
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    process,
    setup::{self, Need, Toolchain},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Let the program log every packet, at the level debug: for work on it, not for traffic
    #[arg(long)]
    log: bool,
}

/// Builds the eBPF objects and the release binary `siplb`.
pub(crate) fn run(args: &Args) -> Result<()> {
    with_features(Need::Toolchain, if args.log { &["log"] } else { &[] })
}

/// What [`run`] does, with the tools for `need` set up beforehand.
pub(crate) fn everything(need: Need) -> Result<()> {
    with_features(need, &[])
}

fn with_features(need: Need, features: &[&str]) -> Result<()> {
    let toolchain = setup::ensure(need)?;
    for object in objects_with(&toolchain, features)? {
        println!("build: {}", object.display());
    }
    let mut command = process::cargo();
    command.args(["build", "--release", "--package", "lb-user", "--features"]).arg(features.join(","));
    process::run(&mut command)?;
    println!("build: {}", process::target_dir().join("release/siplb").display());
    Ok(())
}

/// The ways in which lb-ebpf is built: what its objects' names end in, and the feature that makes the difference.
const VARIANTS: [(&str, Option<&str>); 2] = [("", None), ("-bpf-loop", Some("bpf-loop"))];

/// Builds every binary of lb-ebpf in every variant, and leaves each as `target/bpf/NAMEVARIANT.bpf.o`, whatever
/// `CARGO_TARGET_DIR` says: that is where lb-user's build script looks. The paths are those of the copies.
pub(crate) fn objects(toolchain: &Toolchain) -> Result<Vec<PathBuf>> {
    objects_with(toolchain, &[])
}

fn objects_with(toolchain: &Toolchain, features: &[&str]) -> Result<Vec<PathBuf>> {
    let folder = process::workspace().join("target/bpf");
    fs::create_dir_all(&folder)?;
    let mut objects = vec![];
    for (suffix, feature) in VARIANTS {
        let features: Vec<&str> = features.iter().copied().chain(feature).collect();
        for executable in compile(toolchain, &features)? {
            let name = executable.file_name().and_then(OsStr::to_str).context("a binary without a name")?;
            let object = folder.join(format!("{name}{suffix}.bpf.o"));
            // At once: the next variant's binary takes the place of this one.
            replace_if_changed(&executable, &object)?;
            objects.push(object);
        }
    }
    ensure!(!objects.is_empty(), "lb-ebpf has no binaries");
    Ok(objects)
}

/// Compiles lb-ebpf, shows what the compiler has to say, and returns the paths of the binaries where cargo left them.
fn compile(toolchain: &Toolchain, features: &[&str]) -> Result<Vec<PathBuf>> {
    // The compiler says this of every crate, and it is no news: the toolchain asks for that feature.
    const EXPECTED: &str = "unstable feature specified for `-Ctarget-feature`";
    let format = if io::stderr().is_terminal() { "json-diagnostic-rendered-ansi" } else { "json" };
    let mut command = toolchain.build()?;
    command.arg("--features").arg(features.join(",")).arg("--message-format").arg(format);
    let mut executables = vec![];
    process::each_line(&mut command, |line| {
        let message: Value = serde_json::from_str(line).context("cargo's messages are not JSON")?;
        let diagnostic = &message["message"];
        if let Some(rendered) = diagnostic["rendered"].as_str()
            && !diagnostic["message"].as_str().is_some_and(|text| text.starts_with(EXPECTED))
        {
            eprint!("{rendered}");
        }
        executables.extend(message["executable"].as_str().map(PathBuf::from));
        Ok(())
    })?;
    Ok(executables)
}

/// Makes `to` a copy of `from`. A copy that is there already keeps its time of change, so that nothing is built again for
/// it; one that changes does so at once, so that a build beside this one never reads half of it.
fn replace_if_changed(from: &Path, to: &Path) -> Result<()> {
    let wanted = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    let write = || -> io::Result<()> {
        let partial = to.with_extension(format!("{}.partial", std::process::id()));
        fs::File::create(&partial)?.write_all(&wanted)?;
        fs::rename(&partial, to)
    };
    write().with_context(|| format!("cannot write {}", to.display()))
}
