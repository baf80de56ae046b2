//! Logs as a scenario compares them: what differs from run to run is replaced.

use lambox::lifecycle::Config;
use lambox::{LogEntry, LogFormat, LogSource, PlatformEvent};

/// The entries of a log, one line each: the text log's lines after a bar, the events that it has no line for by their
/// name and status, what Lambox itself has to say after a hash.
pub fn told(entries: &[LogEntry], config: &Config) -> String {
    let lines: String = entries
        .iter()
        // It says nothing that the report behind it does not, and to subscribers of the Logs API only.
        .filter(|entry| !matches!(entry.source, LogSource::Platform(PlatformEvent::Fault { .. })))
        .map(|entry| {
            let mut line = String::new();
            entry
                .write(&mut line, LogFormat::Text, config)
                .expect("a string takes every write");
            match &entry.source {
                LogSource::Platform(event) if line.is_empty() => format!("event {}\n", name(event)),
                LogSource::Simulator(text) => format!("# {text}\n"),
                LogSource::Extension(extension, _) => format!("| [{extension}] {line}"),
                _ => format!("| {line}"),
            }
        })
        .collect();
    redacted(&lines)
}

fn name(event: &PlatformEvent) -> String {
    let with_status = |name: &str, status: lambox::Status, error_type: Option<&str>| {
        let error_type = error_type
            .map(|error_type| format!(" {error_type}"))
            .unwrap_or_default();
        format!("{name} {}{error_type}", status.as_str())
    };
    match event {
        PlatformEvent::InitStart { phase, .. } => format!("initStart {}", phase.as_str()),
        PlatformEvent::InitRuntimeDone { status, error_type, .. } => {
            with_status("initRuntimeDone", *status, error_type.as_deref())
        }
        PlatformEvent::InitReport { status, error_type, .. } => {
            with_status("initReport", *status, error_type.as_deref())
        }
        PlatformEvent::RestoreStart { .. } => "restoreStart".to_owned(),
        PlatformEvent::RestoreRuntimeDone { status, error_type, .. } => {
            with_status("restoreRuntimeDone", *status, error_type.as_deref())
        }
        PlatformEvent::RuntimeDone { status, error_type, .. } => {
            with_status("runtimeDone", *status, error_type.as_deref())
        }
        other => format!("{other:?}"),
    }
}

/// A log in either format without what differs from run to run: times, durations, deadlines, memory (but for all of it),
/// the environment's own id. Each is replaced by a placeholder of always the same width. A tab is shown as an arrow.
pub fn redacted(log: &str) -> String {
    let mut redacted = String::new();
    for line in log.split_inclusive('\n') {
        let mut line = line.to_owned();
        // The duration of an invocation that timed out is its timeout; with an init it is billed for more.
        let timed_out = line.trim_end().ends_with("Status: timeout");
        if !timed_out {
            line = replaced(&line, "\tDuration: ", " ms", "__.__");
        }
        if !timed_out || line.contains("Init Duration: ") {
            line = replaced(&line, "Billed Duration: ", " ms", "__.__");
        }
        if !timed_out || !line.contains("INIT_REPORT") {
            line = replaced(&line, "Init Duration: ", " ms", "__.__");
        }
        let all = number_after(&line, "Memory Size: ").map(|size| format!("Max Memory Used: {size} MB"));
        if all.is_none_or(|all| !line.contains(&all)) {
            line = replaced(&line, "Max Memory Used: ", " MB", "__");
        }
        for key in [
            "\"durationMs\":",
            "\"initDurationMs\":",
            "\"billedDurationMs\":",
            "\"maxMemoryUsedMB\":",
        ] {
            line = replaced(&line, key, ",}", "__.__");
        }
        for key in ["\"time\":\"", "\"start\":\""] {
            line = replaced(&line, key, "\"", "____-__-__T__:__:__.___Z");
        }
        line = replaced(
            &line,
            "\"instanceId\":\"",
            "\"",
            "____/__/__/[$LATEST]________________________________",
        );
        redacted.push_str(&without_epoch_ms(&line.replace('\t', "→")));
    }
    redacted
}

/// The text with what stands between each `key` and the next of the characters, or the word, `end` replaced.
fn replaced(text: &str, key: &str, end: &str, placeholder: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(key) {
        let (before, after) = rest.split_at(at + key.len());
        result.push_str(before);
        let end = if end == ",}" {
            after.find([',', '}'])
        } else {
            after.find(end)
        };
        let end = end.unwrap_or(after.len());
        result.push_str(placeholder);
        rest = &after[end..];
    }
    result + rest
}

/// The text with every number of as many digits as the milliseconds since the epoch have replaced.
fn without_epoch_ms(text: &str) -> String {
    let mut result = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.len() == 13 {
            result.push_str("_____________");
            result.push_str(&word[13..]);
        } else {
            result.push_str(word);
        }
    }
    result
}

fn number_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let after = &text[text.find(key)? + key.len()..];
    Some(&after[..after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_replaced_and_nothing_else() {
        for (log, expected) in [
            (
                "REPORT RequestId: 1\tDuration: 1.66 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\t\
                 Max Memory Used: 7 MB\tInit Duration: 79.22 ms\t\n",
                "REPORT RequestId: 1→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→\
                 Max Memory Used: __ MB→Init Duration: __.__ ms→\n",
            ),
            (
                "REPORT RequestId: 1\tDuration: 500.00 ms\tBilled Duration: 500 ms\tMemory Size: 128 MB\t\
                 Max Memory Used: 128 MB\tStatus: timeout\n",
                "REPORT RequestId: 1→Duration: 500.00 ms→Billed Duration: 500 ms→Memory Size: 128 MB→\
                 Max Memory Used: 128 MB→Status: timeout\n",
            ),
            (
                "{\"time\":\"2026-01-01T00:00:00.000Z\",\"record\":{\"metrics\":{\"durationMs\":1.2},\"n\":1}}\n",
                "{\"time\":\"____-__-__T__:__:__.___Z\",\"record\":{\"metrics\":{\"durationMs\":__.__},\"n\":1}}\n",
            ),
        ] {
            assert_eq!(redacted(log), expected);
        }
    }
}
