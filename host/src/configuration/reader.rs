//! Reads the members of a table one by one, and tells which nobody asked for.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::document::{Entry, Node, Position, Scalar, Value};
use super::findings::{Findings, Location};
use super::nearest::{did_you_mean, nearest};

/// A value, and where it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set<T> {
    pub(super) value: T,
    pub(super) at: Location,
}

impl<T> Set<T> {
    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Set<U> {
        Set {
            value: map(self.value),
            at: self.at,
        }
    }
}

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `memory_size`, as in lambox.toml.
    Snake,
    /// `MemorySize`, as in a template.
    Pascal,
}

impl Spelling {
    pub(super) fn of(self, name: &str) -> String {
        match self {
            Self::Snake => name.to_owned(),
            Self::Pascal => name
                .split('_')
                .flat_map(|word| {
                    let mut letters = word.chars();
                    let first = letters.next().map(|first| first.to_ascii_uppercase());
                    first.into_iter().chain(letters)
                })
                .collect(),
        }
    }
}

/// Where a tree of values comes from, and what is found in it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) origin: Origin,
    pub(super) spelling: Spelling,
    /// Whether what is not known here may be known elsewhere: then it is an error only where it looks like a mistake.
    pub(super) is_foreign: bool,
    pub(super) findings: &'a RefCell<Findings>,
}

#[derive(Clone, Debug)]
pub(super) enum Origin {
    File(Arc<Path>),
    Variable(String),
    Option(String),
}

