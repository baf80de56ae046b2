//! What can go wrong with an invocation, and the words in which its caller is told.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error_cause;
use crate::limits::{MAX_ERROR_TYPE_BYTES, MAX_RESPONSE_BYTES, RESTORE_TIMEOUT};
use crate::{ErrorReport, Exit, FailureCause, FunctionError, Outcome, Program, RequestId, ShutdownReason, Status};

/// The content type of an error body that carries an X-Ray cause, which its caller does not get.
const ERROR_CAUSE_CONTENT_TYPE: &str = "application/vnd.aws.lambda.error.cause+json";

/// Something that made an invocation or an initialisation fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The runtime reported an error of the handler.
    Handler(ErrorReport),
    /// The runtime reported that its initialisation failed.
    Init(ErrorReport),
    /// The runtime reported that a hook failed after it was restored.
    Restore(ErrorReport),
    /// The hooks took too long.
    RestoreTimeout,
    /// A limit on time was reached.
    Timeout,
    /// The runtime ended.
    RuntimeExit(Exit),
    /// An extension ended.
    ExtensionExit { name: Arc<str>, exit: Exit },
    /// An extension reported that its initialisation failed.
    ExtensionInit { name: Arc<str>, error_type: Arc<str> },
    /// An extension reported that it is about to exit.
    ExtensionError { name: Arc<str>, error_type: Arc<str> },
    /// The handler failed after its streamed response had begun.
    MidStream(ErrorReport),
    /// The response is over the limit.
    ResponseTooLarge,
    /// The response's mode is unknown.
    InvalidResponseMode,
    /// The response was cut short.
    TruncatedResponse,
    /// The environment is shut down, for this reason.
    Shutdown(ShutdownReason),
}

impl Failure {
    /// How a program's end is told.
    pub(super) fn of_exit(program: Program, name: Option<&Arc<str>>, exit: Exit) -> Self {
        match (program, name) {
            (Program::Extension(_), Some(name)) => Self::ExtensionExit {
                name: Arc::clone(name),
                exit,
            },
            (Program::Runtime | Program::Extension(_), _) => Self::RuntimeExit(exit),
        }
    }

    /// The status that telemetry and REPORT give.
    pub(super) const fn status(&self) -> Status {
        match self {
            // The function did its part: its error is a response like any other.
            Self::Handler(_) | Self::MidStream(_) => Status::Success,
            Self::Timeout | Self::RestoreTimeout => Status::Timeout,
            Self::Shutdown(_)
            | Self::RuntimeExit(Exit::HostFault(_))
            | Self::ExtensionExit {
                exit: Exit::HostFault(_),
                ..
            } => Status::Failure,
            Self::Init(_)
            | Self::Restore(_)
            | Self::RuntimeExit(_)
            | Self::ExtensionExit { .. }
            | Self::ExtensionInit { .. }
            | Self::ExtensionError { .. }
            | Self::ResponseTooLarge
            | Self::InvalidResponseMode
            | Self::TruncatedResponse => Status::Error,
        }
    }

