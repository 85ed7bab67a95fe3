//! Who is measured: everything that users put between clients and SIP servers on one machine, and the bare wire.

use std::{fs, net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use siplb_lab::{
    Lab, Netns, Process, Siplb,
    process::output,
    siplb,
    topology::{SIP_PORT, VIP},
};

use crate::{CONTENDER_CPU, responder::Responder};

const DISPATCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kamailio/dispatcher.cfg");
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
const START_LIMIT: Duration = Duration::from_secs(10);

/// What stands between client and servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// An XDP program that hands frames on unread: what generator, two wires and sink cost by themselves.
    Wire,
    Routing,
    Dnat,
    Rewrite,
    Nginx,
    Kamailio,
    Siplb,
}

impl Contender {
    pub(crate) const ALL: [Self; 7] =
        [Self::Wire, Self::Routing, Self::Dnat, Self::Rewrite, Self::Nginx, Self::Kamailio, Self::Siplb];

    /// The name shown to people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wire => "bare wire",
            Self::Routing => "plain routing",
            Self::Dnat => "nftables DNAT",
            Self::Rewrite => "nftables without conntrack",
            Self::Nginx => "nginx stream",
            Self::Kamailio => "Kamailio dispatcher",
            Self::Siplb => "siplb",
        }
    }

    /// The name of its lab.
    pub(crate) const fn lab(self) -> &'static str {
        match self {
            Self::Wire => "siplb-peers-wire",
            Self::Routing => "siplb-peers-routing",
            Self::Dnat => "siplb-peers-dnat",
            Self::Rewrite => "siplb-peers-rewrite",
            Self::Nginx => "siplb-peers-nginx",
            Self::Kamailio => "siplb-peers-kamailio",
            Self::Siplb => "siplb-peers-siplb",
        }
    }

    /// Whether packets pass in the kernel, without a process.
    pub(crate) const fn is_in_kernel(self) -> bool {
        !matches!(self, Self::Nginx | Self::Kamailio)
    }

    /// Which server a message goes to, in a few words.
    pub(crate) const fn rule(self) -> &'static str {
        match self {
            Self::Wire => "a server in turn",
            Self::Routing => "the server that the client chose",
            Self::Dnat | Self::Rewrite | Self::Nginx => "by the client's address and port",
            Self::Kamailio => "by the user of the Request-URI, for REGISTER of To; in dialogs too",
            Self::Siplb => "by the user, in dialogs to the server that Route names",
        }
    }

    /// Whether all that starts something for one user has to come to one server.
    pub(crate) const fn has_owners(self) -> bool {
        matches!(self, Self::Kamailio | Self::Siplb)
    }

    /// Where clients send to.
    pub(crate) fn destinations(self, lab: &Lab) -> Vec<Ipv4Addr> {
        match self {
            Self::Routing => lab.topology().backends.iter().map(|host| host.address).collect(),
            _ => vec![VIP],
        }
    }

    /// Puts it on the lab's node.
    pub(crate) fn start(self, lab: &Lab, binary: &Path) -> Result<Running> {
        let node = &lab.topology().node;
        match self {
            Self::Wire | Self::Routing => Ok(Running::Kernel),
            Self::Dnat => nft(lab, &dnat(lab)),
            Self::Rewrite => nft(lab, &rewrite(lab)),
            Self::Nginx => process(lab, "nginx", nginx(lab, node)?),
            Self::Kamailio => process(lab, "kamailio", kamailio(lab, node)?),
            Self::Siplb => start_siplb(lab, binary),
        }
    }
}

/// What runs on the node; dropped, it ends.
pub(crate) enum Running {
    Kernel,
    Process(Process),
    Siplb { siplb: Box<Siplb>, _responders: Vec<Responder> },
}

impl Running {
    /// The group of its processes.
    pub(crate) fn group(&self) -> Option<nix::unistd::Pid> {
        match self {
            Self::Kernel => None,
            Self::Process(process) => Some(process.pid()),
            Self::Siplb { siplb, .. } => Some(siplb.pid()),
        }
    }

    /// # Errors
    /// With the end of its log, when it has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        match self {
            Self::Kernel => Ok(()),
            Self::Process(process) => process.ensure_running(),
            Self::Siplb { siplb, .. } => siplb.ensure_running(),
        }
    }
}

fn process(lab: &Lab, name: &str, command: std::process::Command) -> Result<Running> {
    let log = lab.folder().join(format!("{name}.log"));
    let mut process = Process::spawn(name, command, &log)?;
    let node = lab.topology().node.clone();
    // A socket on the VIP's port is what both are waited for.
    let is_bound = || {
        let mut command = node.command("ss");
        command.args(["-Hlun", "sport", "=", &format!(":{SIP_PORT}")]);
        Ok(output(command)?.contains(&VIP.to_string()))
    };
    process.wait_ready(START_LIMIT, is_bound)?;
    Ok(Running::Process(process))
}

