//! Platform events as lines of the log: the text format and the JSON format.

use std::fmt;
use std::time::Duration;

use crate::{Config, ExtensionState, InitType, PlatformEvent, Report, Spans, Status, Timestamp};

/// How much a line of the platform matters; the system log level of a function with the JSON format filters by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For those who look into the environment.
    Debug,
    /// What every invocation has.
    #[default]
    Info,
    /// Something failed.
    Warn,
}

impl Level {
    /// The spelling in a function's configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
        }
    }
}

/// The system log level of an event.
///
/// Source: documented,
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>; assumed for
/// `platform.initStart` (the table says INFO, recordings leave it open) and for a successful `platform.initReport` that
/// is always printed, which is taken as INFO.
pub const fn system_level(event: &PlatformEvent) -> Level {
    match event {
        PlatformEvent::InitStart { .. } | PlatformEvent::Start { .. } | PlatformEvent::End { .. } => Level::Info,
        PlatformEvent::InitRuntimeDone { status, .. } | PlatformEvent::RuntimeDone { status, .. } => {
            of_status(*status, Level::Debug)
        }
        PlatformEvent::InitReport {
            status,
            initialization_type,
            ..
        } => match initialization_type {
            InitType::OnDemand => of_status(*status, Level::Debug),
            InitType::ProvisionedConcurrency | InitType::SnapStart => of_status(*status, Level::Info),
        },
        PlatformEvent::Report(report) => of_status(report.status, Level::Info),
        PlatformEvent::Extension { state, .. } => match state {
            ExtensionState::Registered | ExtensionState::Ready => Level::Debug,
            ExtensionState::Started
            | ExtensionState::LaunchError
            | ExtensionState::InitError
            | ExtensionState::ExitError
            | ExtensionState::Exited => Level::Warn,
        },
    }
}

const fn of_status(status: Status, success: Level) -> Level {
    match status {
        Status::Success => success,
        Status::Failure | Status::Error | Status::Timeout => Level::Warn,
    }
}

/// Writes the lines that the text format has for an event, each ended by a newline; nothing where it has none.
///
/// Source: observed in recordings of the service of September 2026; documented for the lines of failed and slow
/// invocations, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
///
/// # Errors
///
/// Those of `out`.
pub fn write_text(out: &mut dyn fmt::Write, config: &Config, event: &PlatformEvent) -> fmt::Result {
    match event {
        PlatformEvent::InitStart { .. } if config.runtime_version.is_empty() => Ok(()),
        PlatformEvent::InitStart { .. } => writeln!(
            out,
            "INIT_START Runtime Version: {}\tRuntime Version ARN: {}",
            config.runtime_version, config.runtime_version_arn
        ),
        PlatformEvent::InitReport {
            initialization_type,
            phase,
            status,
            error_type,
            duration,
        } => {
            // One that went well is told of only where it was not made on demand.
            match (initialization_type, status) {
                (InitType::OnDemand, Status::Success) => return Ok(()),
                (InitType::OnDemand, Status::Failure | Status::Error | Status::Timeout)
                | (InitType::ProvisionedConcurrency | InitType::SnapStart, _) => {}
            }
            write!(
                out,
                "INIT_REPORT Init Duration: {} ms\tPhase: {}",
                Fixed(*duration),
                phase.as_str()
            )?;
            write_status(out, *status, error_type.as_deref())?;
            out.write_char('\n')
        }
        PlatformEvent::Extension {
            name,
            state,
            events,
            error_type,
        } => {
            write!(out, "EXTENSION\tName: {name}\tState: {}\tEvents: [", state.as_str())?;
            for (index, event) in events.iter().enumerate() {
                let separator = if index == 0 { "" } else { ", " };
                write!(out, "{separator}{event}")?;
            }
            out.write_char(']')?;
            if let Some(error_type) = error_type {
                write!(out, "\tError Type: {error_type}")?;
            }
            out.write_char('\n')
        }
        PlatformEvent::Start { request_id, .. } => {
            writeln!(
                out,
                "START RequestId: {request_id} Version: {}",
                config.function_version
            )
        }
        PlatformEvent::End { request_id } => writeln!(out, "END RequestId: {request_id}"),
        PlatformEvent::Report(report) => write_report(out, report),
        PlatformEvent::InitRuntimeDone { .. } | PlatformEvent::RuntimeDone { .. } => Ok(()),
    }
}