    /// The error type that telemetry and REPORT give.
    pub(super) fn reported_type(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Handler(_) | Self::MidStream(_) | Self::Timeout => None,
            Self::Init(_)
            | Self::Restore(_)
            | Self::RestoreTimeout
            | Self::RuntimeExit(_)
            | Self::ExtensionExit { .. }
            | Self::ExtensionInit { .. }
            | Self::ExtensionError { .. }
            | Self::ResponseTooLarge
            | Self::InvalidResponseMode
            | Self::TruncatedResponse
            | Self::Shutdown(_) => Some(self.error_type()),
        }
    }

    /// The platform's error type.
    pub(super) fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Handler(report) | Self::Init(report) | Self::Restore(report) | Self::MidStream(report) => {
                known_error_type(report.error_type.as_deref())
            }
            Self::RestoreTimeout => "Runtime.RestoreHookUserTimeout".into(),
            Self::Timeout => "Sandbox.Timedout".into(),
            Self::RuntimeExit(Exit::LaunchFailed(_)) => "Runtime.InvalidEntrypoint".into(),
            Self::RuntimeExit(Exit::Status(_) | Exit::Signal(_) | Exit::OutOfMemory) => "Runtime.ExitError".into(),
            Self::ExtensionExit {
                exit: Exit::LaunchFailed(_),
                ..
            } => "Extension.LaunchError".into(),
            Self::ExtensionExit {
                exit: Exit::Status(_) | Exit::Signal(_) | Exit::OutOfMemory,
                ..
            } => "Extension.Crash".into(),
            Self::ExtensionInit { .. } => "Extension.InitError".into(),
            Self::ExtensionError { .. } => "Extension.ExitError".into(),
            Self::ResponseTooLarge => "Function.ResponseSizeTooLarge".into(),
            Self::InvalidResponseMode => "Runtime.InvalidResponseModeHeader".into(),
            Self::TruncatedResponse => "Runtime.TruncatedResponse".into(),
            Self::Shutdown(_)
            | Self::RuntimeExit(Exit::HostFault(_))
            | Self::ExtensionExit {
                exit: Exit::HostFault(_),
                ..
            } => "Sandbox.Failure".into(),
        }
    }

    /// What the extensions are told of a shutdown for this reason.
    pub(super) const fn shutdown_reason(&self) -> ShutdownReason {
        match self {
            Self::Timeout | Self::RestoreTimeout => ShutdownReason::Timeout,
            Self::Shutdown(reason) => *reason,
            Self::Handler(_)
            | Self::Init(_)
            | Self::Restore(_)
            | Self::RuntimeExit(_)
            | Self::ExtensionExit { .. }
            | Self::ExtensionInit { .. }
            | Self::ExtensionError { .. }
            | Self::MidStream(_)
            | Self::ResponseTooLarge
            | Self::InvalidResponseMode
            | Self::TruncatedResponse => ShutdownReason::Failure,
        }
    }

    /// What the caller of an invocation gets, where the function's timeout is `timeout`.
    pub(super) fn into_outcome(self, request_id: RequestId, timeout: Duration) -> Outcome {
        let error_type = self.error_type();
        self.into_outcome_as(error_type, request_id, timeout)
    }

    /// The same under another error type of the platform's.
    pub(super) fn into_outcome_as(
        self,
        error_type: Cow<'static, str>,
        request_id: RequestId,
        timeout: Duration,
    ) -> Outcome {
        let default = |text: &str| default_payload(&error_type, request_id, text);
        let mut xray_cause = None;
        let (payload, content_type, cause) = match self {
            Self::Handler(report) => {
                let handed_on = without_cause(report);
                xray_cause = handed_on.cause;
                (handed_on.payload, handed_on.content_type, FailureCause::Handler)
            }
            Self::Init(report) => {
                xray_cause = kept_header(report.xray_cause.as_deref());
                (report.body, report.content_type, FailureCause::Init)
            }
            Self::Restore(report) => {
                xray_cause = kept_header(report.xray_cause.as_deref());
                (report.body, report.content_type, FailureCause::Restore)
            }
            Self::RestoreTimeout => (
                default(&format!(
                    "Restore timed out after {:.2} seconds",
                    RESTORE_TIMEOUT.as_secs_f64()
                )),
                None,
                FailureCause::RestoreTimeout,
            ),
            Self::Timeout => (
                default(&format!("Task timed out after {:.2} seconds", timeout.as_secs_f64())),
                None,
                FailureCause::Timeout,
            ),
            Self::RuntimeExit(exit) => (
                default(&runtime_exit_text(&exit)),
                None,
                FailureCause::RuntimeExit(exit),
            ),
            Self::ExtensionExit { name, exit } => (
                default(&extension_exit_text(&exit)),
                None,
                FailureCause::ExtensionExit { name, exit },
            ),
            Self::ExtensionInit { name, error_type } => {
                (default(&error_type), None, FailureCause::ExtensionInit { name })
            }
            Self::ExtensionError { name, error_type } => {
                (default(&error_type), None, FailureCause::ExtensionError { name })
            }
            Self::MidStream(report) => (
                Bytes::new(),
                None,
                FailureCause::MidStream {
                    error_type: report.error_type,
                    body: report.body,
                },
            ),
            Self::ResponseTooLarge => (
                payload(
                    &error_type,
                    &format!(
                        "Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
                    ),
                ),
                None,
                FailureCause::ResponseTooLarge,
            ),
            Self::InvalidResponseMode => (Bytes::new(), None, FailureCause::InvalidResponseMode),
            Self::TruncatedResponse => (
                default("HTTP request detected as truncated"),
                None,
                FailureCause::TruncatedResponse,
            ),
            Self::Shutdown(_) => (
                default("Execution environment was shut down"),
                None,
                FailureCause::Shutdown,
            ),
        };
        Outcome {
            request_id,
            payload,
            streamed: false,
            content_type,
            error: Some(FunctionError {
                error_type,
                cause,
                xray_cause,
            }),
        }
    }
}

