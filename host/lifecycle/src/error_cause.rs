//! The cause of an error as a runtime tells it X-Ray: what of it is kept.
//!
//! Source: the service's own emulator (`rapi/model/error_cause.go`, `error_cause_compactor.go`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_XRAY_CAUSE_BYTES;

/// How much of exceptions and paths is kept of a cause that is too long, in tenths, the most first.
const TENTHS: [usize; 4] = [8, 6, 4, 2];

/// What the members' names take at most, of [`MAX_XRAY_CAUSE_BYTES`].
const NAMES_BYTES: usize = 4096;

/// What is kept of a text where nothing else helps.
const MAX_TEXT_BYTES: usize = (MAX_XRAY_CAUSE_BYTES - NAMES_BYTES) / 2;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Cause {
    #[serde(default)]
    exceptions: Option<Vec<Exception>>,
    #[serde(default)]
    working_directory: String,
    #[serde(default)]
    paths: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Exception {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stack: Vec<Frame>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Frame {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    path: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    line: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    label: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls takes a reference")]
fn is_zero(line: &i64) -> bool {
    *line == 0
}

/// What is kept of a cause: its known members, shortened until they are no longer than [`MAX_XRAY_CAUSE_BYTES`]; nothing
/// of one that is no JSON or says nothing.
pub(crate) fn kept(given: &[u8]) -> Option<Arc<str>> {
    let cause: Cause = serde_json::from_slice(given).ok()?;
    let says_nothing = cause.working_directory.is_empty()
        && cause.message.is_empty()
        && cause.paths.as_ref().is_none_or(Vec::is_empty)
        && cause.exceptions.as_ref().is_none_or(Vec::is_empty);
    if says_nothing {
        return None;
    }
    let whole = written(&cause);
    if whole.len() <= MAX_XRAY_CAUSE_BYTES {
        return Some(whole.into());
    }
    let shortened = TENTHS
        .iter()
        .map(|tenths| written(&cause.with_tenths(*tenths)))
        .find(|text| text.len() <= MAX_XRAY_CAUSE_BYTES);
    Some(shortened.unwrap_or_else(|| written(&cause.without_lists())).into())
}

impl Cause {
    /// With so many tenths of its exceptions and paths, the first ones.
    fn with_tenths(&self, tenths: usize) -> Self {
        let mut cause = self.clone();
        if let Some(exceptions) = &mut cause.exceptions {
            exceptions.truncate(exceptions.len() * tenths / 10);
        }
        if let Some(paths) = &mut cause.paths {
            paths.truncate(paths.len() * tenths / 10);
        }
        cause
    }

    /// Without exceptions and paths, and with texts of a bounded length.
    fn without_lists(&self) -> Self {
        Self {
            exceptions: None,
            working_directory: cropped(&self.working_directory),
            paths: None,
            message: cropped(&self.message),
        }
    }
}

/// A text of at most [`MAX_TEXT_BYTES`]; dots stand for what is missing.
fn cropped(text: &str) -> String {
    const DOTS: &str = "...";
    if text.len() <= MAX_TEXT_BYTES {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(MAX_TEXT_BYTES - DOTS.len());
    format!("{}{DOTS}", &text[..kept])
}

fn written(cause: &Cause) -> String {
    // Texts, numbers and lists of them always can be written as JSON.
    serde_json::to_string(cause).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_text(given: &str) -> String {
        kept(given.as_bytes()).as_deref().unwrap_or("nothing").to_owned()
    }

    #[test]
    fn known_members_are_kept() {
        for (given, expected) in [
            (
                r#"{"working_directory":"/var/task","exceptions":[{"type":"E","message":"m","stack":[{"path":"a.py","line":3,"label":"f","more":1}]}],"paths":["a.py"],"id":"x"}"#,
                r#"{"exceptions":[{"message":"m","type":"E","stack":[{"path":"a.py","line":3,"label":"f"}]}],"working_directory":"/var/task","paths":["a.py"]}"#,
            ),
            (
                r#"{"message":"alone"}"#,
                r#"{"exceptions":null,"working_directory":"","paths":null,"message":"alone"}"#,
            ),
            (r#"{"exceptions":[],"paths":[],"message":""}"#, "nothing"),
            ("{}", "nothing"),
            ("no JSON", "nothing"),
            ("", "nothing"),
            (r#"{"paths":"a"}"#, "nothing"),
        ] {
            assert_eq!(kept_text(given), expected, "{given}");
        }
    }

    #[test]
    fn a_long_cause_loses_exceptions_and_paths_by_fifths_until_it_fits() {
        // Ten paths of a length such that so many of them fit.
        for (fit, left) in [(10, 10), (9, 8), (7, 6), (5, 4), (3, 2), (1, 0)] {
            let path = "p".repeat((MAX_XRAY_CAUSE_BYTES - 60) / fit - 3);
            let cause = serde_json::json!({ "working_directory": "/", "paths": vec![path; 10] });
            let kept = kept(cause.to_string().as_bytes()).expect("something is kept");
            assert!(kept.len() <= MAX_XRAY_CAUSE_BYTES);
            let kept: serde_json::Value = serde_json::from_str(&kept).expect("it is JSON");
            let paths = kept["paths"].as_array().map_or(0, Vec::len);
            assert_eq!(paths, left, "where {fit} of 10 would fit");
        }
    }

    #[test]
    fn texts_that_are_too_long_are_cut_at_last() {
        let long = "\u{e4}".repeat(MAX_XRAY_CAUSE_BYTES);
        let cause = serde_json::json!({ "working_directory": long, "message": long, "paths": ["a"] });
        let kept = kept(cause.to_string().as_bytes()).expect("something is kept");
        assert!(kept.len() <= MAX_XRAY_CAUSE_BYTES);
        let kept: serde_json::Value = serde_json::from_str(&kept).expect("it is JSON");
        assert_eq!(kept["paths"], serde_json::Value::Null);
        assert!(kept["message"].as_str().is_some_and(|text| text.ends_with("\u{e4}...")));
    }
}
