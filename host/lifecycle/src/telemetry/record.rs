//! Events as JSON objects: `{"time":…,"type":…,"record":…}`.

use std::fmt;
use std::time::Duration;

use super::json::{Number, Object, Text, Texts, Time, rounded};
use super::{Api, Schema};
use crate::{Config, PlatformEvent, Report, Spans, Timestamp, log};

/// Writes what a schema version says of a platform event, without a newline; nothing where it has no such event, which
/// is what `false` says.
///
/// The members stand in the order in which the service writes them.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html> and
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-logs-api.html>; the order observed in recordings of the service
/// of September 2026; assumed for the order in records that they do not hold (`initRuntimeDone`, `initReport`, `start`,
/// `extension`, `restore*`), which is that of the schema, and that 2022-12-13 has the members of 2025-01-29.
/// The report of an invocation beside others is as the service's own emulator writes it
/// (`internal/lambda-managed-instances`).
///
/// # Errors
///
/// Those of `out`.
pub fn write_event(
    out: &mut dyn fmt::Write,
    schema: Schema,
    config: &Config,
    at: Timestamp,
    event: &PlatformEvent,
) -> Result<bool, fmt::Error> {
    let Some(kind) = name(schema, event) else {
        return Ok(false);
    };
    write!(
        out,
        "{{\"time\":\"{}\",\"type\":\"platform.{kind}\",\"record\":",
        Time(at)
    )?;
    if let PlatformEvent::Fault {
        request_id,
        status,
        error_type,
    } = event
    {
        // The only record that is a text: the words of the log.
        let mut text = format!("RequestId: {request_id}\tStatus: {}", status.as_str());
        if let Some(error_type) = error_type {
            text.push_str("\tError Type: ");
            text.push_str(error_type);
        }
        text.push('\n');
        write!(out, "{}", Text(&text))?;
    } else {
        out.write_char('{')?;
        let mut record = Object::new(out);
        match schema.api() {
            Api::Logs => write_logs_record(&mut record, schema, config, event)?,
            Api::Telemetry => write_record(&mut record, schema, config, event)?,
        }
        out.write_char('}')?;
    }
    out.write_char('}')?;
    Ok(true)
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineSource {
    /// The function.
    Function,
    /// An extension.
    Extension,
}

impl LineSource {
    /// The type of an event that is such a line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Extension => "extension",
        }
    }
}

/// Writes what a schema version says of a line of output (which is given without its newline): the line with its newline
/// as a text; or the object that it is, where the schema version has such lines and `is_json` says that the function's
/// log format is JSON.
///
/// Bytes that are no UTF-8 are replaced.
///
/// Source: observed in recordings of the service of September 2026 for the text; documented for the object.
///
/// # Errors
///
/// Those of `out`.
pub fn write_line(
    out: &mut dyn fmt::Write,
    schema: Schema,
    at: Timestamp,
    source: LineSource,
    line: &[u8],
    is_json: bool,
) -> fmt::Result {
    let line = String::from_utf8_lossy(line);
    write!(
        out,
        "{{\"time\":\"{}\",\"type\":\"{}\",\"record\":",
        Time(at),
        source.as_str()
    )?;
    if is_json && schema.has_structured_lines() && is_object(&line) {
        out.write_str(line.trim())?;
    } else {
        let mut line = line.into_owned();
        line.push('\n');
        write!(out, "{}", Text(&line))?;
    }
    out.write_char('}')
}

/// Whether a line is one JSON object and nothing else.
pub(crate) fn is_object(line: &str) -> bool {
    line.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
}