/// The words for a runtime's end.
///
/// Source: observed, `Runtime exited with error: exit status N`; that running out of memory reads as `signal: killed`
/// is documented for older runtimes and assumed for today's.
fn runtime_exit_text(exit: &Exit) -> String {
    match exit {
        Exit::Status(0) => "Runtime exited without providing a reason".to_owned(),
        Exit::Status(status) => format!("Runtime exited with error: exit status {status}"),
        Exit::Signal(signal) => format!("Runtime exited with error: signal: {signal}"),
        Exit::OutOfMemory => "Runtime exited with error: signal: killed".to_owned(),
        Exit::LaunchFailed(reason) | Exit::HostFault(reason) => reason.clone(),
    }
}

/// The words for an extension's end.
///
/// Source: observed, `exit status 17` and `exit code 0`; those for a signal are assumed to be the runtime's.
fn extension_exit_text(exit: &Exit) -> String {
    match exit {
        Exit::Status(0) => "exit code 0".to_owned(),
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("signal: {signal}"),
        Exit::OutOfMemory => "signal: killed".to_owned(),
        Exit::LaunchFailed(reason) | Exit::HostFault(reason) => reason.clone(),
    }
}

/// `{"errorType":…,"errorMessage":…}`, in that order.
pub(super) fn payload(error_type: &str, message: &str) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload<'a> {
        error_type: &'a str,
        error_message: &'a str,
    }
    let payload = Payload {
        error_type,
        error_message: message,
    };
    // Two strings always can be written as JSON.
    Bytes::from(serde_json::to_vec(&payload).unwrap_or_default())
}

fn default_payload(error_type: &str, request_id: RequestId, text: &str) -> Bytes {
    payload(error_type, &format!("RequestId: {request_id} Error: {text}"))
}

/// A handler's error without its X-Ray cause, and that.
struct HandedOn {
    payload: Bytes,
    content_type: Option<Arc<str>>,
    cause: Option<Arc<str>>,
}

/// What is kept of the X-Ray cause in a header.
fn kept_header(given: Option<&str>) -> Option<Arc<str>> {
    given.and_then(|given| error_cause::kept(given.as_bytes()))
}

/// The payload of a handler's error: the body as it is, but for an X-Ray cause, which is not for the caller. The body's
/// content type says whether the cause is there or in a header.
///
/// Source: the service's own emulator (`rapi/model/error_cause.go` and its callers).
fn without_cause(report: ErrorReport) -> HandedOn {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        #[serde(default)]
        error_message: String,
        #[serde(default)]
        error_type: String,
        #[serde(default)]
        stack_trace: Option<Vec<String>>,
        #[serde(default, skip_serializing)]
        error_cause: Option<Box<RawValue>>,
    }
    if report.content_type.as_deref() != Some(ERROR_CAUSE_CONTENT_TYPE) {
        return HandedOn {
            payload: report.body,
            content_type: report.content_type,
            cause: kept_header(report.xray_cause.as_deref()),
        };
    }
    let parsed = serde_json::from_slice::<Body>(&report.body)
        .and_then(|body| serde_json::to_vec(&body).map(|payload| (payload, body.error_cause)));
    match parsed {
        Ok((payload, cause)) => HandedOn {
            payload: Bytes::from(payload),
            content_type: Some("application/json".into()),
            cause: kept_header(cause.as_deref().map(RawValue::get)),
        },
        Err(_) => HandedOn {
            payload: Bytes::from_static(b"\"Invalid error body\""),
            content_type: Some("application/octet-stream".into()),
            cause: None,
        },
    }
}