fn write_report(out: &mut dyn fmt::Write, report: &Report) -> fmt::Result {
    write!(
        out,
        "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
        report.request_id,
        Fixed(report.duration),
        report.billed_duration.as_millis(),
        report.memory_size_mb,
        max_memory_used_mb(report),
    )?;
    if let Some(duration) = report.init_duration {
        write!(out, "Init Duration: {} ms\t", Fixed(duration))?;
    }
    // The tab ends every field but a status, which stands last.
    match report.status {
        Status::Success => {}
        status @ (Status::Failure | Status::Error | Status::Timeout) => {
            write!(out, "Status: {}", status.as_str())?;
            if let Some(error_type) = &report.error_type {
                write!(out, "\tError Type: {error_type}")?;
            }
        }
    }
    out.write_char('\n')
}

fn write_status(out: &mut dyn fmt::Write, status: Status, error_type: Option<&str>) -> fmt::Result {
    match status {
        Status::Success => return Ok(()),
        Status::Failure | Status::Error | Status::Timeout => write!(out, "\tStatus: {}", status.as_str())?,
    }
    match error_type {
        Some(error_type) => write!(out, "\tError Type: {error_type}"),
        None => Ok(()),
    }
}

/// The most memory used in MB, rounded up.
pub const fn max_memory_used_mb(report: &Report) -> u64 {
    report.max_memory_used.div_ceil(1024 * 1024)
}

/// Milliseconds with two decimals, rounded: the text format.
struct Fixed(Duration);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = rounded(self.0, 10_000);
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Milliseconds as a JSON number with at most this many decimals, at least one and no needless zeros.
struct Number(Duration, usize);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(duration, decimals) = *self;
        let scale = 10_u128.pow(u32::try_from(decimals).unwrap_or(0));
        let scaled = rounded(duration, 1_000_000 / scale);
        let mut fraction = scaled % scale;
        let mut width = decimals;
        while width > 1 && fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{}.{fraction:0width$}", scaled / scale)
    }
}

/// How many units of `unit` nanoseconds, to the nearest.
const fn rounded(duration: Duration, unit: u128) -> u128 {
    (duration.as_nanos() + unit / 2) / unit
}

/// Writes the line that the JSON format has for an event, ended by a newline; nothing where it has none.
///
/// The members stand in the order in which the service writes them.
///
/// Source: observed in recordings of the service of September 2026; assumed for the order in records that they do not
/// hold (`initRuntimeDone`, `initReport`, `start`, `extension`), which is that of the telemetry schema.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(out: &mut dyn fmt::Write, config: &Config, at: Timestamp, event: &PlatformEvent) -> fmt::Result {
    let Some(kind) = json_type(event) else {
        return Ok(());
    };
    write!(
        out,
        "{{\"time\":\"{}\",\"type\":\"platform.{kind}\",\"record\":{{",
        Time(at)
    )?;
    write_record(&mut Object { out, is_empty: true }, config, event)?;
    out.write_str("}}\n")
}

/// The part after `platform.` of the type in the JSON format, which has none for the end of an invocation.
const fn json_type(event: &PlatformEvent) -> Option<&'static str> {
    match event {
        PlatformEvent::InitStart { .. } => Some("initStart"),
        PlatformEvent::InitRuntimeDone { .. } => Some("initRuntimeDone"),
        PlatformEvent::InitReport { .. } => Some("initReport"),
        PlatformEvent::Extension { .. } => Some("extension"),
        PlatformEvent::Start { .. } => Some("start"),
        PlatformEvent::RuntimeDone { .. } => Some("runtimeDone"),
        PlatformEvent::Report(_) => Some("report"),
        PlatformEvent::End { .. } => None,
    }
}

