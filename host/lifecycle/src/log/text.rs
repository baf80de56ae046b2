//! The text format.

use std::fmt;
use std::time::Duration;

use super::max_memory_used_mb;
use crate::telemetry::Api;
use crate::telemetry::json::rounded;
use crate::{Config, InitType, PlatformEvent, Report, Status};

/// Writes the lines that the text format has for an event, each ended by a newline; nothing where it has none.
///
/// Source: observed in recordings of the service of September 2026; documented for the lines of failed and slow
/// invocations, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>. Where several invocations
/// are served at once the service has the JSON format only; the lines are those that its own emulator prints.
///
/// # Errors
///
/// Those of `out`.
pub fn write_text(out: &mut dyn fmt::Write, config: &Config, event: &PlatformEvent) -> fmt::Result {
    match event {
        PlatformEvent::InitStart { .. } => write_version(out, "INIT_START", config),
        PlatformEvent::RestoreStart { .. } => write_version(out, "RESTORE_START", config),
        PlatformEvent::RestoreReport {
            status,
            error_type,
            duration,
            ..
        } => {
            write!(out, "RESTORE_REPORT Restore Duration: {} ms", Fixed(*duration))?;
            write_status(out, *status, error_type.as_deref())?;
            out.write_char('\n')
        }
        PlatformEvent::Subscription {
            api,
            name,
            state,
            types,
        } => {
            let word = match api {
                Api::Telemetry => "TELEMETRY",
                Api::Logs => "LOGS",
            };
            write!(out, "{word}\tName: {name}\tState: {}\tTypes: ", state.as_str())?;
            write_list(out, types.iter().map(|stream| stream.as_capitalized()))?;
            out.write_char('\n')
        }
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
                | (
                    InitType::ProvisionedConcurrency | InitType::SnapStart | InitType::LambdaManagedInstances { .. },
                    _,
                ) => {}
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
            write!(out, "EXTENSION\tName: {name}\tState: {}\tEvents: ", state.as_str())?;
            write_list(out, events.iter().copied())?;
            if let Some(error_type) = error_type {
                write!(out, "\tError Type: {error_type}")?;
            }
            out.write_char('\n')
        }
        PlatformEvent::Start { request_id, .. } => {
            let separator = match config.initialization_type {
                InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::SnapStart => ' ',
                InitType::LambdaManagedInstances { .. } => '\t',
            };
            writeln!(
                out,
                "START RequestId: {request_id}{separator}Version: {}",
                config.function_version
            )
        }
        PlatformEvent::End { request_id } => writeln!(out, "END RequestId: {request_id}"),
        PlatformEvent::Report(report) => write_report(out, report),
        PlatformEvent::ManagedReport(report) => writeln!(
            out,
            "END RequestId: {0}\nREPORT RequestId: {0}\tDuration: {1} ms",
            report.request_id,
            Fixed(report.duration)
        ),
        PlatformEvent::InitRuntimeDone { .. }
        | PlatformEvent::RestoreRuntimeDone { .. }
        | PlatformEvent::RuntimeDone { .. }
        | PlatformEvent::Fault { .. }
        | PlatformEvent::LogsDropped { .. } => Ok(()),
    }
}

/// The line that names the runtime's version; none where that is not known.
fn write_version(out: &mut dyn fmt::Write, word: &str, config: &Config) -> fmt::Result {
    if config.runtime_version.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{word} Runtime Version: {}\tRuntime Version ARN: {}",
        config.runtime_version, config.runtime_version_arn
    )
}

/// `[A, B]`.
fn write_list<'a>(out: &mut dyn fmt::Write, items: impl Iterator<Item = &'a str>) -> fmt::Result {
    out.write_char('[')?;
    for (index, item) in items.enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(out, "{separator}{item}")?;
    }
    out.write_char(']')
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
    if let Some(restore) = report.restore {
        write!(
            out,
            "Restore Duration: {} ms\tBilled Restore Duration: {} ms\t",
            Fixed(restore.duration),
            restore.billed_duration.as_millis()
        )?;
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
    out.write_char('\n')?;
    match report.trace_id.as_deref().and_then(sampled_trace) {
        Some((trace, segment)) => writeln!(out, "XRAY TraceId: {trace}\tSegmentId: {segment}\tSampled: true\t"),
        None => Ok(()),
    }
}