/// The error type that the platform tells on, which is what the runtime sent where it contains a name of the
/// platform's form: `(Runtime|Function)\.[A-Z][a-zA-Z]+`. The payload is not touched.
///
/// Source: the service's own emulator (`fatalerror`).
fn known_error_type(given: Option<&str>) -> Cow<'static, str> {
    match given {
        Some(given) if given.len() <= MAX_ERROR_TYPE_BYTES && has_known_form(given) => Cow::Owned(given.to_owned()),
        Some(given) if given.starts_with("Function.") => Cow::Borrowed("Function.Unknown"),
        Some(_) | None => Cow::Borrowed("Runtime.Unknown"),
    }
}

fn has_known_form(text: &str) -> bool {
    ["Runtime.", "Function."].iter().any(|prefix| {
        text.match_indices(prefix).any(|(at, _)| {
            let mut name = text.bytes().skip(at + prefix.len());
            name.next().is_some_and(|first| first.is_ascii_uppercase())
                && name.next().is_some_and(|second| second.is_ascii_alphabetic())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_are_told_on_where_they_have_the_platforms_form() {
        for (given, told, why) in [
            (
                Some("Runtime.ImportModuleError"),
                "Runtime.ImportModuleError",
                "a type of the runtime",
            ),
            (Some("Function.Mine"), "Function.Mine", "a type of the function"),
            (Some("xRuntime.AbC!"), "xRuntime.AbC!", "the form anywhere in the text"),
            (Some("Runtime.A"), "Runtime.Unknown", "one letter is too short"),
            (Some("Runtime.aB"), "Runtime.Unknown", "no capital letter"),
            (
                Some("Function.x"),
                "Function.Unknown",
                "of the function but not of the form",
            ),
            (Some("ValueError"), "Runtime.Unknown", "an exception's class"),
            (Some(""), "Runtime.Unknown", "an empty header"),
            (None, "Runtime.Unknown", "no header"),
        ] {
            assert_eq!(known_error_type(given), told, "{why}");
        }
        let long = format!("Runtime.{}", "A".repeat(MAX_ERROR_TYPE_BYTES));
        assert_eq!(
            known_error_type(Some(&long)),
            "Runtime.Unknown",
            "too long to be told on"
        );
    }

    #[test]
    fn an_x_ray_cause_is_not_for_the_caller() {
        let report = |body: &'static str| ErrorReport {
            error_type: None,
            content_type: Some(ERROR_CAUSE_CONTENT_TYPE.into()),
            body: Bytes::from_static(body.as_bytes()),
            xray_cause: Some(r#"{"message":"of the header"}"#.into()),
        };
        let handed_on = without_cause(report(
            r#"{"errorMessage":"m","errorType":"t","stackTrace":["a"],"errorCause":{"paths":["x"]}}"#,
        ));
        assert_eq!(
            handed_on.payload,
            r#"{"errorMessage":"m","errorType":"t","stackTrace":["a"]}"#
        );
        assert_eq!(handed_on.content_type.as_deref(), Some("application/json"));
        assert_eq!(
            handed_on.cause.as_deref(),
            Some(r#"{"exceptions":null,"working_directory":"","paths":["x"]}"#)
        );
        let handed_on = without_cause(report("no JSON"));
        assert_eq!(handed_on.payload, "\"Invalid error body\"");
        assert_eq!(handed_on.content_type.as_deref(), Some("application/octet-stream"));
        assert_eq!(handed_on.cause, None);
        let handed_on = without_cause(ErrorReport {
            content_type: Some("application/json".into()),
            ..report("{}")
        });
        assert_eq!(handed_on.payload, "{}", "any other body is handed on as it is");
        assert_eq!(
            handed_on.cause.as_deref(),
            Some(r#"{"exceptions":null,"working_directory":"","paths":null,"message":"of the header"}"#)
        );
    }
}
