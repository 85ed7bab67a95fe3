//! What is wrong with a configuration, and how that is shown.
//!
//! A [`Fault`] is what is wrong with one value; a [`Finding`] adds whose value it is; a [`Problem`] adds the line of
//! the file; [`Problems`] is all there is to say about one file, in the order of its lines. All of them name the
//! mend beside what is wrong.

use std::fmt;

use serde::Serialize;

/// What is wrong with one value, and the mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong, with the offending value where that is not a secret.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for Fault {}

/// A fault and whose it is: what checking a configuration yields that may never have been in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Keys from the top, such as `pool[0].backend[2].port`; indices count from 0.
    pub path: String,
    /// What is wrong, and the mend.
    #[serde(flatten)]
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", without_indices(&self.path), self.fault)
    }
}

/// A finding in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: usize,
    /// Keys from the top, such as `pool[0].backend[2].port`; empty where the text isn't TOML.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", without_indices(&self.path))?;
        }
        write!(f, "{}; {}", self.what, self.mend)
    }
}

/// Everything that one reading of a file found, by line. Displays as one line each: `siplb.toml:12: ...`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// In the order of their lines.
    pub list: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.line);
        Self { file: file.to_owned(), list }
    }

    /// Is there nothing to say?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Each in turn.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// `pool[0].backend[2].port` as a reader who is given the line wants it: `pool.backend.port`.
pub(super) fn without_indices(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}
