//! Readers for single TOML values: each makes one typed value, or says what is wrong and how to mend it.
//!
//! They compose: `text(syntax::name)` reads a string and then a name. The text parsers themselves are in `syntax`,
//! `host` and `duration`, where the command line can use them too.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::choice::Choice;
use super::duration;
use super::nearest::nearest;
use super::not_yet;
use super::problem::Fault;

/// A string, read on by `parse`.
pub(super) fn text<T>(parse: impl Fn(&str) -> Result<T, Fault>) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    move |value| match value {
        DeValue::String(text) => parse(text),
        other => {
            Err(Fault::new(format!("is {}, not a string", kind(other)), "put the value in double quotes"))
        }
    }
}

/// A whole number in `range`; `noun` says what the number is, with its article: "a port".
pub(super) fn whole<T: TryFrom<u64> + Into<u64> + Copy>(
    noun: &'static str,
    range: RangeInclusive<T>,
) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    let (least, most): (u64, u64) = ((*range.start()).into(), (*range.end()).into());
    move |value| {
        let number = match value {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        number
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                let quotes = if value.is_str() { ", without quotes" } else { "" };
                let mend = format!("give a number from {least} to {most}{quotes}");
                Fault::new(format!("{} is not {noun}", shown(value)), mend)
            })
    }
}

/// A port.
pub(super) fn port(value: &DeValue<'_>) -> Result<u16, Fault> {
    whole("a port", 1..=u16::MAX)(value)
}

/// One word of a closed set.
pub(super) fn choice<T: Choice>(value: &DeValue<'_>) -> Result<T, Fault> {
    text(|word| {
        if let Some(&(_, meaning)) = T::ALL.iter().find(|(known, _)| *known == word) {
            return Ok(meaning);
        }
        let words = || T::ALL.iter().map(|(known, _)| *known);
        let mend = match nearest(word, words()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("give {}", either(words().map(|word| format!("\"{word}\"")))),
        };
        Err(Fault::new(format!("\"{word}\" is not known here"), mend))
    })(value)
}

/// What carries SIP to a VIP: a choice like others, but some words are known and come later.
pub(super) fn transport<T: Choice>(value: &DeValue<'_>) -> Result<T, Fault> {
    match value.as_str().and_then(not_yet::transport) {
        Some(later) => Err(later),
        None => choice(value),
    }
}

/// A time between two bounds.
pub(super) fn time(range: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Result<Duration, Fault> {
    move |value| {
        if let DeValue::Integer(number) = value {
            return Err(Fault::new(
                format!("{number} has no unit"),
                format!("write for example \"{number}s\""),
            ));
        }
        let time = text(duration::parse)(value)?;
        if range.contains(&time) {
            return Ok(time);
        }
        let [least, most] = [*range.start(), *range.end()].map(duration::show);
        let side = if time < *range.start() { "too short" } else { "too long" };
        Err(Fault::new(format!("{} is {side}", duration::show(time)), format!("give {least} to {most}")))
    }
}

/// A value's type with its article, for sentences.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A value as the file has it, or its kind where it has parts.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(is) => is.to_string(),
        other => kind(other).to_owned(),
    }
}

/// "a, b or c".
fn either(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [front @ .., last] => format!("{} or {last}", front.join(", ")),
    }
}
