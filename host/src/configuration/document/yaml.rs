//! YAML, and so JSON, as a tree. CloudFormation's short tags become their long forms: `!Ref X` is `{Ref: X}`.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{Entry, MAX_DEPTH, MAX_NODES, Node, Position, Scalar, SyntaxError, Value};

/// Reads a file's text.
pub(in super::super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut builder = Builder::default();
    let text = with_whole_letters(text);
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.map_err(|error| SyntaxError {
            at: Some(Position {
                line: number(error.marker().line()),
                column: number(error.marker().col() + 1),
            }),
            message: error.info().to_owned(),
        })?;
        let at = position(&span);
        builder
            .take(event, at)
            .map_err(|message| SyntaxError { at: Some(at), message })?;
    }
    Ok(builder.document.unwrap_or(Node {
        value: Value::Null,
        at: Position { line: 1, column: 1 },
    }))
}

/// JSON writes a letter beyond the first plane as two escapes, each of which is none to YAML.
fn with_whole_letters(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('{') || !text.contains("\\u") {
        return text.into();
    }
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let (mut whole, mut from, mut at) = (String::new(), 0, 0);
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + next;
        // Behind a backslash there is a letter of ASCII, or else this is no JSON.
        at = escape + 2;
        if let (Some(first), Some(second)) = (unit(escape), unit(escape + 6))
            && let Some(Ok(letter)) = char::decode_utf16([first, second]).next()
            && letter.len_utf16() == 2
        {
            whole.push_str(&text[from..escape]);
            whole.push(letter);
            from = escape + 12;
            at = from;
        }
    }
    whole.push_str(&text[from..]);
    whole.into()
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn position(span: &Span) -> Position {
    Position {
        line: number(span.start.line()),
        column: number(span.start.col() + 1),
    }
}

#[derive(Debug, Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    /// How many values there are, counting those that aliases repeat.
    nodes: usize,
    documents: usize,
    document: Option<Node>,
}

