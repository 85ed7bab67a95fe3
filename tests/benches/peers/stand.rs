//! A contender in its lab, with the sink on each server: what is measured.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use nix::unistd::Pid;
use siplb_lab::{Lab, Netns, process::output, topology::CALLERS, topology::VIP};
use siplb_load::{Ends, Messages, Programs, bind_thread, programs::On, put_first};

use crate::{
    CONTENDER_CPU,
    contender::{Contender, Running},
};

/// Servers behind each contender.
const SERVERS: u8 = 4;
/// Users that messages are for.
pub(crate) const USERS: u32 = 10_000;
/// The node's interface towards the client.
const INTERFACE: &str = "c0";
/// After the last frame, until nothing more arrives.
const QUIET: Duration = Duration::from_millis(20);

/// Everything of one contender. The order of the fields is the order in which it ends: the network last.
pub(crate) struct Stand {
    pub(crate) contender: Contender,
    pub(crate) running: Running,
    _on: Vec<On>,
    messages: Messages,
    /// The thread that polls the client's wire, once there was one.
    poller: Option<Pid>,
    pub(crate) lab: Lab,
}

impl Stand {
    /// Builds the lab and puts everything in its place.
    pub(crate) fn set(contender: Contender, programs: &mut Programs, binary: &Path) -> Result<Self> {
        let lab = Lab::create(contender.lab(), SERVERS)?;
        let topology = lab.topology();
        let mut on = Vec::new();
        for host in &topology.backends {
            on.push(programs.sink_on(&host.netns, "eth0")?);
        }
        if contender == Contender::Wire {
            let outlets: Vec<String> = topology.backends.iter().map(|host| host.name.clone()).collect();
            on.push(programs.wire_on(&topology.node, INTERFACE, &outlets)?);
        }
        let ends = Ends {
            from_mac: mac(&topology.client, "eth0")?,
            to_mac: mac(&topology.node, INTERFACE)?,
            from: CALLERS,
            vip: VIP,
        };
        let running =
            contender.start(&lab, binary).with_context(|| format!("{} does not start", contender.name()))?;
        Ok(Self { contender, running, _on: on, messages: Messages::mixed(&ends), poller: None, lab })
    }

    /// Aims the generator at it, and begins a run.
    pub(crate) fn aim(&self, programs: &mut Programs) -> Result<()> {
        let topology = self.lab.topology();
        let destinations = self.contender.destinations(&self.lab);
        let (client, servers) = (&topology.client, topology.backends.len());
        programs.aim(client, "eth0", &self.messages, USERS, servers, &destinations)?;
        programs.forget_users()?;
        programs.begin(self.contender.has_owners())
    }

    /// Waits until nothing more arrives, for half a second at most.
    pub(crate) fn settle(&self, programs: &mut Programs) -> Result<()> {
        let mut last = u64::MAX;
        for _ in 0..25 {
            let now = programs.count()?.arrived;
            if now.first == last {
                break;
            }
            last = now.first;
            std::thread::sleep(QUIET);
        }
        Ok(())
    }

    /// Lets a thread on the contenders' CPU poll the client's wire, or again the CPU that a frame comes from.
    pub(crate) fn set_threaded(&mut self, is_threaded: bool) -> Result<()> {
        let before = pollers()?;
        let node = &self.lab.topology().node;
        let script = format!(
            "mount -t sysfs none /sys && echo {} > /sys/class/net/{INTERFACE}/threaded",
            u8::from(is_threaded)
        );
        let mut command: Command = node.command("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        output(command).context("cannot let a thread poll the client's wire")?;
        if !is_threaded {
            self.poller = None;
            return Ok(());
        }
        let fresh: Vec<Pid> = pollers()?.difference(&before).copied().collect();
        if let [one] = fresh[..] {
            self.poller = Some(one);
        }
        let poller = self.poller.context("the thread that polls the client's wire is not to be found")?;
        bind_thread(poller, CONTENDER_CPU)?;
        put_first(poller)
    }

    /// The daemon itself says where users belong: what arrived has to agree with it.
    pub(crate) fn ensure_owners(&self, programs: &mut Programs) -> Result<()> {
        let Running::Siplb { siplb, .. } = &self.running else { return Ok(()) };
        let mut asked = 0;
        for user in (0..USERS).step_by(USERS as usize / 25) {
            let at = programs.server_of(user)?;
            if at == 0 {
                continue;
            }
            let found = siplb.ask(&["lookup", &format!("sip:u{user:07}@example.com")])?;
            let name = format!("b{}", at.saturating_sub(10));
            ensure!(
                found.to_string().contains(&format!("\"{name}\"")),
                "user {user} was at {name}, but {found}"
            );
            asked += 1;
        }
        ensure!(asked > 0, "nobody's messages arrived");
        Ok(())
    }
}

/// Threads that poll an interface of that name, in any namespace.
fn pollers() -> Result<BTreeSet<Pid>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.starts_with(&format!("napi/{INTERFACE}-")) {
            found.insert(Pid::from_raw(pid));
        }
    }
    Ok(found)
}

/// MAC address of an interface.
fn mac(netns: &Netns, interface: &str) -> Result<[u8; 6]> {
    match siplb_load::mac(&netns.ip(&format!("-o link show {interface}"))?) {
        Some(mac) => Ok(mac),
        None => bail!("{interface} of {} has no MAC address", netns.name()),
    }
}