fn write_record(record: &mut Object<'_>, config: &Config, event: &PlatformEvent) -> fmt::Result {
    match event {
        PlatformEvent::InitStart {
            initialization_type,
            phase,
        } => {
            record.text("initializationType", initialization_type.as_str())?;
            record.text("phase", phase.as_str())?;
            if !config.runtime_version.is_empty() {
                record.text("runtimeVersion", &config.runtime_version)?;
                record.text("runtimeVersionArn", &config.runtime_version_arn)?;
            }
            record.text("functionName", &config.function_name)?;
            record.text("functionVersion", &config.function_version)?;
            record.text("instanceId", &config.log_stream)?;
            record.value("instanceMaxMemory", u64::from(config.memory_size_mb) * 1024 * 1024)
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
            record.status(*status, error_type.as_deref())
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
        PlatformEvent::Start {
            request_id,
            invoked_function_arn,
            trace_id,
            tenant_id,
        } => {
            record.value("requestId", format_args!("\"{request_id}\""))?;
            record.text("functionArn", invoked_function_arn)?;
            record.text("version", &config.function_version)?;
            if let Some(tenant_id) = tenant_id {
                record.text("tenantId", tenant_id)?;
            }
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
            record.tracing(trace_id.as_deref())
        }
        PlatformEvent::Report(report) => {
            record.value("requestId", format_args!("\"{}\"", report.request_id))?;
            record.value("metrics", Metrics(report))?;
            record.status(report.status, report.error_type.as_deref())?;
            record.spans(&[("extensionOverhead", report.extension_overhead)])
        }
        PlatformEvent::End { .. } => Ok(()),
    }
}

const fn runtime_spans(spans: &Spans) -> [(&'static str, Option<(Timestamp, Duration)>); 3] {
    [
        ("responseLatency", spans.response_latency),
        ("responseDuration", spans.response_duration),
        ("runtimeOverhead", spans.runtime_overhead),
    ]
}

/// The inside of a JSON object.
struct Object<'a> {
    out: &'a mut dyn fmt::Write,
    is_empty: bool,
}

impl Object<'_> {
    /// A member whose value is shown as JSON.
    fn value(&mut self, key: &str, value: impl fmt::Display) -> fmt::Result {
        let separator = if self.is_empty { "" } else { "," };
        self.is_empty = false;
        write!(self.out, "{separator}\"{key}\":{value}")
    }

    fn text(&mut self, key: &str, text: &str) -> fmt::Result {
        self.value(key, Text(text))
    }

    fn status(&mut self, status: Status, error_type: Option<&str>) -> fmt::Result {
        self.text("status", status.as_str())?;
        match error_type {
            Some(error_type) => self.text("errorType", error_type),
            None => Ok(()),
        }
    }

    /// Spans, where there are any.
    fn spans(&mut self, spans: &[(&str, Option<(Timestamp, Duration)>)]) -> fmt::Result {
        if spans.iter().all(|(_, span)| span.is_none()) {
            return Ok(());
        }
        self.value("spans", SpanList(spans))
    }

    /// The trace, only where it is sampled.
    fn tracing(&mut self, trace_id: Option<&str>) -> fmt::Result {
        match trace_id.filter(|trace_id| trace_id.split(';').any(|part| part.trim() == "Sampled=1")) {
            Some(trace_id) => self.value(
                "tracing",
                format_args!("{{\"type\":\"X-Amzn-Trace-Id\",\"value\":{}}}", Text(trace_id)),
            ),
            None => Ok(()),
        }
    }
}

struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

struct Texts<'a>(&'a [&'a str]);

impl fmt::Display for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, text) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{}", Text(text))?;
        }
        f.write_str("]")
    }
}

