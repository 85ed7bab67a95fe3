//! What stands while a test plays: a lab, the servers in it, the daemon; and the words in which tests ask about them.
//!
//! Every test goes through [`on_stage`]. One stage stands at a time: two at once would measure how two cores are shared.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use siplb_lab::sipp::Scenario;
use siplb_lab::topology::DOMAIN;
use siplb_lab::{Kamailio, Lab, Process, Proxy, Shape, Siplb, Sipp, Tally, siplb};

/// Registrations and calls a second: few enough that whatever fails was not for want of time.
const REGISTER_RATE: u32 = 400;
const CALL_RATE: u32 = 100;
/// Longest time that a verb can take, and a `siplb run` that is to be refused.
const VERB_SECONDS: &str = "20";
/// How much of the daemon's log a failure shows.
const LOG_LINES: usize = 40;

static TURN: Mutex<()> = Mutex::new(());

/// Sets a stage of this shape, or with as many backends, and plays `test` on it. All of it is gone afterwards.
///
/// # Panics
/// When the test fails; the end of siplb's log is shown with the reason.
pub(crate) fn on_stage(name: &str, shape: impl Into<Shape>, test: impl FnOnce(&mut Stage) -> Result<()>) {
    let played = Stage::set(&format!("siplb-e2e-{name}"), shape.into()).and_then(|mut stage| {
        let played = test(&mut stage);
        if played.is_err() {
            stage.show_log();
        }
        played
    });
    if let Err(error) = played {
        panic!("{error:#}");
    }
}

/// Everything that runs. The order of the fields is the order in which it ends: the network last.
pub(crate) struct Stage {
    phones: Option<Process>,
    siplb: Option<Siplb>,
    peer: Option<Siplb>,
    servers: Vec<Kamailio>,
    pub(crate) lab: Lab,
    binary: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// How a verb ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// # Errors
    /// When it did not end with this code and one sentence that contains `sentence`.
    pub(crate) fn expect_refusal(&self, code: i32, sentence: &str) -> Result<()> {
        // What the daemon logs before it gives up begins with a time in brackets.
        let complaints: Vec<&str> = self.stderr.lines().filter(|line| !line.starts_with('[')).collect();
        ensure!(self.code == Some(code), "expected exit code {code} and \"{sentence}\", got {self:?}");
        ensure!(
            matches!(complaints[..], [one] if one.starts_with("siplb: ") && one.contains(sentence)),
            "expected one sentence with \"{sentence}\", got {complaints:#?}"
        );
        Ok(())
    }

    /// # Errors
    /// When it failed, or printed something else than lines of JSON.
    pub(crate) fn json_lines(&self) -> Result<Vec<Value>> {
        ensure!(self.code == Some(0), "{self:?}");
        self.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }
}

