//! The health settings: read key by key over what they inherit, and shown as the file writes them.

use std::time::Duration;

use serde::Serializer;
use serde::ser::SerializeStruct;
use toml::de::DeValue;

use super::cursor::Table;
use super::duration;
use super::problem::Fault;
use super::value::{shown, text, time, whole};
use crate::health::Settings;
use crate::health::settings::{CodePattern, CodePatternError};

/// Shortest interval, and shortest timeout.
const TIME_MIN: Duration = Duration::from_millis(10);
const TIME_MAX: Duration = Duration::from_secs(3600);

/// Reads a table of health settings, where each key that isn't written is inherited.
pub(super) fn settings(table: &mut Table<'_>, inherited: &Settings) -> Settings {
    let in_a_row = whole("a number of checks", 1..=1000_u32);
    let settings = Settings {
        interval: table.take("interval", inherited.interval, time(TIME_MIN..=TIME_MAX)),
        timeout: table.take("timeout", inherited.timeout, time(TIME_MIN..=TIME_MAX)),
        fall: table.take("fall", inherited.fall, &in_a_row),
        rise: table.take("rise", inherited.rise, &in_a_row),
        down_codes: match table.list("down-codes", codes) {
            _ if !table.has("down-codes") => inherited.down_codes.clone(),
            codes => codes,
        },
    };
    ends_in_time(table, &settings);
    settings
}

/// The timeout is shorter than the interval: where one of them is written, and nothing of them is a blank.
fn ends_in_time(table: &Table<'_>, settings: &Settings) {
    let Some(written) = ["timeout", "interval"].into_iter().find(|key| table.has(key)) else { return };
    let is_legible = !settings.interval.is_zero() && !settings.timeout.is_zero();
    if is_legible && settings.timeout >= settings.interval {
        let [timeout, interval] = [settings.timeout, settings.interval].map(duration::show);
        let what = format!("the timeout of {timeout} doesn't end within the interval of {interval}");
        table.refuse(written, Fault::new(what, "make the timeout shorter than the interval"));
    }
}

/// Answer codes: `"5xx"`, `"503"` or 503.
fn codes(value: &DeValue<'_>) -> Result<CodePattern, Fault> {
    let parse = |text: &str| {
        text.parse().map_err(|error| {
            let what = match error {
                CodePatternError::Syntax(_) => "is not an answer code",
                CodePatternError::Range(_) => "can't mean that a server is down",
            };
            let mend = "give a final answer from 300 to 699, such as 503, or a class from \"3xx\" to \"6xx\"";
            Fault::new(format!("{} {what}", shown(value)), mend)
        })
    };
    match value {
        DeValue::Integer(code) => parse(&code.to_string()),
        other => text(parse)(other),
    }
}

/// For `#[serde(serialize_with)]`: settings leave as they came.
pub(super) fn serialize<S: Serializer>(settings: &Settings, serializer: S) -> Result<S::Ok, S::Error> {
    let codes: Vec<String> = settings.down_codes.iter().map(CodePattern::to_string).collect();
    let mut table = serializer.serialize_struct("Settings", 5)?;
    table.serialize_field("interval", &duration::show(settings.interval))?;
    table.serialize_field("timeout", &duration::show(settings.timeout))?;
    table.serialize_field("fall", &settings.fall)?;
    table.serialize_field("rise", &settings.rise)?;
    table.serialize_field("down-codes", &codes)?;
    table.end()
}
