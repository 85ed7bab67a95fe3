//! Walks a TOML table: each key is taken by name, what is wrong with it is reported where it stands, and whatever
//! nobody took is an unknown key.
//!
//! Reading goes on after a problem, so that one run shows all of them. A value that could not be read becomes its
//! type's blank (0, an empty name), which no legal value equals: checks that follow skip blanks, and blanks never
//! reach a caller of the configuration because the problem that made them refuses the whole file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::problem::Fault;
use super::report::Report;
use super::value::{kind, shown};

/// One table of the file, while it is being read.
pub(super) struct Table<'a> {
    entries: &'a DeTable<'a>,
    path: String,
    /// Every key that was asked for, present or not: the keys that are known here.
    known: Vec<&'static str>,
    report: &'a Report,
}

impl<'a> Table<'a> {
    /// Reads the whole file.
    pub(super) fn root<T>(
        entries: &'a DeTable<'a>,
        report: &'a Report,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        Self::visit(entries, String::new(), report, read)
    }

    fn visit<T>(
        entries: &'a DeTable<'a>,
        path: String,
        report: &'a Report,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut table = Self { entries, path, known: Vec::new(), report };
        let made = read(&mut table);
        table.refuse_unknown();
        made
    }

    /// The value of `key`; `default` where it is absent, a blank where it can't be read.
    pub(super) fn take<T: Default>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> T {
        match self.entry(key) {
            None => default,
            Some(value) => self.read(|| self.at(key), value, read).unwrap_or_default(),
        }
    }

    /// The value of a `key` that must be there, such as `example`; `blank` where it can't be read.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        example: &str,
        blank: T,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> T {
        match self.entry(key) {
            None => {
                self.refuse_absence(key, example);
                blank
            }
            Some(value) => self.read(|| self.at(key), value, read).unwrap_or(blank),
        }
    }

    /// A list of values, each different; empty where the key is absent.
    pub(super) fn list<T: PartialEq>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Vec<T> {
        let Some(value) = self.entry(key) else { return Vec::new() };
        let Some(values) = value.get_ref().as_array() else {
            let what = format!("is {}, not a list", kind(value.get_ref()));
            self.refuse(key, Fault::new(what, format!("put it in brackets: {key} = [...]")));
            return Vec::new();
        };
        let mut list = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let path = format!("{}[{index}]", self.at(key));
            self.report.visit(path.clone(), self.report.line(value.span().start));
            let Some(read) = self.read(|| path.clone(), value, &read) else { continue };
            if list.contains(&read) {
                let what = format!("{} is listed twice", shown(value.get_ref()));
                self.report.refuse(&path, Fault::new(what, "leave one of them out"));
            }
            list.push(read);
        }
        list
    }

    /// The table under `key`; an absent one reads as empty, so that defaults and required keys are stated once.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let empty = DeTable::new();
        let entries = match self.entry(key).map(Spanned::get_ref) {
            None => &empty,
            Some(DeValue::Table(entries)) => entries,
            Some(other) => {
                let what = format!("is {}, not a table", kind(other));
                let mend = format!("write it once, under a header of its own: [{}]", self.header(key));
                self.refuse(key, Fault::new(what, mend));
                return blank(read);
            }
        };
        Table::visit(entries, self.at(key), self.report, read)
    }

    /// Every table of the list under `key`: `[[key]]` as often as there are.
    pub(super) fn tables<T>(&mut self, key: &'static str, read: impl Fn(&mut Table<'_>) -> T) -> Vec<T> {
        let Some(value) = self.entry(key) else { return Vec::new() };
        let header = format!("write a header with two brackets for each: [[{}]]", self.header(key));
        let Some(values) = value.get_ref().as_array() else {
            self.refuse(
                key,
                Fault::new(format!("is {}, not a list of tables", kind(value.get_ref())), header),
            );
            return Vec::new();
        };
        let mut list = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let path = format!("{}[{index}]", self.at(key));
            self.report.visit(path.clone(), self.report.line(value.span().start));
            match value.get_ref().as_table() {
                Some(entries) => list.push(Table::visit(entries, path, self.report, &read)),
                None => {
                    let what = format!("is {}, not a table", kind(value.get_ref()));
                    self.report.refuse(&path, Fault::new(what, header.clone()));
                    list.push(blank(&read));
                }
            }
        }
        list
    }

    /// Marks keys as known that nobody can make anything of, for a reason that was told.
    pub(super) fn know(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Is `key` written here?
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Is an empty list written there? One of values that can't be read is none.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.entries.get(key).and_then(|value| value.get_ref().as_array()).is_some_and(|list| list.is_empty())
    }

    /// Reports what is wrong with `key`, for reasons that reading its value alone doesn't show.
    pub(super) fn refuse(&self, key: &str, fault: Fault) {
        self.report.refuse(&self.at(key), fault);
    }

    /// Reports that a required `key` is absent, with what it could be.
    pub(super) fn refuse_absence(&self, key: &str, example: &str) {
        if self.report.is_whole() {
            self.refuse(key, Fault::new("is missing", format!("add {example}")));
        }
    }

    /// Marks `key` as known and finds it.
    fn entry(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        let (written, value) = self.entries.get_key_value(key)?;
        self.report.visit(self.at(key), self.report.line(written.span().start));
        Some(value)
    }

    /// Its path is wanted only where it can't be read.
    fn read<T>(
        &self,
        path: impl FnOnce() -> String,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        read(value.get_ref()).map_err(|fault| self.report.refuse(&path(), fault)).ok()
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The path of `key` as a header in the file names it: without indices.
    fn header(&self, key: &str) -> String {
        super::problem::without_indices(&self.at(key))
    }

    fn refuse_unknown(&self) {
        for (written, _) in self.entries {
            let key = written.get_ref().as_ref();
            if self.known.contains(&key) {
                continue;
            }
            self.report.visit(self.at(key), self.report.line(written.span().start));
            let mend = match nearest(key, self.known.iter().copied()) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.refuse(key, Fault::new("unknown key", mend));
        }
    }
}

/// What `read` makes of nothing, for a value whose shape was refused: its keys are not absent, so that one complaint
/// is enough, and its place in a list must be filled for the indices of those behind it to hold.
fn blank<T>(read: impl FnOnce(&mut Table<'_>) -> T) -> T {
    Table::visit(&DeTable::new(), String::new(), &Report::new("", &[]), read)
}
