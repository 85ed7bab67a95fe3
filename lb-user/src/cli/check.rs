//! `siplb check`

use serde::Serialize;

use super::context::Context;
use super::failure::{Code, Failure};
use super::output::{print, print_json};
use crate::config::{Config, LoadError, Problem, Problems};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    ok: bool,
    problems: &'a [Problem],
    warnings: &'a [Problem],
}

/// Tells everything that is wrong with the file, and what is surprising in it.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let nothing = Problems::default();
    let (loaded, problems) = match context.load() {
        Ok(config) => (Some(config), nothing),
        Err(LoadError::Wrong(problems)) => (None, problems),
        Err(error) => return Err(error.into()),
    };
    let warnings = loaded.as_ref().map(|config| config.warnings.list.as_slice()).unwrap_or_default();
    if context.json {
        let file = context.file().display().to_string();
        print_json(&Report { file, ok: loaded.is_some(), problems: &problems.list, warnings })?;
    } else {
        warnings.iter().for_each(|warning| eprintln!("warning: {}:{warning}", context.file().display()));
        problems.iter().for_each(|problem| eprintln!("{}:{problem}", context.file().display()));
    }
    let Some(config) = loaded else { return Err(Failure::new(Code::BadUsage, "")) };
    if !context.json {
        if let Err(error) = config.node.hash_key.load() {
            eprintln!("warning: the daemon would not start on this machine: {error}");
        }
        print(&summary(context, &config))?;
    }
    Ok(())
}

fn summary(context: &Context, config: &Config) -> String {
    let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let backends = config.pools.iter().map(|pool| pool.backends.len()).sum();
    format!(
        "{} is right: {}, {}, {}",
        context.file().display(),
        count(config.vips.len(), "VIP"),
        count(config.pools.len(), "pool"),
        count(backends, "backend")
    )
}
