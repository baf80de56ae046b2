//! A configuration file as a tree of values, each with its place in the file, whatever the file's language.

mod toml;
mod yaml;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

pub(super) use self::toml::parse as parse_toml;
pub(super) use self::yaml::parse as parse_yaml;

/// The most bytes of a file: 1 MB.
///
/// Source: documented, for a template,
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// How deep values may be nested. Nothing that is understood is half as deep.
const MAX_DEPTH: usize = 64;

/// The most values of a file, with those that an alias repeats.
const MAX_NODES: usize = 100_000;

/// A place in a file, both from 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    /// As it is written, a number in decimal.
    Scalar(String, Scalar),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// There is a value, which is not known here; why.
    Unknown(String),
}

/// What a scalar is by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Text,
    Number,
    Boolean,
    Time,
    /// Whatever is asked for: in YAML, what is written without quotes.
    Plain,
}

/// A member of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Position,
    pub(super) node: Node,
}

/// What a file is not: a sentence, and its place where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: Option<Position>,
    pub(super) message: String,
}

impl Node {
    pub(super) const fn empty_table() -> Self {
        Self {
            value: Value::Table(Vec::new()),
            at: Position { line: 1, column: 1 },
        }
    }

    /// The entries of a table.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            Value::Null | Value::Scalar(..) | Value::List(_) | Value::Unknown(_) => None,
        }
    }

    /// The member of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries()?.iter().find(|entry| entry.key == key)?;
        Some(&entry.node)
    }

    /// A scalar as it is written.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            Value::Null | Value::List(_) | Value::Table(_) | Value::Unknown(_) => None,
        }
    }

    /// What it is, for a sentence.
    pub(super) const fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_, Scalar::Text | Scalar::Plain) => "a text",
            Value::Scalar(_, Scalar::Number) => "a number",
            Value::Scalar(_, Scalar::Boolean) => "true or false",
            Value::Scalar(_, Scalar::Time) => "a time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Unknown(_) => "a value that is not known here",
        }
    }
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, SyntaxError> {
    let error = |message: String| SyntaxError { at: None, message };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|source| error(format!("it cannot be read: {source}")))?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| error(format!("it cannot be read: {source}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(error(format!("it has more than {MAX_FILE_BYTES} bytes (1 MB)")));
    }
    String::from_utf8(bytes).map_err(|_| error("it is not UTF-8".to_owned()))
}
