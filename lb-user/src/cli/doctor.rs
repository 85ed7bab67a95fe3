//! `siplb doctor`

use super::context::Context;
use super::failure::{Code, Failure};
use super::output::{Columns, print, print_json_lines};
use crate::daemon::block_on;
use crate::doctor::{Facts, Finding, Verdict, judge};

/// Says what on this machine stands in the way of siplb, and how to mend it.
///
/// Kernel, privileges, interfaces, settings, addresses and routes are held against the configuration file. With a
/// running daemon, backends that are down, packets that were lost for want of a setting, and servers that name
/// themselves as nobody knows them are told too. Run it as the daemon runs. It exits with 1 if anything failed;
/// warnings are no failure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Have the daemon forget the names that named no backend, once they are told: the next time, only what came since is
    #[arg(long)]
    forget: bool,
}

/// Tells everything that was found.
pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let config = context.load()?;
    let socket = context.socket()?;
    let facts = block_on(async { Ok(Facts::read(&config, &socket, args.forget).await) })?;
    let findings = judge(&facts);
    if context.json {
        print_json_lines(&findings)?;
    } else {
        print(&table(&findings))?;
    }
    if findings.iter().any(|finding| finding.verdict == Verdict::Fail) {
        // All of it is said already.
        return Err(Failure::new(Code::Failed, ""));
    }
    Ok(())
}

/// A line for each finding, and one below it with the mend.
fn table(findings: &[Finding]) -> String {
    let mut columns = Columns::new(&["VERDICT", "CHECK", "WHAT"]);
    for Finding { check, verdict, what, mend } in findings {
        columns.row(vec![verdict.to_string(), (*check).to_owned(), what.clone()]);
        if let Some(mend) = mend {
            columns.row(vec![String::new(), String::new(), format!("-> {mend}")]);
        }
    }
    columns.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mends_stand_below_what_they_mend() {
        let finding = |check, verdict, what: &str, mend: Option<&str>| Finding {
            check,
            verdict,
            what: what.to_owned(),
            mend: mend.map(str::to_owned),
        };
        let shown = table(&[
            finding("kernel", Verdict::Ok, "Linux 6.12", None),
            finding("bpf-jit", Verdict::Warn, "it is off", Some("sysctl -w net.core.bpf_jit_enable=1")),
        ]);
        assert_eq!(
            shown,
            "VERDICT  CHECK    WHAT\n\
             ok       kernel   Linux 6.12\n\
             warn     bpf-jit  it is off\n                  -> sysctl -w net.core.bpf_jit_enable=1"
        );
    }
}
