//! Platform events: what the platform tells of an execution environment's life. START, END and REPORT lines, telemetry
//! and tests all read these.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::{Api, EventType};
use crate::{InitType, RequestId, Timestamp};

/// How a part of the life of an environment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Well.
    Success,
    /// The platform failed.
    Failure,
    /// The function or an extension failed.
    Error,
    /// A limit on time was reached.
    Timeout,
}

impl Status {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

/// Whether an initialisation is a phase of its own or part of an invocation (after a failed one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InitPhase {
    /// Of its own.
    Init,
    /// Part of an invocation.
    Invoke,
}

impl InitPhase {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Invoke => "invoke",
        }
    }
}

/// How far an extension came in its initialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionState {
    /// It was started, or never registered.
    Started,
    /// It registered.
    Registered,
    /// It called `next`.
    Ready,
    /// It could not be started.
    LaunchError,
    /// It reported that its initialisation failed.
    InitError,
    /// It reported that it is about to exit.
    ExitError,
    /// It ended.
    Exited,
}

impl ExtensionState {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Registered => "Registered",
            Self::Ready => "Ready",
            Self::LaunchError => "LaunchError",
            Self::InitError => "InitError",
            Self::ExitError => "ExitError",
            Self::Exited => "Exited",
        }
    }
}

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionState {
    /// It was taken.
    Subscribed,
    /// The same one was there already.
    AlreadySubscribed,
}

impl SubscriptionState {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribed => "Subscribed",
            Self::AlreadySubscribed => "Already subscribed",
        }
    }
}

/// What restoring a snapshot took, in the report of the invocation it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreDurations {
    /// How long it took.
    pub duration: Duration,
    /// What would be billed of it: whole milliseconds. A model.
    pub billed_duration: Duration,
}

/// The measured parts of an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// When the event was handed to the runtime, and from then to the response's first byte: `responseLatency`.
    pub response_latency: Option<(Timestamp, Duration)>,
    /// From the response's first byte to its last: `responseDuration`.
    pub response_duration: Option<(Timestamp, Duration)>,
    /// From the response's last byte to the runtime's `next`: `runtimeOverhead`.
    pub runtime_overhead: Option<(Timestamp, Duration)>,
}

/// What an invocation took; `platform.report` and the REPORT line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The invocation.
    pub request_id: RequestId,
    /// How it ended.
    pub status: Status,
    /// The error type where it failed.
    pub error_type: Option<Cow<'static, str>>,
    /// How long it took.
    pub duration: Duration,
    /// What would be billed: whole milliseconds. A model.
    pub billed_duration: Duration,
    /// The configured memory in MB.
    pub memory_size_mb: u32,
    /// The most memory used, in bytes; the REPORT line rounds up to MB.
    pub max_memory_used: u64,
    /// How long the initialisation took, in the report of the invocation it was made for.
    pub init_duration: Option<Duration>,
    /// What the restore took, in the report of the invocation it was made for.
    pub restore: Option<RestoreDurations>,
    /// From the runtime's end of the invocation to the extensions': `extensionOverhead`.
    pub extension_overhead: Option<(Timestamp, Duration)>,
    /// The X-Ray trace header.
    pub trace_id: Option<Arc<str>>,
    /// The tenant's id.
    pub tenant_id: Option<Arc<str>>,
}

/// What an invocation took that was served beside others; its `platform.report`.
///
/// Memory and billing are the instance's there, not the invocation's.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>; the service's own
/// emulator (`internal/lambda-managed-instances/invoke/metrics.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedReport {
    /// The invocation.
    pub request_id: RequestId,
    /// How it ended. An error that the runtime reported is one.
    pub status: Status,
    /// The error type where it failed.
    pub error_type: Option<Cow<'static, str>>,
    /// From its beginning to the caller's answer.
    pub duration: Duration,
    /// `responseLatency` and `responseDuration`.
    pub spans: Spans,
    /// The X-Ray trace header.
    pub trace_id: Option<Arc<str>>,
}