/// Trace and segment of an X-Ray trace header, where it is sampled.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html>; assumed that the segment is the
/// header's parent, since there is no X-Ray here that gives the function one of its own.
fn sampled_trace(header: &str) -> Option<(&str, &str)> {
    let part = |name: &str| {
        let mut parts = header.split(';').filter_map(|part| part.trim().split_once('='));
        parts.find_map(|(key, value)| (key == name).then_some(value))
    };
    if part("Sampled") != Some("1") {
        return None;
    }
    Some((part("Root")?, part("Parent")?))
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

/// Milliseconds with two decimals, rounded: the text format.
struct Fixed(Duration);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = rounded(self.0, 10_000);
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::{config, init_report, report};
    use crate::telemetry::EventType;
    use crate::{RestoreDurations, SubscriptionState};

    fn text(event: &PlatformEvent) -> String {
        let mut line = String::new();
        write_text(&mut line, &config(InitType::OnDemand), event).expect("a string takes everything");
        line
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
    fn restoring_has_lines_of_its_own() {
        let config = Config {
            runtime_version: "v".into(),
            runtime_version_arn: "arn".into(),
            ..config(InitType::SnapStart)
        };
        let mut lines = String::new();
        let restored = |status, error_type: Option<&'static str>| PlatformEvent::RestoreReport {
            status,
            error_type: error_type.map(Into::into),
            duration: Duration::from_micros(511_254),
            trace_id: None,
        };
        let mut of_invocation = report(Status::Success);
        if let PlatformEvent::Report(report) = &mut of_invocation {
            report.restore = Some(RestoreDurations {
                duration: Duration::from_micros(511_254),
                billed_duration: Duration::from_millis(512),
            });
        }
        for event in [
            PlatformEvent::RestoreStart { trace_id: None },
            restored(Status::Success, None),
            restored(Status::Timeout, None),
            restored(Status::Error, Some("Runtime.AfterRestoreError")),
            of_invocation,
        ] {
            write_text(&mut lines, &config, &event).expect("a string takes everything");
        }
        assert_eq!(
            lines,
            "RESTORE_START Runtime Version: v\tRuntime Version ARN: arn\n\
             RESTORE_REPORT Restore Duration: 511.25 ms\n\
             RESTORE_REPORT Restore Duration: 511.25 ms\tStatus: timeout\n\
             RESTORE_REPORT Restore Duration: 511.25 ms\tStatus: error\tError Type: Runtime.AfterRestoreError\n\
             REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\t\
             Memory Size: 128 MB\tMax Memory Used: 1 MB\tRestore Duration: 511.25 ms\t\
             Billed Restore Duration: 512 ms\t\n"
        );
    }

    #[test]
    fn subscriptions_have_a_line() {
        let subscription = |api, state| PlatformEvent::Subscription {
            api,
            name: "x".into(),
            state,
            types: vec![EventType::Platform, EventType::Function],
        };
        assert_eq!(
            text(&subscription(Api::Telemetry, SubscriptionState::Subscribed)),
            "TELEMETRY\tName: x\tState: Subscribed\tTypes: [Platform, Function]\n"
        );
        assert_eq!(
            text(&subscription(Api::Logs, SubscriptionState::AlreadySubscribed)),
            "LOGS\tName: x\tState: Already subscribed\tTypes: [Platform, Function]\n"
        );
    }

    #[test]
    fn a_sampled_trace_has_a_line_behind_the_report() {
        let of_trace = |trace_id: &str| {
            let mut event = report(Status::Success);
            if let PlatformEvent::Report(report) = &mut event {
                report.trace_id = Some(trace_id.into());
            }
            text(&event).lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            of_trace("Root=1-5e34a614-0;Parent=07f5;Sampled=1;Lineage=x"),
            ["XRAY TraceId: 1-5e34a614-0\tSegmentId: 07f5\tSampled: true\t"]
        );
        for unsampled in [
            "Root=1-5e34a614-0;Parent=07f5;Sampled=0",
            "Root=1-5e34a614-0;Sampled=1",
            "",
        ] {
            assert_eq!(of_trace(unsampled), [""; 0], "{unsampled}");
        }
    }
}
