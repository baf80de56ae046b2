//! A function's logging configuration: in which format its log is written, and what is left out of it.

use serde::Deserialize;
use serde_json::Value;

use crate::PlatformEvent;
use crate::log::{Level, system_level};

/// How the platform's own lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// START, END and REPORT lines.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The spelling in a function's configuration and in `AWS_LAMBDA_LOG_FORMAT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Json => "JSON",
        }
    }
}

/// How much a line of the function's matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApplicationLogLevel {
    /// The way of the code.
    Trace,
    /// For those who look for what is wrong.
    Debug,
    /// What usually happens.
    #[default]
    Info,
    /// What may lead to something wrong.
    Warn,
    /// Something went wrong.
    Error,
    /// Something ended the program.
    Fatal,
}

impl ApplicationLogLevel {
    /// All of them, the most detailed first.
    pub const ALL: [Self; 6] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
        Self::Fatal,
    ];

    /// The spelling in a function's configuration and in `AWS_LAMBDA_LOG_LEVEL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// The level that a line of output has: what its JSON object says at `level` (or `log_level`, as errors that no
    /// handler caught in Python have it), in whatever case. It is INFO where the line is no such object, says nothing or
    /// nothing known of its level, or has no RFC 3339 time at `timestamp` (or `time`).
    ///
    /// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>;
    /// assumed for `time`, and that Python's `WARNING` and `CRITICAL` are WARN and FATAL, of which that page only says that
    /// a runtime's conventions are known.
    pub fn of_line(line: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Line {
            level: Option<Value>,
            log_level: Option<Value>,
            timestamp: Option<Value>,
            time: Option<Value>,
        }
        // An array of four would be read as one, too.
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Self::default();
        }
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            return Self::default();
        };
        let has_time = [&line.timestamp, &line.time]
            .into_iter()
            .flatten()
            .any(|time| time.as_str().is_some_and(is_rfc_3339));
        let level = [&line.level, &line.log_level]
            .into_iter()
            .flatten()
            .find_map(Value::as_str);
        level.filter(|_| has_time).and_then(Self::spelled).unwrap_or_default()
    }

    fn spelled(text: &str) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("WARNING") {
            return Some(Self::Warn);
        }
        if is("CRITICAL") {
            return Some(Self::Fatal);
        }
        Self::ALL.into_iter().find(|level| is(level.as_str()))
    }
}

/// Whether a text is a date and a time of RFC 3339.
fn is_rfc_3339(text: &str) -> bool {
    // Jiff reads other forms of ISO 8601 as well, which are told by the place of what is no digit.
    let has_form = text.len() >= "0000-00-00T00:00:00Z".len()
        && text.bytes().take(19).enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => matches!(byte, b'T' | b't' | b' '),
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    has_form && text.parse::<jiff::Timestamp>().is_ok()
}

/// What a function's configuration says of its log; by default, the text format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Logging {
    /// The format.
    pub format: LogFormat,
    /// The least that a line of the function's has to matter to be listed in a log of the JSON format; the text format has
    /// them all.
    pub application_level: ApplicationLogLevel,
    /// The least that a line of the platform's has to matter to be listed in a log of the JSON format; the text format has
    /// them all.
    pub system_level: Level,
}

impl Logging {
    /// Whether the log shows an event.
    pub fn lists_event(&self, event: &PlatformEvent) -> bool {
        match self.format {
            LogFormat::Text => true,
            LogFormat::Json => system_level(event) >= self.system_level,
        }
    }