/// Something that the platform tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlatformEvent {
    /// `platform.initStart`.
    InitStart {
        /// How the environment came to be initialised.
        initialization_type: InitType,
        /// As what.
        phase: InitPhase,
    },
    /// `platform.initRuntimeDone`.
    InitRuntimeDone {
        /// How the environment came to be initialised.
        initialization_type: InitType,
        /// As what.
        phase: InitPhase,
        /// How it ended.
        status: Status,
        /// The error type where it failed.
        error_type: Option<Cow<'static, str>>,
    },
    /// `platform.initReport`.
    InitReport {
        /// How the environment came to be initialised.
        initialization_type: InitType,
        /// As what.
        phase: InitPhase,
        /// How it ended.
        status: Status,
        /// The error type where it failed.
        error_type: Option<Cow<'static, str>>,
        /// How long it took.
        duration: Duration,
    },
    /// `platform.restoreStart`.
    RestoreStart {
        /// The X-Ray trace header of the invocation it is made for.
        trace_id: Option<Arc<str>>,
    },
    /// `platform.restoreRuntimeDone`.
    RestoreRuntimeDone {
        /// How it ended for the runtime.
        status: Status,
        /// The error type where it failed.
        error_type: Option<Cow<'static, str>>,
        /// The X-Ray trace header of the invocation it is made for.
        trace_id: Option<Arc<str>>,
    },
    /// `platform.restoreReport`.
    RestoreReport {
        /// How it ended.
        status: Status,
        /// The error type where it failed.
        error_type: Option<Cow<'static, str>>,
        /// How long it took.
        duration: Duration,
        /// The X-Ray trace header of the invocation it is made for.
        trace_id: Option<Arc<str>>,
    },
    /// `platform.telemetrySubscription`, or `platform.logsSubscription` of the Logs API.
    Subscription {
        /// The API.
        api: Api,
        /// The extension's name.
        name: Arc<str>,
        /// What became of it.
        state: SubscriptionState,
        /// The streams, in the order in which they were asked for.
        types: Vec<EventType>,
    },
    /// `platform.logsDropped`: a subscriber was too slow, or not there.
    LogsDropped {
        /// Why: [`SLOW_CONSUMER`](crate::telemetry::SLOW_CONSUMER).
        reason: &'static str,
        /// How many records it will not get.
        dropped_records: u64,
        /// Their length in bytes.
        dropped_bytes: u64,
    },
    /// `platform.extension`.
    Extension {
        /// The extension's name.
        name: Arc<str>,
        /// How far it came.
        state: ExtensionState,
        /// The events it registered for, as spelled on the wire.
        events: Vec<&'static str>,
        /// The error type where it failed.
        error_type: Option<Cow<'static, str>>,
    },
    /// `platform.start`.
    Start {
        /// The invocation.
        request_id: RequestId,
        /// The ARN as invoked.
        invoked_function_arn: Arc<str>,
        /// The X-Ray trace header.
        trace_id: Option<Arc<str>>,
        /// The tenant's id.
        tenant_id: Option<Arc<str>>,
    },
    /// `platform.runtimeDone`.
    RuntimeDone {
        /// The invocation.
        request_id: RequestId,
        /// How it ended for the runtime.
        status: Status,
        /// The error type where it failed.
        error_type: Option<Cow<'static, str>>,
        /// From the event's delivery to the runtime's `next`.
        duration: Duration,
        /// The length of the response.
        produced_bytes: Option<u64>,
        /// The measured parts.
        spans: Spans,
        /// The X-Ray trace header.
        trace_id: Option<Arc<str>>,
        /// The tenant's id.
        tenant_id: Option<Arc<str>>,
    },
    /// `platform.fault` of the Logs API: an invocation that failed is about to be reported.
    Fault {
        /// The invocation.
        request_id: RequestId,
        /// How it ended.
        status: Status,
        /// The error type where it failed.
        error_type: Option<Cow<'static, str>>,
    },
    /// `platform.end` of the Logs API, and the END line.
    End {
        /// The invocation.
        request_id: RequestId,
    },
    /// `platform.report`.
    Report(Report),
    /// `platform.report` of an invocation that was served beside others. It has no `RuntimeDone` and no `End`.
    ManagedReport(ManagedReport),
}

impl PlatformEvent {
    /// The invocation that it tells of, where it tells of one.
    pub const fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::Start { request_id, .. }
            | Self::RuntimeDone { request_id, .. }
            | Self::Fault { request_id, .. }
            | Self::End { request_id }
            | Self::Report(Report { request_id, .. })
            | Self::ManagedReport(ManagedReport { request_id, .. }) => Some(*request_id),
            Self::InitStart { .. }
            | Self::InitRuntimeDone { .. }
            | Self::InitReport { .. }
            | Self::RestoreStart { .. }
            | Self::RestoreRuntimeDone { .. }
            | Self::RestoreReport { .. }
            | Self::Subscription { .. }
            | Self::LogsDropped { .. }
            | Self::Extension { .. } => None,
        }
    }
}
