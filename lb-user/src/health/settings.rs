//! How one backend is to be checked. The configuration fills these in; [`super::state`], [`super::schedule`] and the
//! prober read them.
use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// How one backend is checked and judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the start of one check to the start of the next, before jitter.
    pub interval: Duration,
    /// How long one check waits for a final answer. Longer than `interval` is allowed: the next check then starts
    /// when this one is over.
    pub timeout: Duration,
    /// Failed checks in a row that take a backend down. 0 counts as 1.
    pub fall: u32,
    /// Passed checks in a row that bring it back up. 0 counts as 1.
    pub rise: u32,
    /// The answers that count as a failed check.
    pub down_codes: Vec<CodePattern>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            fall: 3,
            rise: 2,
            down_codes: vec![CodePattern::Class(5)],
        }
    }
}

impl Settings {
    /// Whether a final answer with this status code fails the check.
    pub fn is_down_code(&self, code: u16) -> bool {
        self.down_codes.iter().any(|pattern| pattern.matches(code))
    }
}

/// A set of final SIP status codes, written `"5xx"` or `"503"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePattern {
    /// All codes of a hundred: 5 stands for 500 to 599, **without 503**. A server that says 503 asks for less
    /// traffic; it is not dead, and taking its users away would unregister them all. Name 503 itself to count it.
    Class(u8),
    /// This code alone.
    Exact(u16),
}

impl CodePattern {
    /// Whether `code` belongs to the set.
    pub fn matches(self, code: u16) -> bool {
        const SERVICE_UNAVAILABLE: u16 = 503;
        match self {
            Self::Class(class) => code / 100 == u16::from(class) && code != SERVICE_UNAVAILABLE,
            Self::Exact(exact) => code == exact,
        }
    }
}

/// Why a text is no [`CodePattern`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodePatternError {
    /// Neither three digits nor a digit and `xx`.
    #[error("`{0}` is no set of SIP status codes: write a class such as \"5xx\" or a code such as \"503\"")]
    Syntax(String),
    /// 1xx ends no check, 2xx is what a healthy server says, and nothing is above 699.
    #[error("`{0}` can't mean that a backend is down: only answers from 300 to 699 can")]
    Range(String),
}

impl FromStr for CodePattern {
    type Err = CodePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || CodePatternError::Syntax(text.to_owned());
        let (pattern, class) = match text.as_bytes() {
            [class @ b'0'..=b'9', b'x' | b'X', b'x' | b'X'] => (Self::Class(class - b'0'), class - b'0'),
            [class @ b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
                (Self::Exact(text.parse().map_err(|_| syntax())?), class - b'0')
            }
            _ => return Err(syntax()),
        };
        if (3..=6).contains(&class) { Ok(pattern) } else { Err(CodePatternError::Range(text.to_owned())) }
    }
}

impl fmt::Display for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Exact(code) => write!(f, "{code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_print_as_they_are_written() {
        for text in ["5xx", "4xx", "503", "300", "699"] {
            assert_eq!(text.parse::<CodePattern>().unwrap().to_string(), text);
        }
        assert_eq!("5XX".parse(), Ok(CodePattern::Class(5)));
    }

    #[test]
    fn what_can_not_mean_down_is_refused() {
        for text in ["", "5", "5x", "xx5", "5xxx", "50", "5000", "+50", "fünf", "5 x"] {
            assert_eq!(text.parse::<CodePattern>(), Err(CodePatternError::Syntax(text.to_owned())));
        }
        for text in ["100", "1xx", "200", "2xx", "0xx", "7xx", "999"] {
            assert_eq!(text.parse::<CodePattern>(), Err(CodePatternError::Range(text.to_owned())));
        }
    }

    #[test]
    fn overload_is_life_unless_named() {
        let mut settings = Settings::default();
        for (code, is_down) in
            [(200, false), (401, false), (404, false), (405, false), (483, false), (603, false)]
        {
            assert_eq!(settings.is_down_code(code), is_down, "{code}");
        }
        assert!(settings.is_down_code(500) && settings.is_down_code(504) && settings.is_down_code(599));
        assert!(!settings.is_down_code(503));
        settings.down_codes.push(CodePattern::Exact(503));
        assert!(settings.is_down_code(503));
    }
}