impl Source<'_> {
    pub(super) fn locate(&self, at: Position) -> Location {
        match &self.origin {
            Origin::File(path) => Location::File {
                path: path.clone(),
                line: at.line,
                column: at.column,
            },
            Origin::Variable(name) => Location::Variable(name.clone()),
            Origin::Option(name) => Location::Option(name.clone()),
        }
    }

    pub(super) fn problem(&self, at: Position, message: impl Into<String>) {
        self.findings.borrow_mut().problem(self.locate(at), message);
    }

    pub(super) fn ignore(&self, at: Position, message: impl Into<String>) {
        self.findings.borrow_mut().ignore(self.locate(at), message);
    }

    pub(super) fn set<T>(&self, at: Position, value: T) -> Set<T> {
        Set {
            value,
            at: self.locate(at),
        }
    }

    /// A path of the source: relative to the file's folder.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        match &self.origin {
            Origin::File(path) => path.parent().unwrap_or(Path::new("")).join(text),
            Origin::Variable(_) | Origin::Option(_) => PathBuf::from(text),
        }
    }
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) at: Position,
    /// What the table is, for a sentence: `a function`.
    what: &'static str,
    entries: &'a [Entry],
    known: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of the node, if it is a table. Nothing at all is an empty one.
    pub(super) fn new(source: &'a Source<'a>, node: &'a Node, what: &'static str) -> Option<Self> {
        let entries = match &node.value {
            Value::Table(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Unknown(why) => {
                source.ignore(node.at, why);
                return None;
            }
            Value::Scalar(..) | Value::List(_) => {
                source.problem(node.at, format!("{what} is a table, not {}", node.kind()));
                return None;
            }
        };
        Some(Self {
            source,
            at: node.at,
            what,
            entries,
            known: Vec::new(),
        })
    }

    /// The member of this name, which is in snake case here whatever the file's spelling is.
    pub(super) fn get(&mut self, name: &str) -> Option<&'a Node> {
        self.get_spelled(self.source.spelling.of(name))
    }

    /// The member of exactly this name. One without a value is not there.
    pub(super) fn get_spelled(&mut self, name: impl Into<String>) -> Option<&'a Node> {
        let name = name.into();
        let entry = self.entries.iter().find(|entry| entry.key == name);
        self.known.push(name);
        let node = &entry?.node;
        match &node.value {
            Value::Null => None,
            Value::Unknown(why) => {
                self.source.ignore(node.at, why);
                None
            }
            Value::Scalar(..) | Value::List(_) | Value::Table(_) => Some(node),
        }
    }

    /// Members that are known and change nothing here.
    pub(super) fn ignore(&mut self, names: &[&str], why: &str) {
        for name in names {
            let name = self.source.spelling.of(name);
            if let Some(entry) = self.entries.iter().find(|entry| entry.key == name) {
                self.source.ignore(entry.key_at, format!("`{name}`: {why}"));
            }
            self.known.push(name);
        }
    }

    /// A value that is read from its text.
    pub(super) fn parsed<T>(&mut self, name: &str) -> Option<Set<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let node = self.get(name)?;
        parsed(self.source, node, &self.source.spelling.of(name))
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Option<Set<String>> {
        let node = self.get(name)?;
        text(self.source, node, &self.source.spelling.of(name))
    }

    /// A path, relative to the file.
    pub(super) fn path(&mut self, name: &str) -> Option<Set<PathBuf>> {
        let set = self.text(name)?;
        Some(set.map(|text| self.source.path(&text)))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<Set<bool>> {
        let node = self.get(name)?;
        let value = match &node.value {
            Value::Scalar(text, Scalar::Boolean | Scalar::Plain | Scalar::Text) => boolean(text),
            Value::Null | Value::Scalar(..) | Value::List(_) | Value::Table(_) | Value::Unknown(_) => None,
        };
        if value.is_none() {
            let name = self.source.spelling.of(name);
            self.source
                .problem(node.at, format!("`{name}` is true or false, not {}", shown(node)));
        }
        Some(self.source.set(node.at, value?))
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<Set<T>> {
        let node = self.get(name)?;
        let found = node
            .as_text()
            .and_then(|text| words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)));
        if let Some((_, value)) = found {
            return Some(self.source.set(node.at, *value));
        }
        let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let name = self.source.spelling.of(name);
        let message = format!("`{name}` is {}, not {}", words.join(" or "), shown(node));
        self.source.problem(node.at, message);
        None
    }

    /// A list; in a file that is not Lambox's, a single value is a list of one.
    pub(super) fn list(&mut self, name: &str) -> Option<&'a [Node]> {
        let node = self.get(name)?;
        match &node.value {
            Value::List(nodes) => Some(nodes),
            Value::Scalar(..) if self.source.is_foreign => Some(std::slice::from_ref(node)),
            Value::Null | Value::Scalar(..) | Value::Table(_) | Value::Unknown(_) => {
                let name = self.source.spelling.of(name);
                self.source
                    .problem(node.at, format!("`{name}` is a list, not {}", node.kind()));
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str) -> Option<Vec<Set<String>>> {
        let nodes = self.list(name)?;
        let name = self.source.spelling.of(name);
        let texts = nodes.iter().filter_map(|node| text(self.source, node, &name));
        Some(texts.collect())
    }

    /// A table in it.
    pub(super) fn table(&mut self, name: &str, what: &'static str) -> Option<Reader<'a>> {
        let node = self.get(name)?;
        Reader::new(self.source, node, what)
    }

    /// All members, by names of the user's own.
    pub(super) fn members(&mut self) -> &'a [Entry] {
        self.known.extend(self.entries.iter().map(|entry| entry.key.clone()));
        self.entries
    }

    /// Tells what nobody asked for.
    pub(super) fn end(self) {
        for entry in self.entries {
            if self.known.contains(&entry.key) {
                continue;
            }
            let known = self.known.iter().map(String::as_str);
            if self.source.is_foreign && nearest(&entry.key, known.clone()).is_none() {
                self.source
                    .ignore(entry.key_at, format!("`{}` is not known here", entry.key));
            } else {
                let meant = did_you_mean(&entry.key, known);
                self.source
                    .problem(entry.key_at, format!("{} has no `{}`; {meant}", self.what, entry.key));
            }
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A value that is read from the node's text.
pub(super) fn parsed<T>(source: &Source<'_>, node: &Node, name: &str) -> Option<Set<T>>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    match &node.value {
        Value::Scalar(text, _) => match text.parse() {
            Ok(value) => Some(source.set(node.at, value)),
            Err(error) => {
                source.problem(node.at, format!("`{name}`: {error}"));
                None
            }
        },
        Value::Unknown(why) => {
            source.ignore(node.at, why);
            None
        }
        Value::Null | Value::List(_) | Value::Table(_) => {
            source.problem(node.at, format!("`{name}` is a single value, not {}", node.kind()));
            None
        }
    }
}

pub(super) fn text(source: &Source<'_>, node: &Node, name: &str) -> Option<Set<String>> {
    match &node.value {
        Value::Scalar(text, Scalar::Text | Scalar::Plain) => Some(source.set(node.at, text.clone())),
        Value::Unknown(why) => {
            source.ignore(node.at, why);
            None
        }
        Value::Null | Value::Scalar(..) | Value::List(_) | Value::Table(_) => {
            source.problem(node.at, format!("`{name}` is a text, not {}", node.kind()));
            None
        }
    }
}

/// The value for a sentence.
fn shown(node: &Node) -> String {
    match node.as_text() {
        Some(text) => format!("`{text}`"),
        None => node.kind().to_owned(),
    }
}
