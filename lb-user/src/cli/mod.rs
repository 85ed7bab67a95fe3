//! The command line: one file a verb. A verb reads its arguments, asks the daemon or a file, and prints; what it finds
//! out is somebody else's business.
//!
//! Invariant: answers go to stdout and nothing else does, so that `--json` can be piped; complaints go to stderr, one
//! sentence with its mend, and the exit code says which kind it is ([`failure`]).
mod alone;
mod backend;
mod check;
mod completions;
mod context;
mod decap;
mod detach;
mod diff;
mod digest;
mod doctor;
mod events;
mod explain;
mod failure;
mod health;
mod lookup;
mod metrics;
mod output;
mod pcap;
mod plan;
mod register;
mod reload;
mod run;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::Context;

/// A stateless SIP load balancer in XDP: every request goes to the server that owns its user.
#[derive(Parser)]
#[command(name = "siplb", version, max_term_width = 100, after_help = failure::EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    context: Context,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the daemon, in the foreground
    Run,
    /// Tell everything that is wrong with a configuration file
    Check,
    /// Show VIPs, groups, backends and what was counted
    Status,
    /// Print the figures that monitoring reads, in the format of Prometheus
    Metrics,
    /// List and change backends
    #[command(subcommand)]
    Backend(backend::Verb),
    /// Say who owns a user
    Lookup(lookup::Args),
    /// Say what the program does with a packet, and why
    Explain(explain::Args),
    /// Say what a change would do: which users move where, and the load of each backend before and after
    ///
    /// Without a change: what `siplb reload` would do now, with the daemon's own file or, with -c, with that one. With a
    /// change: what `siplb backend` would do with the same arguments. Nothing is changed. With --from no daemon is asked:
    /// `plan --from OLD -c NEW` compares two files, `plan --from FILE drain NAME` shows a change to one.
    Plan(plan::Args),
    /// Show what the checks say of each backend, and the last checks of one
    Health(health::Args),
    /// Show what happened, and why: backends up and down, changes, reloads, failures
    Events(events::Args),
    /// Have the daemon read its configuration file again
    Reload(backend::Timing),
    /// Say what on this machine stands in the way of siplb, and how to mend it
    ///
    /// Kernel, privileges, interfaces, settings, addresses and routes are held against the configuration file. With a
    /// running daemon, backends that are down, packets that were lost for want of a setting, and servers that name
    /// themselves as nobody knows them are told too. Run it as the daemon runs. It exits with 1 if anything failed;
    /// warnings are no failure.
    Doctor(doctor::Args),
    /// Print one number for each lookup table, to compare nodes by
    Digest,
    /// Say what differs between two nodes, and why their tables do
    ///
    /// Compared are what `siplb --json digest` says of each. On another machine:
    /// `ssh node2 siplb --json digest | siplb diff -`. It exits with 1 if anything differs.
    Diff(diff::Args),
    /// Beside a backend: keep it registered in etcd for as long as this runs
    ///
    /// For pools whose `source` is etcd. The key hangs on a lease: SIGTERM removes it, and when the machine is gone etcd does
    /// so after `--ttl`. Health checks are quicker and need no registration; this is what makes a server that is gone for good
    /// leave by itself. Bind it to the life of the server, by `BindsTo=` of its systemd unit for instance.
    Register(register::Args),
    /// Take the program off all interfaces and remove what is pinned
    Detach,
    /// On a backend: take the outer header off what a node has encapsulated for it (ipip)
    Decap(decap::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the verb that the command line names.
pub fn main() -> ExitCode {
    let Cli { context, verb } = Cli::parse();
    let done = match verb {
        Verb::Run => run::run(&context),
        Verb::Check => check::run(&context),
        Verb::Status => status::run(&context),
        Verb::Metrics => metrics::run(&context),
        Verb::Backend(verb) => backend::run(&context, verb),
        Verb::Lookup(args) => lookup::run(&context, &args),
        Verb::Explain(args) => explain::run(&context, &args),
        Verb::Plan(args) => plan::run(&context, args),
        Verb::Reload(timing) => reload::run(&context, timing),
        Verb::Health(args) => health::run(&context, &args),
        Verb::Events(args) => events::run(&context, &args),
        Verb::Doctor(args) => doctor::run(&context, &args),
        Verb::Digest => digest::run(&context),
        Verb::Diff(args) => diff::run(&context, &args),
        Verb::Register(args) => register::run(&args),
        Verb::Detach => detach::run(&context),
        Verb::Decap(args) => decap::run(&context, &args),
        Verb::Completions(args) => completions::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
