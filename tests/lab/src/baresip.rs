//! Real back-to-back user agents (B2BUAs) as the second stage: baresip with its module `b2bua`.
//!
//! It registers nobody: whoever is called, it calls the telephones by the same URI, in a dialog of its own, as a session
//! border controller does towards a gateway. It does not record-route, and names itself by its own address in Via and
//! Contact.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::process::Process;
use crate::sipp::CALLEE_PORT;
use crate::topology::{CALLEES, Host, SIP_PORT};

const START_LIMIT: Duration = Duration::from_secs(10);
const READY: &str = "baresip is ready";

/// Sound comes from nowhere and goes nowhere.
const CONFIG: &str = "\
poll_method    epoll
call_max_calls 0
audio_player   aubridge,nil
audio_source   aubridge,nil
audio_alert    aubridge,nil
module_path    /usr/lib/baresip/modules
module         g711.so
module         aubridge.so
module_tmp     account.so
module_app     b2bua.so
";

/// One B2BUA; dropped, it is killed.
#[derive(Debug)]
pub struct Baresip {
    _process: Process,
}

impl Baresip {
    /// Starts a B2BUA on `host`, and waits until it is ready.
    ///
    /// # Errors
    /// When baresip is missing, ends at once, or takes longer than some seconds.
    pub fn start(host: &Host, folder: &Path) -> Result<Self> {
        let Host { name, address, netns } = host;
        let config = folder.join(format!("{name}.baresip"));
        fs::create_dir_all(&config)?;
        fs::write(config.join("config"), format!("sip_listen {address}:{SIP_PORT}\n{CONFIG}"))?;
        let accounts = format!(
            "<sip:inbound@{address}>;b2bua=inbound;regint=0\n\
             <sip:outbound@{address}>;b2bua=outbound;regint=0;outbound=\"sip:{CALLEES}:{CALLEE_PORT}\"\n"
        );
        fs::write(config.join("accounts"), accounts)?;
        let mut command = netns.command("baresip");
        command.arg("-f").arg(&config);
        let log = folder.join(format!("{name}.log"));
        let mut process = Process::spawn(&format!("baresip {name}"), command, &log)?;
        process.wait_ready(START_LIMIT, || Ok(fs::read_to_string(&log)?.contains(READY)))?;
        Ok(Self { _process: process })
    }
}