    /// Whether the log shows a line of the function's.
    pub fn lists_line(&self, line: &[u8]) -> bool {
        match self.format {
            LogFormat::Text => true,
            // Where every line passes, none is read.
            LogFormat::Json => {
                self.application_level == ApplicationLogLevel::Trace
                    || ApplicationLogLevel::of_line(line) >= self.application_level
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestId;

    #[test]
    fn a_line_has_the_level_that_it_gives_or_info() {
        use ApplicationLogLevel::{Debug, Error, Fatal, Info, Trace, Warn};
        for (line, level, why) in [
            (
                r#"{"level":"debug","timestamp":"2024-11-02T16:51:31.587199Z"}"#,
                Debug,
                "the documented example",
            ),
            (
                r#"{"level":"TRACE","timestamp":"2024-11-02T16:51:31Z"}"#,
                Trace,
                "no fraction",
            ),
            (
                r#" {"timestamp":"2024-11-02T16:51:31+01:00","x":[1],"level":"Warn"}"#,
                Warn,
                "an offset, other members",
            ),
            (
                r#"{"level":"ERROR","time":"2024-11-02T16:51:31Z"}"#,
                Error,
                "the time by its other name",
            ),
            (
                r#"{"level":"WARNING","timestamp":"2024-11-02T16:51:31Z"}"#,
                Warn,
                "as Python says it",
            ),
            (
                r#"{"level":"CRITICAL","timestamp":"2024-11-02T16:51:31Z"}"#,
                Fatal,
                "as Python says it",
            ),
            (
                r#"{"log_level":"ERROR","timestamp":"2024-11-02T16:51:31Z"}"#,
                Error,
                "an error that Python did not catch",
            ),
            (
                r#"{"level":"DEBUG","time":1,"timestamp":"2024-11-02T16:51:31Z"}"#,
                Debug,
                "both names of the time",
            ),
            (
                r#"{"level":"err\u006fr","timestamp":"2024-11-02T16:51:31Z"}"#,
                Error,
                "an escape",
            ),
            (r#"{"level":"ERROR"}"#, Info, "no time"),
            (r#"{"level":"ERROR","timestamp":"yesterday"}"#, Info, "no time"),
            (r#"{"level":"ERROR","timestamp":"2024-11-02"}"#, Info, "a date"),
            (
                r#"{"level":"ERROR","timestamp":"20241102T165131Z"}"#,
                Info,
                "ISO 8601, and not RFC 3339",
            ),
            (
                r#"{"level":"ERROR","timestamp":"2024-13-02T16:51:31Z"}"#,
                Info,
                "no such month",
            ),
            (r#"{"level":"ERROR","timestamp":1730566291}"#, Info, "a number"),
            (r#"{"timestamp":"2024-11-02T16:51:31Z"}"#, Info, "no level"),
            (
                r#"{"level":"LOUD","timestamp":"2024-11-02T16:51:31Z"}"#,
                Info,
                "no level that is known",
            ),
            (
                r#"{"level":4,"timestamp":"2024-11-02T16:51:31Z"}"#,
                Info,
                "a level that is no text",
            ),
            (r#"["ERROR","2024-11-02T16:51:31Z"]"#, Info, "an array"),
            (
                r#"{"level":"ERROR","timestamp":"2024-11-02T16:51:31Z""#,
                Info,
                "cut short",
            ),
            ("ERROR: plain text", Info, "a text"),
            ("", Info, "nothing"),
        ] {
            assert_eq!(ApplicationLogLevel::of_line(line.as_bytes()), level, "{why}: {line}");
        }
        assert_eq!(ApplicationLogLevel::of_line(b"\xff"), Info, "no text at all");
    }

    #[test]
    fn levels_leave_lines_out_in_the_json_format_only() {
        let line = |level: &str| format!(r#"{{"level":"{level}","timestamp":"2024-11-02T16:51:31Z"}}"#);
        for format in [LogFormat::Text, LogFormat::Json] {
            for (index, least) in ApplicationLogLevel::ALL.into_iter().enumerate() {
                let logging = Logging {
                    format,
                    application_level: least,
                    system_level: Level::Warn,
                };
                for (of_line, level) in ApplicationLogLevel::ALL.into_iter().enumerate() {
                    assert_eq!(
                        logging.lists_line(line(level.as_str()).as_bytes()),
                        format == LogFormat::Text || of_line >= index,
                        "{level:?} where {least:?} is the least in {format:?}"
                    );
                }
                let event = PlatformEvent::End {
                    request_id: RequestId::from_uuid(uuid::Uuid::nil()),
                };
                assert_eq!(logging.lists_event(&event), format == LogFormat::Text);
            }
        }
    }
}