fn start_siplb(lab: &Lab, binary: &Path) -> Result<Running> {
    // They answer the checks: what has a number the sink takes before.
    let hosts = &lab.topology().backends;
    let responders = hosts.iter().map(Responder::start).collect::<Result<_>>()?;
    let service = siplb::Service { naming: Some(siplb_lab::Naming::Alias), ..siplb::Service::default() };
    let siplb = Siplb::start(lab, binary, &siplb::config_for(lab, &service))?;
    hosts.iter().try_for_each(|host| siplb.wait_for(&host.name, true).map(drop))?;
    Ok(Running::Siplb { siplb: Box::new(siplb), _responders: responders })
}

fn nft(lab: &Lab, rules: &str) -> Result<Running> {
    let file = lab.folder().join("rules.nft");
    fs::write(&file, rules)?;
    let mut command = lab.topology().node.command("nft");
    command.arg("-f").arg(&file);
    output(command).context("nftables does not take the rules")?;
    Ok(Running::Kernel)
}

/// `0 : 10.0.0.11, 1 : 10.0.0.12 ...`, with the number of servers before it.
fn servers(lab: &Lab) -> (usize, String) {
    let hosts = lab.topology().backends.iter().enumerate();
    let all: Vec<String> = hosts.map(|(place, host)| format!("{place} : {}", host.address)).collect();
    (all.len(), all.join(", "))
}

/// As one would write it: a NAT rule, whose connections the kernel tracks.
fn dnat(lab: &Lab) -> String {
    let (count, map) = servers(lab);
    format!(
        "table ip peers {{\n chain prerouting {{\n  type nat hook prerouting priority dstnat;\n  ip daddr {VIP} udp dport \
         {SIP_PORT} dnat to jhash ip saddr . udp sport mod {count} map {{ {map} }}\n }}\n}}\n"
    )
}

/// The same without connections: the address is rewritten packet by packet.
fn rewrite(lab: &Lab) -> String {
    let (count, map) = servers(lab);
    format!(
        "table ip peers {{\n chain prerouting {{\n  type filter hook prerouting priority raw;\n  ip daddr {VIP} udp dport \
         {SIP_PORT} notrack ip daddr set jhash ip saddr . udp sport mod {count} map {{ {map} }}\n }}\n}}\n"
    )
}

/// One worker on the contenders' CPU, which expects no answers: with them it would keep a session for each client.
fn nginx(lab: &Lab, node: &Netns) -> Result<std::process::Command> {
    let folder = lab.folder();
    let hosts = &lab.topology().backends;
    let servers: String =
        hosts.iter().map(|host| format!("  server {}:{SIP_PORT};\n", host.address)).collect();
    let config = format!(
        "load_module {NGINX_STREAM};\ndaemon off;\nuser root;\nworker_processes 1;\npid {0}/nginx.pid;\n\
         error_log {0}/nginx.error crit;\nevents {{ worker_connections 16384; }}\nworker_rlimit_nofile 65536;\n\
         stream {{\n upstream servers {{\n  hash $remote_addr:$remote_port;\n{servers} }}\n server {{\n  listen \
         {VIP}:{SIP_PORT} udp;\n  proxy_pass servers;\n  proxy_responses 0;\n }}\n}}\n",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = pinned(node, "nginx");
    command.arg("-e").arg(folder.join("nginx.error")).arg("-c").arg(&file);
    Ok(command)
}

fn kamailio(lab: &Lab, node: &Netns) -> Result<std::process::Command> {
    let folder = lab.folder();
    let hosts = &lab.topology().backends;
    let list: String = hosts.iter().map(|host| format!("1 sip:{}:{SIP_PORT}\n", host.address)).collect();
    let file = folder.join("dispatcher.list");
    fs::write(&file, list)?;
    let mut command = pinned(node, "kamailio");
    command
        .args(["-DD", "-E", "-m", "64", "-M", "8", "-f", DISPATCHER, "-w"])
        .arg(&folder)
        .args(["-A", &format!("LISTEN=udp:{VIP}:{SIP_PORT}")])
        .args(["-A", &format!("SERVERS=\"{}\"", file.display())]);
    Ok(command)
}

/// On the contenders' CPU, in the node, and before whatever else the machine does there.
fn pinned(node: &Netns, program: &str) -> std::process::Command {
    let mut command = node.command("chrt");
    command.args(["--fifo", "1", "taskset", "--cpu-list", &CONTENDER_CPU.to_string(), program]);
    command
}
