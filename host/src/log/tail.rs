//! The end of an invocation's log, as a caller who asks for it gets it with the answer.

use lambox_lifecycle::{Config, LogFormat, PlatformEvent};

use super::{LogEntry, LogSource};

/// How much of the log a caller gets: its last 4 KiB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html> (`LogType`).
pub const MAX_LOG_TAIL_BYTES: usize = 4_096;

/// The end of a log in the function's format: in text, the last bytes, of which those that are half a character are
/// replaced; in JSON, the last records that fit as a whole.
///
/// The function's levels leave nothing out of it. The text format's INIT_START line is not there.
///
/// Source: observed in recordings of the service of September 2026; assumed for lines of the function's below its level,
/// of which they hold none.
pub(crate) fn tail(entries: &[LogEntry], config: &Config) -> String {
    match config.logging.format {
        LogFormat::Text => {
            let mut pieces = Vec::new();
            let mut bytes = 0;
            for entry in entries.iter().rev() {
                if bytes >= MAX_LOG_TAIL_BYTES {
                    break;
                }
                if !matches!(entry.source, LogSource::Platform(PlatformEvent::InitStart { .. })) {
                    let text = written(entry, config);
                    bytes += text.len();
                    pieces.push(text);
                }
            }
            pieces.reverse();
            let text = pieces.concat();
            let cut = text.len().saturating_sub(MAX_LOG_TAIL_BYTES);
            String::from_utf8_lossy(&text.as_bytes()[cut..]).into_owned()
        }
        LogFormat::Json => {
            let mut room = MAX_LOG_TAIL_BYTES;
            let mut pieces = Vec::new();
            for entry in entries.iter().rev() {
                let text = written(entry, config);
                let Some(rest) = room.checked_sub(text.len()) else {
                    break;
                };
                room = rest;
                pieces.push(text);
            }
            pieces.reverse();
            pieces.concat()
        }
    }
}

fn written(entry: &LogEntry, config: &Config) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = entry.write(&mut text, config.logging.format, config);
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lambox_lifecycle::Timestamp;

    use super::super::tests::config;
    use super::*;

    fn line(text: &str) -> LogEntry {
        LogEntry {
            at: Timestamp::default(),
            source: LogSource::Function(Bytes::copy_from_slice(text.as_bytes())),
        }
    }

    fn told(format: LogFormat, lines: &[&str]) -> String {
        let mut config = config();
        config.logging.format = format;
        let entries: Vec<_> = lines.iter().copied().map(line).collect();
        tail(&entries, &config)
    }

    #[test]
    fn a_text_is_cut_at_its_last_4096_bytes_and_half_a_character_is_replaced() {
        assert_eq!(told(LogFormat::Text, &[]), "");
        assert_eq!(told(LogFormat::Text, &["a", "b"]), "a\nb\n");
        let whole = "x".repeat(4_095);
        assert_eq!(told(LogFormat::Text, &["lost", &whole]), format!("{whole}\n"));
        let more = format!("ö{}", "x".repeat(4_094));
        assert_eq!(
            told(LogFormat::Text, &["lost", &more]),
            format!("\u{fffd}{}\n", "x".repeat(4_094)),
            "half an ö"
        );
        let lines = vec!["123456789"; 1_000];
        assert_eq!(told(LogFormat::Text, &lines).len(), 4_096);
    }

    #[test]
    fn of_the_json_format_whole_records_are_told() {
        let record = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        let (half, most) = (record(2_047), record(4_095));
        assert_eq!(told(LogFormat::Json, &[&half, &half]).len(), 4_096, "both fit");
        assert_eq!(told(LogFormat::Json, &[&half, &half, "{}"]), format!("{half}\n{{}}\n"));
        assert_eq!(told(LogFormat::Json, &[&most]), format!("{most}\n"));
        assert_eq!(told(LogFormat::Json, &[&record(4_096)]), "", "it does not fit");
        assert_eq!(
            told(LogFormat::Json, &["{}", &record(4_096), "{\"b\":1}"]),
            "{\"b\":1}\n",
            "what is before one that does not fit is left out, too"
        );
    }
}
