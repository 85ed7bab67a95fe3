//! Collects what reading a file finds, and knows the line of everything that was read.
//!
//! Shared by all cursors of one reading, hence the cells. Invariant: every path that a cursor visited has its line
//! in `lines`, so that a contradiction found later, in plain data, can still be shown where it stands.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::problem::{Fault, Finding, Problem};

/// The findings of one reading.
pub(super) struct Report {
    /// Offset of the first byte of each line.
    starts: Vec<usize>,
    /// Lines that aren't TOML. What was guessed of their content is not worth a second complaint.
    broken: BTreeSet<usize>,
    lines: RefCell<HashMap<String, usize>>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Report {
    /// A report on `text`, which begins with what the TOML parser has to say.
    pub(super) fn new(text: &str, syntax: &[toml::de::Error]) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut report = Self {
            starts,
            broken: BTreeSet::new(),
            lines: RefCell::default(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
        };
        for error in syntax {
            let line = report.line(error.span().map_or(0, |span| span.start));
            // One slip often confuses the parser more than once in its line.
            if report.broken.insert(line) {
                report.add(&report.problems, line, "", syntax_fault(error.message()));
            }
        }
        report
    }

    /// The line, from 1, of a byte offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset)
    }

    /// Is the text TOML throughout? If not, what seems absent may only be illegible.
    pub(super) fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    /// Remembers where a path stands.
    pub(super) fn visit(&self, path: String, line: usize) {
        self.lines.borrow_mut().insert(path, line);
    }

    /// Adds a problem at a path.
    pub(super) fn refuse(&self, path: &str, fault: Fault) {
        let line = self.line_of(path);
        if !self.broken.contains(&line) {
            self.add(&self.problems, line, path, fault);
        }
    }

    /// Adds something legal but surprising at a path.
    pub(super) fn warn(&self, path: &str, fault: Fault) {
        self.add(&self.warnings, self.line_of(path), path, fault);
    }

    /// Adds what was found in the data that the file made.
    pub(super) fn find(&self, problems: Vec<Finding>, warnings: Vec<Finding>) {
        problems.into_iter().for_each(|found| self.refuse(&found.path, found.fault));
        warnings.into_iter().for_each(|found| self.warn(&found.path, found.fault));
    }

    /// The problems and the warnings.
    pub(super) fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }

    fn add(&self, to: &RefCell<Vec<Problem>>, line: usize, path: &str, fault: Fault) {
        let Fault { what, mend } = fault;
        to.borrow_mut().push(Problem { line, path: path.to_owned(), what, mend });
    }

    /// The line of a path, or of the nearest table around it that was written: a key that is absent is a fault of
    /// its table.
    fn line_of(&self, mut path: &str) -> usize {
        let lines = self.lines.borrow();
        loop {
            if let Some(&line) = lines.get(path) {
                return line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 1,
            }
        }
    }
}

fn syntax_fault(message: &str) -> Fault {
    let mend = match message {
        "duplicate key" => "keep one of the two",
        _ if message.starts_with("string values must be quoted") => "put the value in double quotes",
        _ => "correct the TOML: key = value, text in double quotes, lists in brackets",
    };
    Fault::new(message, mend)
}
