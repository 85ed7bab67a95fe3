//! Running other programs: the one place that knows how their output, their failure and their environment are treated.

use std::{
    env,
    ffi::OsString,
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, IsTerminal as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The cargo that runs this xtask, in the root of the workspace. `CARGO_TARGET_DIR` counts, as in any cargo command.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(host_cargo());
    command.current_dir(workspace());
    command
}

/// The path of the cargo that runs this xtask, or the name by which the shell would find one.
pub(crate) fn host_cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// Where [`cargo`] leaves what it builds.
pub(crate) fn target_dir() -> PathBuf {
    workspace().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Takes out of `command`'s environment what cargo and rustup said to this process about another build: its compiler,
/// its flags, its target folder. Where registries are and how they are reached stays.
pub(crate) fn without_host_build(command: &mut Command) -> &mut Command {
    const PREFIXES: [&str; 8] = [
        "CARGO_BUILD_",
        "CARGO_CFG_",
        "CARGO_ENCODED_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "RUSTC",
    ];
    const NAMES: [&str; 6] =
        ["CARGO", "LD_LIBRARY_PATH", "RUSTDOC", "RUSTDOCFLAGS", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if NAMES.contains(&text) || PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `command` with this terminal as its own; an exit code other than 0 is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    succeeded(&line(command), status)
}

fn succeeded(name: &str, status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "`{name}` ended with {status}");
    Ok(())
}

/// Runs `command` and returns what it printed on stdout; its stderr is part of the error when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", line(command), output.status, stderr.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` and hands over each line that it prints on stdout, as it comes; its stderr is this terminal.
pub(crate) fn each_line(command: &mut Command, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let name = line(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{name}`"))?;
    for text in BufReader::new(child.stdout.take().context("stdout is piped")?).lines() {
        take(&text?)?;
    }
    succeeded(&name, child.wait()?)
}

/// Runs a long `command` under a spinner that shows the last line it printed, or, away from a terminal, between two plain
/// lines. Its output is shown in full only when it fails.
pub(crate) fn with_progress(title: &str, mut command: Command) -> Result<()> {
    let name = line(&command);
    let started = Instant::now();
    let spinner = spinner(title);
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
    drop(command); // its ends of the pipe would keep the reader below waiting

    let mut printed = String::new();
    for text in BufReader::new(reader).lines() {
        let text = text.unwrap_or_default();
        spinner.set_message(text.trim().to_owned());
        writeln!(printed, "{text}")?;
    }
    let status = child.wait()?;
    spinner.finish_and_clear();
    if !status.success() {
        eprint!("{printed}");
    }
    succeeded(&name, status)?;
    eprintln!("    done: {title} ({:.0} s)", started.elapsed().as_secs_f32());
    Ok(())
}

fn spinner(title: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        eprintln!("   start: {title}");
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>4}  {wide_msg:.dim}")
        .expect("a valid template");
    let spinner = ProgressBar::new_spinner().with_style(style).with_prefix(title.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// The first file called `program` on PATH or in the system's folders, which an ordinary user's PATH may lack.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// PATH with `folder` put before everything else.
pub(crate) fn path_with(folder: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([folder.to_owned()].into_iter().chain(env::split_paths(&path)))?)
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// `command` as one would type it, without its environment.
fn line(command: &Command) -> String {
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