/// The part after `platform.` of an event's type, in the versions that have the event.
const fn name(schema: Schema, event: &PlatformEvent) -> Option<&'static str> {
    let (is_telemetry, is_logs) = match schema.api() {
        Api::Telemetry => (true, false),
        Api::Logs => (false, true),
    };
    match event {
        PlatformEvent::Start { .. } => Some("start"),
        PlatformEvent::Report(_) => Some("report"),
        PlatformEvent::Extension { .. } => Some("extension"),
        PlatformEvent::LogsDropped { .. } => Some("logsDropped"),
        PlatformEvent::RuntimeDone { .. } => match schema {
            Schema::Logs20200815 => None,
            Schema::Logs20210318
            | Schema::Telemetry20220701
            | Schema::Telemetry20221213
            | Schema::Telemetry20250129 => Some("runtimeDone"),
        },
        PlatformEvent::ManagedReport(_) if is_telemetry => Some("report"),
        PlatformEvent::InitStart { .. } if is_telemetry => Some("initStart"),
        PlatformEvent::InitRuntimeDone { .. } if is_telemetry => Some("initRuntimeDone"),
        PlatformEvent::InitReport { .. } if is_telemetry => Some("initReport"),
        PlatformEvent::RestoreStart { .. } if is_telemetry => Some("restoreStart"),
        PlatformEvent::RestoreRuntimeDone { .. } if is_telemetry => Some("restoreRuntimeDone"),
        PlatformEvent::RestoreReport { .. } if is_telemetry => Some("restoreReport"),
        // Each API tells of its own subscriptions. (Source: assumed; neither schema has the other's.)
        PlatformEvent::Subscription {
            api: Api::Telemetry, ..
        } if is_telemetry => Some("telemetrySubscription"),
        PlatformEvent::Subscription { api: Api::Logs, .. } if is_logs => Some("logsSubscription"),
        PlatformEvent::End { .. } if is_logs => Some("end"),
        PlatformEvent::Fault { .. } if is_logs => Some("fault"),
        PlatformEvent::InitStart { .. }
        | PlatformEvent::InitRuntimeDone { .. }
        | PlatformEvent::InitReport { .. }
        | PlatformEvent::RestoreStart { .. }
        | PlatformEvent::RestoreRuntimeDone { .. }
        | PlatformEvent::RestoreReport { .. }
        | PlatformEvent::Subscription { .. }
        | PlatformEvent::ManagedReport(_)
        | PlatformEvent::End { .. }
        | PlatformEvent::Fault { .. } => None,
    }
}

fn write_logs_record(record: &mut Object<'_>, schema: Schema, config: &Config, event: &PlatformEvent) -> fmt::Result {
    match event {
        PlatformEvent::Start { request_id, .. } => {
            record.value("requestId", format_args!("\"{request_id}\""))?;
            record.text("version", &config.function_version)
        }
        PlatformEvent::End { request_id } => record.value("requestId", format_args!("\"{request_id}\"")),
        PlatformEvent::RuntimeDone { request_id, status, .. } => {
            record.value("requestId", format_args!("\"{request_id}\""))?;
            record.text("status", status.as_str())
        }
        PlatformEvent::Report(report) => {
            record.value("requestId", format_args!("\"{}\"", report.request_id))?;
            record.value("metrics", Metrics(report))
        }
        // The others are the same over both APIs, or not told over this one.
        PlatformEvent::Extension { .. }
        | PlatformEvent::LogsDropped { .. }
        | PlatformEvent::Subscription { .. }
        | PlatformEvent::InitStart { .. }
        | PlatformEvent::InitRuntimeDone { .. }
        | PlatformEvent::InitReport { .. }
        | PlatformEvent::RestoreStart { .. }
        | PlatformEvent::RestoreRuntimeDone { .. }
        | PlatformEvent::RestoreReport { .. }
        | PlatformEvent::ManagedReport(_)
        | PlatformEvent::Fault { .. } => write_record(record, schema, config, event),
    }
}