struct SpanList<'a>(&'a [(&'a str, Option<(Timestamp, Duration)>)]);

impl fmt::Display for SpanList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "[";
        for (name, span) in self.0 {
            if let Some((start, duration)) = span {
                write!(
                    f,
                    "{separator}{{\"name\":\"{name}\",\"start\":\"{}\",\"durationMs\":{}}}",
                    Time(*start),
                    Number(*duration, 3)
                )?;
                separator = ",";
            }
        }
        f.write_str("]")
    }
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
            max_memory_used_mb(self.0),
        )?;
        if let Some(duration) = self.0.init_duration {
            write!(f, ",\"initDurationMs\":{}", Number(duration, 2))?;
        }
        f.write_str("}")
    }
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`.
struct Time(Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0.as_epoch_ms()).map_err(|_| fmt::Error)?;
        let time = jiff::Timestamp::from_millisecond(ms).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InitPhase, RequestId};

    fn config(initialization_type: InitType) -> Config {
        Config {
            function_name: "f".into(),
            function_version: "7".into(),
            function_arn: "arn".into(),
            handler: "h".into(),
            account_id: "1".into(),
            memory_size_mb: 128,
            timeout: Duration::from_secs(3),
            initialization_type,
            extensions: Vec::new(),
            log_stream: "stream".into(),
            runtime_version: "".into(),
            runtime_version_arn: "".into(),
            stream_rate: crate::StreamRate::default(),
        }
    }

    fn text(event: &PlatformEvent) -> String {
        let mut line = String::new();
        write_text(&mut line, &config(InitType::OnDemand), event).expect("a string takes everything");
        line
    }

    fn json(event: &PlatformEvent) -> String {
        let mut line = String::new();
        let at = Timestamp::from_epoch_ms(1_767_225_600_007);
        write_json(&mut line, &config(InitType::OnDemand), at, event).expect("a string takes everything");
        line
    }

    fn init_report(initialization_type: InitType, status: Status) -> PlatformEvent {
        PlatformEvent::InitReport {
            initialization_type,
            phase: InitPhase::Init,
            status,
            error_type: None,
            duration: Duration::from_micros(511_254),
        }
    }

    fn report(status: Status) -> PlatformEvent {
        PlatformEvent::Report(Report {
            request_id: RequestId::from_uuid(uuid::Uuid::nil()),
            status,
            error_type: None,
            duration: Duration::from_secs(3),
            billed_duration: Duration::from_secs(3),
            memory_size_mb: 128,
            max_memory_used: 1,
            init_duration: None,
            extension_overhead: None,
        })
    }

    #[test]
    fn a_successful_init_is_printed_unless_it_was_on_demand() {
        assert_eq!(text(&init_report(InitType::OnDemand, Status::Success)), "");
        for initialization_type in [InitType::ProvisionedConcurrency, InitType::SnapStart] {
            assert_eq!(
                text(&init_report(initialization_type, Status::Success)),
                "INIT_REPORT Init Duration: 511.25 ms\tPhase: init\n"
            );
        }
    }

    #[test]
    fn a_report_ends_with_a_tab_or_a_status() {
        let start = "REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 1 MB\t";
        assert_eq!(text(&report(Status::Success)), format!("{start}\n"));
        assert_eq!(text(&report(Status::Timeout)), format!("{start}Status: timeout\n"));
    }

    #[test]
    fn numbers_have_at_most_three_decimals_and_at_least_one() {
        for (nanos, decimals, shown) in [
            (2_000_000_000, 3, "2000.0"),
            (19_215_499, 3, "19.215"),
            (19_215_500, 3, "19.216"),
            (19_050_000, 3, "19.05"),
            (71_960_000, 2, "71.96"),
            (999_999_999, 3, "1000.0"),
            (0, 3, "0.0"),
        ] {
            assert_eq!(Number(Duration::from_nanos(nanos), decimals).to_string(), shown);
        }
    }

    #[test]
    fn text_in_json_is_escaped_and_a_trace_is_told_only_if_sampled() {
        let start = |trace_id: &str| PlatformEvent::Start {
            request_id: RequestId::from_uuid(uuid::Uuid::nil()),
            invoked_function_arn: "a\"b\n".into(),
            trace_id: Some(trace_id.into()),
            tenant_id: Some("tenant".into()),
        };
        let sampled = json(&start("Root=1-a;Parent=b;Sampled=1"));
        assert_eq!(
            sampled,
            "{\"time\":\"2026-01-01T00:00:00.007Z\",\"type\":\"platform.start\",\"record\":{\"requestId\":\"00000000-0000-0000-0000-000000000000\",\"functionArn\":\"a\\\"b\\n\",\"version\":\"7\",\"tenantId\":\"tenant\",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":\"Root=1-a;Parent=b;Sampled=1\"}}}\n"
        );
        assert!(!json(&start("Root=1-a;Parent=b;Sampled=0")).contains("tracing"));
    }

    #[test]
    fn the_json_format_has_no_end() {
        let request_id = RequestId::from_uuid(uuid::Uuid::nil());
        assert_eq!(json(&PlatformEvent::End { request_id }), "");
    }

    #[test]
    fn what_fails_is_a_warning() {
        assert_eq!(system_level(&report(Status::Success)), Level::Info);
        assert_eq!(system_level(&report(Status::Timeout)), Level::Warn);
        assert_eq!(
            system_level(&init_report(InitType::OnDemand, Status::Success)),
            Level::Debug
        );
        assert_eq!(
            system_level(&init_report(InitType::SnapStart, Status::Success)),
            Level::Info
        );
        assert_eq!(
            system_level(&init_report(InitType::OnDemand, Status::Error)),
            Level::Warn
        );
    }
}