/// A list or a table whose end has not come.
#[derive(Debug)]
struct Open {
    at: Position,
    anchor: usize,
    function: Option<String>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    List(Vec<Node>),
    Table(Vec<Entry>, Option<Node>, Vec<Entry>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("there is a second document in the file".to_owned());
                }
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref());
                let node = wrapped(Node { value, at }, function(tag.as_deref()));
                self.value(node, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.begin(at, anchor, tag.as_deref(), Values::List(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                self.begin(at, anchor, tag.as_deref(), Values::Table(Vec::new(), None, Vec::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = match open.values {
                    Values::List(values) => Value::List(values),
                    Values::Table(mut entries, _, merged) => {
                        // What a table says itself comes before what others bring, wherever it says it.
                        for other in merged {
                            if !entries.iter().any(|entry| entry.key == other.key) {
                                entries.push(other);
                            }
                        }
                        Value::Table(entries)
                    }
                };
                let node = wrapped(Node { value, at: open.at }, open.function);
                self.value(node, open.anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or("the alias stands for something that it is itself a part of")?;
                self.nodes += size(&node);
                if depth(&node) + self.open.len() > MAX_DEPTH {
                    return Err(too_deep());
                }
                self.value(node, 0)
            }
        }
    }

    fn begin(&mut self, at: Position, anchor: usize, tag: Option<&Tag>, values: Values) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.open.push(Open {
            at,
            anchor,
            function: function(tag),
            values,
        });
        Ok(())
    }

    /// A value is whole: it is a member of what is open, or the document.
    fn value(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("there are more than {MAX_NODES} values in it"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.values) {
            None => self.document = Some(node),
            Some(Values::List(values)) => values.push(node),
            Some(Values::Table(entries, key, merged)) => match key.take() {
                None => *key = Some(node),
                Some(key) => return member(entries, merged, &key, node),
            },
        }
        Ok(())
    }
}

/// Adds a member to a table. The key `<<` brings those of another table, or of several, the first of which come first.
fn member(entries: &mut Vec<Entry>, merged: &mut Vec<Entry>, key: &Node, node: Node) -> Result<(), String> {
    let text = key.as_text().ok_or("a key is a text here")?;
    if text == "<<" {
        match node.value {
            Value::Table(others) => {
                merged.extend(others);
                return Ok(());
            }
            Value::List(ref tables) if tables.iter().all(|table| table.entries().is_some()) => {
                let others = tables.iter().filter_map(Node::entries).flatten();
                merged.extend(others.cloned());
                return Ok(());
            }
            _ => {}
        }
    }
    if let Some(same) = entries.iter().find(|entry| entry.key == text) {
        return Err(format!(
            "the key `{text}` is there twice: before, in line {}",
            same.key_at.line
        ));
    }
    entries.push(Entry {
        key: text.to_owned(),
        key_at: key.at,
        node,
    });
    Ok(())
}

fn too_deep() -> String {
    format!("it is nested more than {MAX_DEPTH} levels deep")
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar(..) | Value::Unknown(_) => 1,
        Value::List(nodes) => 1 + nodes.iter().map(size).sum::<usize>(),
        Value::Table(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar(..) | Value::Unknown(_) => 0,
        Value::List(nodes) => 1 + nodes.iter().map(depth).max().unwrap_or(0),
        Value::Table(entries) => 1 + entries.iter().map(|entry| depth(&entry.node)).max().unwrap_or(0),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_string = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_string {
        return Value::Scalar(text.to_owned(), Scalar::Text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => Value::Scalar(text.to_owned(), Scalar::Plain),
    }
}

/// The intrinsic function that a tag is short for.
fn function(tag: Option<&Tag>) -> Option<String> {
    let tag = tag.filter(|tag| tag.handle == "!" && !tag.suffix.is_empty())?;
    Some(match tag.suffix.as_str() {
        "Ref" | "Condition" => tag.suffix.clone(),
        name => format!("Fn::{name}"),
    })
}

fn wrapped(node: Node, function: Option<String>) -> Node {
    let Some(key) = function else { return node };
    let at = node.at;
    Node {
        value: Value::Table(vec![Entry { key, key_at: at, node }]),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places() {
        let node = parse("a:\n  b: [1, \"2\"]\n  c: !Ref X\n").expect("it is YAML");
        let a = node.get("a").expect("it is there");
        let Some(Value::List(list)) = a.get("b").map(|b| &b.value) else {
            panic!("it is a list")
        };
        assert_eq!(list[0].value, Value::Scalar("1".to_owned(), Scalar::Plain));
        assert_eq!(list[1].value, Value::Scalar("2".to_owned(), Scalar::Text));
        assert_eq!(list[1].at, Position { line: 2, column: 10 });
        let reference = a.get("c").and_then(|c| c.get("Ref")).expect("the long form");
        assert_eq!((reference.as_text(), reference.at.line), (Some("X"), 3));
    }

    #[test]
    fn json_is_yaml() {
        let node = parse("{\"a\": {\"Fn::Sub\": \"x\"}, \"b\": null}").expect("it is JSON");
        assert_eq!(
            node.get("a").and_then(|a| a.get("Fn::Sub")).and_then(Node::as_text),
            Some("x")
        );
        assert_eq!(node.get("b").map(|b| &b.value), Some(&Value::Null));
        let text = r#"{"a": "\ud83d\ude80 \u00e4 \\ud83d\\ude80"}"#;
        let node = parse(text).expect("it is JSON");
        assert_eq!(
            node.get("a").and_then(Node::as_text),
            Some("\u{1f680} \u{e4} \\ud83d\\ude80")
        );
        for broken in [r#"{"a": "\"#, "{\"\\\u{e4}u", r#"{"\u00"#, r#"{"\ud83d"}"#] {
            parse(broken).expect_err(broken);
        }
    }

    #[test]
    fn anchors_are_repeated_and_merged() {
        let node = parse("x: &x {a: 1, b: 2}\ny:\n  a: 3\n  <<: *x\nz: *x\n").expect("it is YAML");
        let text = |table: &str, key: &str| node.get(table).and_then(|t| t.get(key)).and_then(Node::as_text);
        assert_eq!(
            (text("y", "a"), text("y", "b"), text("z", "a")),
            (Some("3"), Some("2"), Some("1"))
        );
    }

    #[test]
    fn a_tables_own_keys_come_before_merged_ones_wherever_they_are() {
        let text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 3\n";
        let node = parse(text).expect("it is YAML");
        let z = node.get("z").expect("it is there");
        let of = |key: &str| z.get(key).and_then(Node::as_text);
        assert_eq!((of("a"), of("b"), of("c")), (Some("3"), Some("1"), Some("2")));
        let twice = parse("x: &x {a: 1}\ny:\n  <<: *x\n  a: 2\n  a: 3\n").expect_err("it is there twice");
        assert!(twice.message.contains("the key `a` is there twice"), "{twice:?}");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let deep = "[".repeat(200);
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = format!("*a{}, ", level - 1).repeat(9);
            laughs.extend([format!("a{level}: &a{level} [{below}]\n")]);
        }
        for (text, told) in [
            (deep.as_str(), "levels deep"),
            (&laughs, "more than 100000 values"),
            ("a: 1\nb: 2\na: 3", "the key `a` is there twice: before, in line 1"),
            ("a: 1\n---\nb: 2", "a second document"),
            ("? [a]\n: b", "a key is a text here"),
            ("a: &a [*a]", "itself a part of"),
            ("a: [", ""),
        ] {
            let error = parse(text).expect_err(told);
            assert!(error.message.contains(told), "{error:?}");
            assert!(error.at.is_some(), "{error:?}");
        }
    }
}
