//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

use serde::Serializer;

use super::problem::Fault;

/// Units from the largest, so that showing takes the first that divides. In milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `500ms`, `2s`, `5m` or `1h`.
pub fn parse(text: &str) -> Result<Duration, Fault> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, unit_ms)| *unit_ms);
    let total_ms =
        number.parse::<u64>().ok().zip(unit_ms).and_then(|(number, unit)| number.checked_mul(unit));
    total_ms.map(Duration::from_millis).ok_or_else(|| {
        let mend = "write a whole number and a unit, such as 500ms, 2s, 5m or 1h";
        Fault::new(format!("\"{text}\" is not a duration"), mend)
    })
}

/// Shows a duration as [`parse`] reads it; what is finer than a millisecond is left out.
pub fn show(duration: Duration) -> String {
    let total_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match UNITS.iter().find(|(_, unit_ms)| total_ms > 0 && total_ms.is_multiple_of(*unit_ms)) {
        Some((name, unit_ms)) => format!("{}{name}", total_ms / unit_ms),
        None => "0s".to_owned(),
    }
}

/// For `#[serde(serialize_with)]`: durations leave as they came.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for (text, ms) in
            [("1ms", 1), ("500ms", 500), ("1s", 1_000), ("90s", 90_000), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)));
            assert_eq!(show(Duration::from_millis(ms)), text);
        }
        assert_eq!(parse("1000ms").map(show).as_deref(), Ok("1s"));
        assert_eq!(parse("0ms").map(show).as_deref(), Ok("0s"));
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for bad in [
            "",
            "1",
            "s",
            "1 s",
            "1.5s",
            "-1s",
            "1sec",
            "1S",
            "99999999999999999999s",
            "9999999999999999999h",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