fn write_record(record: &mut Object<'_>, schema: Schema, config: &Config, event: &PlatformEvent) -> fmt::Result {
    match event {
        PlatformEvent::InitStart {
            initialization_type,
            phase,
        } => {
            record.text("initializationType", initialization_type.as_str())?;
            record.text("phase", phase.as_str())?;
            write_instance(record, schema, config)
        }
        PlatformEvent::InitRuntimeDone {
            initialization_type,
            phase,
            status,
            error_type,
        } => {
            record.text("initializationType", initialization_type.as_str())?;
            record.text("phase", phase.as_str())?;
            record.status(*status, error_type.as_deref())
        }
        PlatformEvent::InitReport {
            initialization_type,
            phase,
            status,
            error_type,
            duration,
        } => {
            record.text("initializationType", initialization_type.as_str())?;
            record.text("phase", phase.as_str())?;
            record.value("metrics", format_args!("{{\"durationMs\":{}}}", Number(*duration, 2)))?;
            if schema.names_function() {
                record.status(*status, error_type.as_deref())?;
            }
            Ok(())
        }
        PlatformEvent::RestoreStart { trace_id } => {
            write_instance(record, schema, config)?;
            record.tracing(trace_id.as_deref())
        }
        PlatformEvent::RestoreRuntimeDone {
            status,
            error_type,
            trace_id,
        } => {
            record.status(*status, error_type.as_deref())?;
            record.tracing(trace_id.as_deref())
        }
        PlatformEvent::RestoreReport {
            status,
            error_type,
            duration,
            trace_id,
        } => {
            record.value("metrics", format_args!("{{\"durationMs\":{}}}", Number(*duration, 2)))?;
            record.status(*status, error_type.as_deref())?;
            record.tracing(trace_id.as_deref())
        }
        PlatformEvent::Extension {
            name,
            state,
            events,
            error_type,
        } => {
            record.text("name", name)?;
            record.text("state", state.as_str())?;
            record.value("events", Texts(events))?;
            match error_type {
                Some(error_type) => record.text("errorType", error_type),
                None => Ok(()),
            }
        }
        PlatformEvent::Subscription { name, state, types, .. } => {
            record.text("name", name)?;
            record.text("state", state.as_str())?;
            let types: Vec<_> = types.iter().map(|stream| stream.as_str()).collect();
            record.value("types", Texts(&types))
        }
        PlatformEvent::LogsDropped {
            reason,
            dropped_records,
            dropped_bytes,
        } => {
            record.text("reason", reason)?;
            record.value("droppedRecords", dropped_records)?;
            record.value("droppedBytes", dropped_bytes)
        }
        PlatformEvent::Start {
            request_id,
            invoked_function_arn,
            trace_id,
            tenant_id,
        } => {
            record.value("requestId", format_args!("\"{request_id}\""))?;
            if schema.names_function() {
                record.text("functionArn", invoked_function_arn)?;
            }
            record.text("version", &config.function_version)?;
            write_tenant(record, schema, tenant_id.as_deref())?;
            record.tracing(trace_id.as_deref())
        }
        PlatformEvent::RuntimeDone {
            request_id,
            status,
            error_type,
            duration,
            produced_bytes,
            spans,
            trace_id,
            tenant_id,
        } => {
            record.value("requestId", format_args!("\"{request_id}\""))?;
            record.status(*status, error_type.as_deref())?;
            record.spans(&runtime_spans(spans))?;
            let duration = Number(*duration, 3);
            match produced_bytes {
                Some(bytes) => record.value(
                    "metrics",
                    format_args!("{{\"durationMs\":{duration},\"producedBytes\":{bytes}}}"),
                )?,
                None => record.value("metrics", format_args!("{{\"durationMs\":{duration}}}"))?,
            }
            write_tenant(record, schema, tenant_id.as_deref())?;
            record.tracing(trace_id.as_deref())
        }
        PlatformEvent::Report(report) => {
            record.value("requestId", format_args!("\"{}\"", report.request_id))?;
            record.value("metrics", Metrics(report))?;
            record.status(report.status, report.error_type.as_deref())?;
            record.spans(&[("extensionOverhead", report.extension_overhead)])?;
            write_tenant(record, schema, report.tenant_id.as_deref())?;
            record.tracing(report.trace_id.as_deref())
        }
        PlatformEvent::ManagedReport(report) => {
            record.value("requestId", format_args!("\"{}\"", report.request_id))?;
            record.text("status", report.status.as_str())?;
            let microseconds = rounded(report.duration, 1_000);
            let (ms, rest) = (microseconds / 1_000, microseconds % 1_000);
            record.value("metrics", format_args!("{{\"durationMs\":{ms}.{rest:03}}}"))?;
            record.tracing(report.trace_id.as_deref())?;
            record.spans(&runtime_spans(&report.spans))?;
            match report.error_type.as_deref() {
                Some(error_type) => record.text("errorType", error_type),
                None => Ok(()),
            }
        }
        PlatformEvent::End { .. } | PlatformEvent::Fault { .. } => Ok(()),
    }
}

/// What an initialisation or a restore says of the function and its instance.
fn write_instance(record: &mut Object<'_>, schema: Schema, config: &Config) -> fmt::Result {
    if !config.runtime_version.is_empty() {
        record.text("runtimeVersion", &config.runtime_version)?;
        record.text("runtimeVersionArn", &config.runtime_version_arn)?;
    }
    if schema.names_function() {
        record.text("functionName", &config.function_name)?;
        record.text("functionVersion", &config.function_version)?;
        record.text("instanceId", &config.log_stream)?;
        record.value("instanceMaxMemory", u64::from(config.memory_size_mb) * 1024 * 1024)?;
    }
    Ok(())
}

fn write_tenant(record: &mut Object<'_>, schema: Schema, tenant_id: Option<&str>) -> fmt::Result {
    match tenant_id {
        Some(tenant_id) if schema.names_function() => record.text("tenantId", tenant_id),
        Some(_) | None => Ok(()),
    }
}