impl Stage {
    fn set(name: &str, shape: Shape) -> Result<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let binary = binary()?;
        let lab = Lab::create(name, shape)?;
        Ok(Self { phones: None, siplb: None, peer: None, servers: Vec::new(), lab, binary, _turn: turn })
    }

    /// Starts a registrar on every backend, the users' phones, and siplb with the lab's own configuration.
    pub(crate) fn start_all(&mut self) -> Result<()> {
        self.start_servers()?;
        self.start_siplb(&siplb::config(&self.lab))
    }

    /// Starts a registrar on every backend, and the users' phones.
    pub(crate) fn start_servers(&mut self) -> Result<()> {
        for host in &self.lab.topology().backends {
            self.servers.push(Kamailio::start(host, &self.lab.folder())?);
        }
        self.phones = Some(Sipp::answer(&self.lab)?);
        Ok(())
    }

    /// Starts a proxy that stays in the dialog on every backend, and siplb with its alias; what both are like, `proxy` and
    /// `service` say.
    pub(crate) fn start_proxies(&mut self, proxy: Proxy, service: &siplb::Service<'_>) -> Result<()> {
        for host in &self.lab.topology().backends {
            self.servers.push(Kamailio::start_proxy(&self.lab, host, proxy)?);
        }
        self.start_siplb(&siplb::config_for(&self.lab, service))
    }

    /// What each proxy has counted.
    pub(crate) fn counts(&self, what: &str) -> Result<Vec<u64>> {
        self.servers.iter().map(|server| server.count(what)).collect()
    }

    /// Starts the daemon.
    pub(crate) fn start_siplb(&mut self, config: &str) -> Result<()> {
        self.start_siplb_as(&self.binary.clone(), config)
    }

    /// Starts the daemon by another program, which is to run it in its own place.
    pub(crate) fn start_siplb_as(&mut self, binary: &Path, config: &str) -> Result<()> {
        self.siplb = Some(Siplb::start(&self.lab, binary, config)?);
        Ok(())
    }

    /// Starts the daemon of the second node, with the first one's configuration.
    pub(crate) fn start_peer(&mut self, config: &str) -> Result<()> {
        self.peer = Some(Siplb::start_peer(&self.lab, &self.binary, config)?);
        Ok(())
    }

    pub(crate) fn peer(&self) -> &Siplb {
        self.peer.as_ref().expect("the test has started the second node")
    }

    /// The program under test.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// SIGKILL to the daemon.
    pub(crate) fn kill_siplb(&mut self) {
        self.siplb = None;
    }

    pub(crate) fn siplb(&self) -> &Siplb {
        self.siplb.as_ref().expect("the test has started siplb")
    }

    /// What the daemon has written since it was started last.
    pub(crate) fn siplb_log(&self) -> String {
        fs::read_to_string(self.lab.folder().join("siplb.log")).unwrap_or_default()
    }

    /// Runs siplb in the node's namespace, whatever comes of it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Ended> {
        self.run_by(&[], arguments)
    }

    /// The same, started by another program: `by` is that and its arguments.
    pub(crate) fn run_by(&self, by: &[&str], arguments: &[&str]) -> Result<Ended> {
        self.run_by_binary(by, &self.binary, arguments)
    }

    /// The same, with another copy of siplb.
    pub(crate) fn run_by_binary(&self, by: &[&str], binary: &Path, arguments: &[&str]) -> Result<Ended> {
        let mut command: Command = self.lab.topology().node.command("timeout");
        command.arg(VERB_SECONDS).args(by).arg(binary).args(arguments);
        let output = command.output().context("`nsenter` and `timeout` of util-linux and coreutils run")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// Asks the daemon for its status.
    pub(crate) fn status(&self) -> Result<Value> {
        self.siplb().ask(&["status"])
    }

    /// Packets that were counted under a reason.
    pub(crate) fn packets(&self, reason: &str) -> Result<u64> {
        Ok(self.status()?["reasons"][reason]["packets"].as_u64().unwrap_or(0))
    }

    /// Runs a verb for the daemon, whatever comes of it.
    pub(crate) fn try_verb(&self, verb: &[&str]) -> Result<Ended> {
        let socket = self.siplb().socket().display().to_string();
        self.run(&[&["--socket", &socket, "--json"], verb].concat())
    }

    /// The digest of the one lookup table.
    pub(crate) fn digest(&self) -> Result<String> {
        let digest = self.siplb().ask(&["digest"])?["digest"].as_str().map(str::to_owned);
        digest.context("a digest is text")
    }

    /// Who owns each user, by `siplb lookup`.
    pub(crate) fn owners(&self, users: &[String]) -> Result<BTreeMap<String, String>> {
        let owner = |user: &String| {
            let answer = self.siplb().ask(&["lookup", &format!("sip:{user}@{DOMAIN}")])?;
            let backend = answer["backend"].as_str().with_context(|| format!("no owner in {answer}"))?;
            Ok((user.clone(), backend.to_owned()))
        };
        users.iter().map(owner).collect()
    }

    /// The users on each server, by the servers' own word.
    pub(crate) fn registrations(&self) -> Result<BTreeMap<String, Vec<String>>> {
        self.servers.iter().map(|server| Ok((server.name().to_owned(), server.users()?))).collect()
    }

    /// One registration for each of `users`, all of which must succeed.
    pub(crate) fn register(&self, users: &[String]) -> Result<()> {
        let calls = users.len() as u64;
        let run = Sipp::start(&self.lab, "register", Scenario::Register, users, calls, REGISTER_RATE)?;
        let tally = run.finish(|_| ())?;
        ensure!(tally.count("registered") == calls, "of {calls} users not all registered: {tally:?}");
        Ok(())
    }

    /// OPTIONS to `users`, one after the other and so many a second, for as many seconds; nothing is sent twice. They run
    /// while the test goes on.
    pub(crate) fn begin_options(&self, users: &[String], rate: u32, seconds: u32) -> Result<Sipp> {
        let calls = u64::from(rate) * u64::from(seconds);
        Sipp::start(&self.lab, "options", Scenario::Options, users, calls, rate)
    }

    /// `calls` calls to `users`, one after the other; they run while the test goes on.
    pub(crate) fn begin_calls(&self, users: &[String], calls: u64) -> Result<Sipp> {
        Sipp::start(&self.lab, "call", Scenario::Call, users, calls, CALL_RATE)
    }

    /// One complete call to each of `users`, all of which must succeed.
    pub(crate) fn call(&self, users: &[String]) -> Result<()> {
        all_complete(&self.begin_calls(users, users.len() as u64)?.finish(|_| ())?)
    }

    /// How many of the node's interfaces carry an XDP program, by the kernel's word.
    pub(crate) fn xdp_programs(&self) -> Result<usize> {
        Ok(self.lab.topology().node.ip("link")?.matches("prog/xdp").count())
    }

    /// What is pinned: maps, programs and links.
    pub(crate) fn pins(&self) -> Result<Vec<PathBuf>> {
        pinned_below(&self.lab.pin_dir())
    }

    /// SIGKILL to a server, and with that to all that it remembers.
    pub(crate) fn kill_server(&mut self, name: &str) -> Result<()> {
        let place = self.servers.iter().position(|server| server.name() == name);
        self.servers.remove(place.with_context(|| format!("{name} does not run"))?).kill();
        Ok(())
    }

    /// A server that runs.
    pub(crate) fn server(&self, name: &str) -> Result<&Kamailio> {
        let server = self.servers.iter().find(|server| server.name() == name);
        server.with_context(|| format!("{name} does not run"))
    }

    /// Starts a killed server again, with an empty memory.
    pub(crate) fn start_server(&mut self, name: &str) -> Result<()> {
        let mut hosts = self.lab.topology().backends.iter();
        let host = hosts.find(|host| host.name == name).with_context(|| format!("there is no {name}"))?;
        self.servers.push(Kamailio::start(host, &self.lab.folder())?);
        Ok(())
    }

    fn show_log(&self) {
        let log = self.siplb_log();
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(LOG_LINES)..];
        eprintln!("the end of siplb's log:\n{}", end.join("\n"));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_log();
        }
    }
}

/// # Errors
/// When a call was not complete, or there was none.
pub(crate) fn all_complete(tally: &Tally) -> Result<()> {
    ensure!(
        tally.calls > 0 && tally.count("completed") == tally.calls && tally.failed == 0,
        "not all calls were complete: {tally:?}"
    );
    Ok(())
}

/// As many users: `u0001`, `u0002` ...
pub(crate) fn users(count: u32) -> Vec<String> {
    (1..=count).map(|number| format!("u{number:04}")).collect()
}

fn pinned_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pins = Vec::new();
    match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        entries => {
            for entry in entries? {
                let path = entry?.path();
                if path.is_dir() {
                    pins.extend(pinned_below(&path)?);
                } else {
                    pins.push(path);
                }
            }
        }
    }
    Ok(pins)
}

fn binary() -> Result<PathBuf> {
    let built = || {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        workspace.join(target).join("release/siplb")
    };
    let binary = env::var_os("SIPLB_BINARY").map_or_else(built, PathBuf::from);
    ensure!(binary.is_file(), "there is no {}: run `cargo xtask build`", binary.display());
    Ok(binary)
}
