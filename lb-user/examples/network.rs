//! Prints what the daemon learns from the kernel, each time that it changes: `network INTERFACE[,INTERFACE]... BACKEND...`
//!
//! For a look at a machine's routes through siplb's eyes, or at the watcher itself while `ip` changes things. Needs
//! CAP_NET_ADMIN to have neighbours resolved, and nothing to look.

use std::{net::IpAddr, process::ExitCode};

use lb_user::net::Watcher;
use tokio::{sync::mpsc, time::Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    env_logger::init();
    let mut arguments = std::env::args().skip(1);
    let interfaces = arguments.next().unwrap_or_default();
    let Ok(backends) = arguments.map(|argument| argument.parse()).collect::<Result<Vec<IpAddr>, _>>() else {
        eprintln!("usage: network INTERFACE[,INTERFACE]... BACKEND...");
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let (networks, mut changes) = mpsc::unbounded_channel();
    let _watcher = Watcher::spawn(interfaces.split(',').map(str::to_owned).collect(), backends, networks);
    while let Some(network) = changes.recv().await {
        println!("after {:.3} s: {network:?}", started.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}