const fn runtime_spans(spans: &Spans) -> [(&'static str, Option<(Timestamp, Duration)>); 3] {
    [
        ("responseLatency", spans.response_latency),
        ("responseDuration", spans.response_duration),
        ("runtimeOverhead", spans.runtime_overhead),
    ]
}

struct Metrics<'a>(&'a Report);

impl fmt::Display for Metrics<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{\"durationMs\":{},\"billedDurationMs\":{},\"memorySizeMB\":{},\"maxMemoryUsedMB\":{}",
            Number(self.0.duration, 3),
            self.0.billed_duration.as_millis(),
            self.0.memory_size_mb,
            log::max_memory_used_mb(self.0),
        )?;
        if let Some(duration) = self.0.init_duration {
            write!(f, ",\"initDurationMs\":{}", Number(duration, 2))?;
        }
        if let Some(restore) = self.0.restore {
            write!(
                f,
                ",\"restoreDurationMs\":{},\"billedRestoreDurationMs\":{}",
                Number(restore.duration, 2),
                restore.billed_duration.as_millis(),
            )?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::EventType;
    use crate::{ExtensionState, InitPhase, InitType, RequestId, RestoreDurations, Status, SubscriptionState};

    fn config() -> Config {
        Config {
            runtime_version: "provided:al2023.v1".into(),
            runtime_version_arn: "arn:aws:lambda:us-east-1::runtime:0".into(),
            ..log::tests::config(InitType::OnDemand)
        }
    }

    const AT: Timestamp = Timestamp::from_epoch_ms(1_767_225_600_007);

    fn request_id() -> RequestId {
        RequestId::from_uuid(uuid::Uuid::nil())
    }

    /// What each schema version says of an event; those that say the same share a line.
    fn told(event: &PlatformEvent) -> String {
        let mut told: Vec<(String, String)> = Vec::new();
        for schema in Schema::ALL {
            let mut text = String::new();
            let is_told = write_event(&mut text, schema, &config(), AT, event).expect("a string takes everything");
            assert_eq!(is_told, !text.is_empty());
            if is_told {
                serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON");
            } else {
                text.push_str("nothing");
            }
            match told.last_mut() {
                Some((schemas, same)) if *same == text => {
                    schemas.push(' ');
                    schemas.push_str(schema.as_str());
                }
                _ => told.push((schema.to_string(), text)),
            }
        }
        let lines: Vec<_> = told
            .into_iter()
            .map(|(schemas, text)| format!("{schemas}: {text}\n"))
            .collect();
        lines.concat()
    }

    fn told_of(events: &[PlatformEvent]) -> String {
        events.iter().map(told).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn initialisation_in_every_schema_version() {
        insta::assert_snapshot!(told_of(&[
            PlatformEvent::InitStart {
                initialization_type: InitType::OnDemand,
                phase: InitPhase::Init,
            },
            PlatformEvent::InitRuntimeDone {
                initialization_type: InitType::OnDemand,
                phase: InitPhase::Invoke,
                status: Status::Error,
                error_type: Some("Runtime.ExitError".into()),
            },
            PlatformEvent::InitReport {
                initialization_type: InitType::ProvisionedConcurrency,
                phase: InitPhase::Init,
                status: Status::Timeout,
                error_type: None,
                duration: Duration::from_micros(9_999_791),
            },
        ]));
    }

    #[test]
    fn restoring_in_every_schema_version() {
        let trace_id = Some("Root=1-a;Parent=b;Sampled=1".into());
        insta::assert_snapshot!(told_of(&[
            PlatformEvent::RestoreStart { trace_id: None },
            PlatformEvent::RestoreRuntimeDone {
                status: Status::Success,
                error_type: None,
                trace_id,
            },
            PlatformEvent::RestoreReport {
                status: Status::Error,
                error_type: Some("Runtime.AfterRestoreError".into()),
                duration: Duration::from_micros(511_254),
                trace_id: None,
            },
        ]));
    }

    #[test]
    fn an_invocation_in_every_schema_version() {
        let span = |ms| Some((AT, Duration::from_micros(ms)));
        insta::assert_snapshot!(told_of(&[
            PlatformEvent::Start {
                request_id: request_id(),
                invoked_function_arn: "arn:x".into(),
                trace_id: Some("Root=1-a;Parent=b;Sampled=1".into()),
                tenant_id: Some("blue".into()),
            },
            PlatformEvent::RuntimeDone {
                request_id: request_id(),
                status: Status::Success,
                error_type: None,
                duration: Duration::from_micros(19_215),
                produced_bytes: Some(12),
                spans: Spans {
                    response_latency: span(18_000),
                    response_duration: span(50),
                    runtime_overhead: span(1_165),
                },
                trace_id: Some("Root=1-a;Parent=b;Sampled=0".into()),
                tenant_id: Some("blue".into()),
            },
            PlatformEvent::End {
                request_id: request_id()
            },
            PlatformEvent::Fault {
                request_id: request_id(),
                status: Status::Error,
                error_type: Some("Runtime.ExitError".into()),
            },
            PlatformEvent::Report(Report {
                request_id: request_id(),
                status: Status::Timeout,
                error_type: None,
                duration: Duration::from_secs(2),
                billed_duration: Duration::from_secs(2),
                memory_size_mb: 128,
                max_memory_used: 37 << 20,
                init_duration: Some(Duration::from_micros(79_219)),
                restore: Some(RestoreDurations {
                    duration: Duration::from_micros(511_254),
                    billed_duration: Duration::from_millis(512),
                }),
                extension_overhead: span(483),
                trace_id: None,
                tenant_id: Some("blue".into()),
            }),
        ]));
    }

    #[test]
    fn extensions_and_subscriptions_in_every_schema_version() {
        insta::assert_snapshot!(told_of(&[
            PlatformEvent::Extension {
                name: "probe.sh".into(),
                state: ExtensionState::Ready,
                events: vec!["INVOKE", "SHUTDOWN"],
                error_type: None,
            },
            PlatformEvent::Subscription {
                api: Api::Telemetry,
                name: "probe.sh".into(),
                state: SubscriptionState::Subscribed,
                types: vec![EventType::Platform, EventType::Function],
            },
            PlatformEvent::Subscription {
                api: Api::Logs,
                name: "probe.sh".into(),
                state: SubscriptionState::AlreadySubscribed,
                types: vec![EventType::Extension],
            },
            PlatformEvent::LogsDropped {
                reason: crate::telemetry::SLOW_CONSUMER,
                dropped_records: 3,
                dropped_bytes: 120,
            },
        ]));
    }

    #[test]
    fn a_line_is_a_text_with_its_newline_or_the_object_that_it_is() {
        let written = |schema, line: &str, is_json| {
            let mut text = String::new();
            write_line(&mut text, schema, AT, LineSource::Function, line.as_bytes(), is_json)
                .expect("a string takes everything");
            text.split_once("\"record\":").expect("it has a record").1.to_owned()
        };
        let newest = Schema::Telemetry20250129;
        for (schema, line, is_json, record, why) in [
            (newest, "a \"b\"", false, r#""a \"b\"\n"}"#, "a text"),
            (
                newest,
                r#"{"a":1}"#,
                false,
                r#""{\"a\":1}\n"}"#,
                "the log format is text",
            ),
            (newest, r#" {"a":1} "#, true, r#"{"a":1}}"#, "an object"),
            (newest, r#"{"a":1"#, true, r#""{\"a\":1\n"}"#, "no JSON"),
            (newest, "[1]", true, r#""[1]\n"}"#, "JSON, and no object"),
            (
                Schema::Telemetry20221213,
                r#"{"a":1}"#,
                true,
                r#"{"a":1}}"#,
                "the version has objects",
            ),
            (
                Schema::Telemetry20220701,
                r#"{"a":1}"#,
                true,
                r#""{\"a\":1}\n"}"#,
                "it has not",
            ),
            (
                Schema::Logs20210318,
                r#"{"a":1}"#,
                true,
                r#""{\"a\":1}\n"}"#,
                "nor has this",
            ),
        ] {
            assert_eq!(written(schema, line, is_json), record, "{why}");
        }
        assert_eq!(written(newest, "", false), "\"\\n\"}", "an empty line");
    }

    #[test]
    fn a_trace_is_told_only_if_sampled_and_text_is_escaped() {
        let start = |trace_id: &str| {
            let mut text = String::new();
            let event = PlatformEvent::Start {
                request_id: request_id(),
                invoked_function_arn: "a\"b\n".into(),
                trace_id: Some(trace_id.into()),
                tenant_id: None,
            };
            write_event(&mut text, Schema::Telemetry20250129, &config(), AT, &event)
                .expect("a string takes everything");
            text
        };
        let sampled = start("Root=1-a;Parent=b;Sampled=1");
        assert!(sampled.contains(r#""functionArn":"a\"b\n""#), "{sampled}");
        assert!(
            sampled.ends_with(r#""tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-a;Parent=b;Sampled=1"}}}"#),
            "{sampled}"
        );
        assert!(!start("Root=1-a;Parent=b;Sampled=0").contains("tracing"));
    }
}
