//! Platform events as lines of the log.

mod text;

use std::fmt;

use crate::telemetry::{self, Schema};
use crate::{Config, ExtensionState, InitType, PlatformEvent, Report, Status, Timestamp};

pub use text::write_text;

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
/// `platform.initStart` (the table says INFO, recordings leave it open), and for a successful `platform.initReport` that
/// is always printed and a successful `platform.restoreReport`, which are taken as INFO.
pub const fn system_level(event: &PlatformEvent) -> Level {
    match event {
        PlatformEvent::InitStart { .. }
        | PlatformEvent::RestoreStart { .. }
        | PlatformEvent::Start { .. }
        | PlatformEvent::End { .. } => Level::Info,
        PlatformEvent::InitRuntimeDone { status, .. }
        | PlatformEvent::RestoreRuntimeDone { status, .. }
        | PlatformEvent::RuntimeDone { status, .. } => of_status(*status, Level::Debug),
        PlatformEvent::RestoreReport { status, .. } => of_status(*status, Level::Info),
        PlatformEvent::Subscription { .. } => Level::Debug,
        PlatformEvent::Fault { .. } | PlatformEvent::LogsDropped { .. } => Level::Warn,
        PlatformEvent::InitReport {
            status,
            initialization_type,
            ..
        } => match initialization_type {
            InitType::OnDemand => of_status(*status, Level::Debug),
            InitType::ProvisionedConcurrency | InitType::SnapStart | InitType::LambdaManagedInstances { .. } => {
                of_status(*status, Level::Info)
            }
        },
        PlatformEvent::Report(report) => of_status(report.status, Level::Info),
        PlatformEvent::ManagedReport(report) => of_status(report.status, Level::Info),
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

/// The most memory used in MB, rounded up.
pub const fn max_memory_used_mb(report: &Report) -> u64 {
    report.max_memory_used.div_ceil(1024 * 1024)
}

/// Writes the line that the JSON format has for an event, ended by a newline; nothing where it has none: what the newest
/// version of the Telemetry API says of it, and of a subscription to the Logs API what that says.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(out: &mut dyn fmt::Write, config: &Config, at: Timestamp, event: &PlatformEvent) -> fmt::Result {
    let schema = match event {
        PlatformEvent::Subscription { api, .. } => match api {
            telemetry::Api::Telemetry => Schema::Telemetry20250129,
            telemetry::Api::Logs => Schema::Logs20210318,
        },
        _ => Schema::Telemetry20250129,
    };
    if telemetry::write_event(out, schema, config, at, event)? {
        out.write_char('\n')?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{InitPhase, RequestId};

    pub(crate) fn config(initialization_type: InitType) -> Config {
        Config {
            function_name: "f".into(),
            function_version: "7".into(),
            function_arn: "arn".into(),
            handler: "h".into(),
            account_id: "1".into(),
            memory_size_mb: 128,
            timeout: Duration::from_secs(3),
            holds_deadlines: false,
            initialization_type,
            extensions: Vec::new(),
            extensions_disabled: false,
            log_stream: "stream".into(),
            runtime_version: "".into(),
            runtime_version_arn: "".into(),
            stream_rate: crate::StreamRate::default(),
            logging: crate::Logging::default(),
        }
    }

    pub(crate) fn init_report(initialization_type: InitType, status: Status) -> PlatformEvent {
        PlatformEvent::InitReport {
            initialization_type,
            phase: InitPhase::Init,
            status,
            error_type: None,
            duration: Duration::from_micros(511_254),
        }
    }

    pub(crate) fn report(status: Status) -> PlatformEvent {
        PlatformEvent::Report(Report {
            request_id: RequestId::from_uuid(uuid::Uuid::nil()),
            status,
            error_type: None,
            duration: Duration::from_secs(3),
            billed_duration: Duration::from_secs(3),
            memory_size_mb: 128,
            max_memory_used: 1,
            init_duration: None,
            restore: None,
            extension_overhead: None,
            trace_id: None,
            tenant_id: None,
        })
    }

    #[test]
    fn the_json_format_has_no_end() {
        let request_id = RequestId::from_uuid(uuid::Uuid::nil());
        let mut line = String::new();
        let event = PlatformEvent::End { request_id };
        write_json(&mut line, &config(InitType::OnDemand), Timestamp::default(), &event)
            .expect("a string takes everything");
        assert_eq!(line, "");
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
