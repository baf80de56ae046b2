//! The X-Ray header of an invocation.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use http::HeaderValue;
use uuid::Uuid;

/// What an invocation is told of its trace: the caller's, completed, or a new one that is not sampled.
///
/// The segment of the caller stays the parent, as with the service's mode `PassThrough`.
///
/// Source: observed, `Root=1-<seconds>-<96 bits>;Parent=<64 bits>;Sampled=0;Lineage=1:<32 bits>:0`, where the lineage is
/// the same for all invocations of a function. Which 32 bits those are is ours.
pub(super) fn header(given: Option<&HeaderValue>, function_name: &str, now_seconds: u64) -> Arc<str> {
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let field = |name: &str| {
        given.split(';').find_map(|field| {
            let (key, value) = field.trim().split_once('=')?;
            (key.eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
        })
    };
    let mut text = String::with_capacity(128);
    // Writing to a string does not fail.
    let _ = match field("Root") {
        Some(root) => write!(text, "Root={root}"),
        None => write!(text, "Root=1-{:08x}-{:024x}", now_seconds, random() >> 32),
    };
    let _ = match field("Parent") {
        Some(parent) => write!(text, ";Parent={parent}"),
        None => write!(text, ";Parent={:016x}", random() >> 64),
    };
    let _ = write!(text, ";Sampled={}", field("Sampled").unwrap_or("0"));
    let _ = match field("Lineage") {
        Some(lineage) => write!(text, ";Lineage={lineage}"),
        None => write!(text, ";Lineage=1:{:08x}:0", lineage(function_name)),
    };
    text.into()
}

/// The bits of a UUID that are not random meet random ones of another.
fn random() -> u128 {
    Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64)
}

fn lineage(function_name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    function_name.hash(&mut hasher);
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &'static str) -> String {
        header(Some(&HeaderValue::from_static(given)), "hello", 0x5bef_4de7).to_string()
    }

    #[test]
    fn a_callers_trace_goes_on() {
        for (given, expected) in [
            (
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1;Lineage=2:abcdef01:1",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1;Lineage=2:abcdef01:1",
            ),
            (
                "sampled=1; parent=9a9197af755a6419; Self=1-0-0; root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Lineage=a",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1;Lineage=a",
            ),
        ] {
            assert_eq!(of(given), expected);
        }
    }

    #[test]
    fn what_a_caller_leaves_out_is_made() {
        let text = header(None, "hello", 0x5bef_4de7).to_string();
        let fields: Vec<_> = text.split(';').filter_map(|field| field.split_once('=')).collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["Root", "Parent", "Sampled", "Lineage"]);
        let root = fields[0].1.strip_prefix("1-5bef4de7-").expect("the time");
        assert_eq!((root.len(), fields[1].1.len(), fields[2].1), (24, 16, "0"), "{text}");
        assert_ne!(header(None, "hello", 0), header(None, "hello", 0));
        assert!(of("Root=1-2-3").starts_with("Root=1-2-3;Parent="));
        assert!(of("nonsense").starts_with("Root=1-5bef4de7-"));
        let lineage = |text: &str| text.rsplit_once(';').map(|(_, lineage)| lineage.to_owned());
        assert_eq!(lineage(&of("")), lineage(&text), "of one function");
    }
}
