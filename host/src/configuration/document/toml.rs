//! TOML as a tree.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Node, Position, Scalar, SyntaxError, Value};

/// Reads a file's text: what there is of it, and what is wrong with it.
pub(in super::super) fn parse(text: &str) -> (Node, Vec<SyntaxError>) {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let node = Node {
        value: Value::Table(lines.entries(table.get_ref())),
        at: Position { line: 1, column: 1 },
    };
    let errors = errors
        .iter()
        .map(|error| SyntaxError {
            at: error.span().map(|span| lines.position(&span)),
            message: error.message().to_owned(),
        })
        .collect();
    (node, errors)
}

/// Where each line begins.
#[derive(Debug)]
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(index, _)| index + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after_newlines).collect(),
        }
    }

    fn position(&self, span: &Range<usize>) -> Position {
        let line = self.starts.partition_point(|start| *start <= span.start).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..span.start).unwrap_or_default();
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Position {
            line: number(line),
            column: number(before.chars().count() + 1),
        }
    }

    /// In the order of the file: the library sorts them by name.
    fn entries(&self, table: &DeTable<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_at: self.position(&key.span()),
                node: self.node(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_at);
        entries
    }

    /// How deep they are nested is bounded by the library.
    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let at = self.position(&value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Scalar(text.to_string(), Scalar::Text),
            DeValue::Integer(number) => {
                let decimal = i128::from_str_radix(number.as_str(), number.radix());
                let text = decimal.map_or_else(|_| number.to_string(), |number| number.to_string());
                Value::Scalar(text, Scalar::Number)
            }
            DeValue::Float(number) => Value::Scalar(number.as_str().to_owned(), Scalar::Number),
            DeValue::Boolean(value) => Value::Scalar(value.to_string(), Scalar::Boolean),
            DeValue::Datetime(time) => Value::Scalar(time.to_string(), Scalar::Time),
            DeValue::Array(values) => Value::List(values.iter().map(|value| self.node(value)).collect()),
            DeValue::Table(table) => Value::Table(self.entries(table)),
        };
        Node { value, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places_and_the_order_of_the_file() {
        let (node, errors) = parse("z = 0x10\na = \"ü\"\n[t.u]\nlist = [1,\n  true]\n");
        assert_eq!(errors, []);
        let keys: Vec<&str> = node
            .entries()
            .expect("a table")
            .iter()
            .map(|entry| &*entry.key)
            .collect();
        assert_eq!(keys, ["z", "a", "t"]);
        let at = |node: &Node| (node.at.line, node.at.column);
        let z = node.get("z").expect("it is there");
        assert_eq!((z.as_text(), at(z)), (Some("16"), (1, 5)));
        let list = node.get("t").and_then(|t| t.get("u")).and_then(|u| u.get("list"));
        let Some(Value::List(list)) = list.map(|list| &list.value) else {
            panic!("it is a list")
        };
        assert_eq!((at(&list[0]), at(&list[1])), ((4, 9), (5, 3)));
    }

    #[test]
    fn every_mistake_has_its_place() {
        let (_, errors) = parse("a = \nb = 1\nb = 2\n");
        let places: Vec<_> = errors.iter().map(|error| error.at.map(|at| at.line)).collect();
        assert_eq!(places, [Some(1), Some(3)], "{errors:?}");
    }
}
