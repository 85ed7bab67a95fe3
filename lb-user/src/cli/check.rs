//! `siplb check`

use serde::Serialize;

use super::context::Context;
use super::failure::{Code, Failure};
use super::output::{print, print_json};
use crate::config::{Config, LoadError, Pool, Problem, Problems};
use crate::source::of_file;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    ok: bool,
    problems: &'a [Problem],
    warnings: &'a [Problem],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'a [Source],
}

/// What is to be said of a pool's source.
#[derive(Serialize)]
struct Source {
    pool: String,
    from: String,
    /// What is wrong; of what only a running daemon asks, nothing is known.
    error: Option<String>,
}

/// The sources that are files are read, and held against the configuration.
fn sources(config: &Config) -> Vec<Source> {
    let filled = of_file::fill(config.clone());
    let source = |pool: &Pool| {
        let error = filled.failed.iter().find(|(failed, _)| *failed == pool.name);
        Some(Source {
            pool: pool.name.clone(),
            from: pool.source.as_ref()?.to_string(),
            error: error.map(|(_, error)| error.to_string()),
        })
    };
    let mut sources: Vec<Source> = config.pools.iter().filter_map(source).collect();
    if let (Some(first), Some(finding)) = (sources.first_mut(), filled.contradictions.first())
        && first.error.is_none()
    {
        first.error = Some(finding.to_string());
    }
    sources
}

/// Tells everything that is wrong with the file, and what is surprising in it.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let nothing = Problems::default();
    let (loaded, problems) = match context.load() {
        Ok(config) => (Some(config), nothing),
        Err(LoadError::Wrong(problems)) => (None, problems),
        Err(error) => return Err(error.into()),
    };
    let sources = loaded.as_ref().map(sources).unwrap_or_default();
    let warnings = loaded.as_ref().map(|config| config.warnings.list.as_slice()).unwrap_or_default();
    if context.json {
        let file = context.file().display().to_string();
        let ok = loaded.is_some() && sources.iter().all(|source| source.error.is_none());
        print_json(&Report { file, ok, problems: &problems.list, warnings, sources: &sources })?;
    } else {
        warnings.iter().for_each(|warning| eprintln!("warning: {}:{warning}", context.file().display()));
        problems.iter().for_each(|problem| eprintln!("{}:{problem}", context.file().display()));
    }
    let Some(config) = loaded else { return Err(Failure::new(Code::BadUsage, "")) };
    if sources.iter().any(|source| source.error.is_some()) {
        sources.iter().filter_map(|source| source.error.as_ref()).for_each(|error| eprintln!("{error}"));
        return Err(Failure::new(Code::BadUsage, ""));
    }
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
    let config = of_file::fill(config.clone()).config;
    let backends = config.pools.iter().map(|pool| pool.backends.len()).sum();
    format!(
        "{} is right: {}, {}, {}",
        context.file().display(),
        count(config.vips.len(), "VIP"),
        count(config.pools.len(), "pool"),
        count(backends, "backend")
    )
}
