//! What a function's configuration says to its execution environments.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::Api;
use crate::{Call, Logging, RuntimeCall, StreamRate, TelemetryCall};

/// How an execution environment came to be initialised; `AWS_LAMBDA_INITIALIZATION_TYPE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InitType {
    /// For an invocation, or ahead of one.
    #[default]
    OnDemand,
    /// Ahead of invocations, as configured.
    ProvisionedConcurrency,
    /// From a snapshot.
    SnapStart,
    /// Ahead of invocations on an instance of the customer's own, to serve several of them at once.
    LambdaManagedInstances {
        /// How many, at most.
        max_concurrency: NonZeroU16,
    },
}

impl InitType {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::ProvisionedConcurrency => "provisioned-concurrency",
            Self::SnapStart => "snap-start",
            Self::LambdaManagedInstances { .. } => "lambda-managed-instances",
        }
    }
}

/// The part of a function's configuration that the rules need.
///
/// It is taken as given: whoever makes it has checked the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The function's name.
    pub function_name: Arc<str>,
    /// The function's version: `$LATEST` or a number.
    pub function_version: Arc<str>,
    /// The function's ARN without qualifier; an invocation without an ARN of its own carries it.
    pub function_arn: Arc<str>,
    /// The configured handler, `_HANDLER`.
    pub handler: Arc<str>,
    /// The account's number, told to an extension that asks for it.
    pub account_id: Arc<str>,
    /// The memory size in MB.
    pub memory_size_mb: u32,
    /// The function's timeout.
    pub timeout: Duration,
    /// Whether initialisations, restores and invocations take as long as they take: for a program that a debugger stops.
    /// What is told of a deadline then lies in the year 2554.
    pub holds_deadlines: bool,
    /// How the environment comes to be initialised.
    pub initialization_type: InitType,
    /// The file names of the external extensions, in the order in which they are started.
    pub extensions: Vec<Arc<str>>,
    /// Whether there are no extensions: none is started, and their API is not there. A file
    /// `/opt/disable-extensions-jwigqn8j` does that on the service.
    ///
    /// Source: observed, the service's own emulator (`extensions/extensions.go`).
    pub extensions_disabled: bool,
    /// The name of the environment's log stream, which telemetry calls `instanceId`.
    pub log_stream: Arc<str>,
    /// The runtime's version, such as `python:3.12.v43`.
    pub runtime_version: Arc<str>,
    /// The ARN of the runtime's version.
    pub runtime_version_arn: Arc<str>,
    /// How fast a streamed response goes to its caller.
    pub stream_rate: StreamRate,
    /// How its log is written.
    pub logging: Logging,
}

impl Config {
    /// So much time, or all there is where deadlines are held.
    pub(crate) fn unless_held(&self, time: Duration) -> Duration {
        if self.holds_deadlines { Duration::MAX } else { time }
    }

    /// Whether an environment has the resource that is called.
    ///
    /// Source: observed, the service's own emulator, which has the resources of a restore only where there are snapshots,
    /// and those of extensions only where they are not disabled.
    pub(crate) fn has(&self, call: &Call) -> bool {
        match call {
            Call::Runtime(RuntimeCall::RestoreNext | RuntimeCall::RestoreError { .. }) => {
                self.initialization_type == InitType::SnapStart
            }
            Call::Extension(_) => !self.extensions_disabled,
            // Source: observed that environments for several invocations at once have no Logs API; assumed that nothing is
            // where it would be.
            Call::Telemetry(TelemetryCall::Subscribe { api: Api::Logs, .. }) => {
                !matches!(self.initialization_type, InitType::LambdaManagedInstances { .. })
            }
            Call::Runtime(
                RuntimeCall::Next
                | RuntimeCall::ResponseHead { .. }
                | RuntimeCall::ResponseBody { .. }
                | RuntimeCall::ResponseChunk { .. }
                | RuntimeCall::ResponseEnd { .. }
                | RuntimeCall::Response { .. }
                | RuntimeCall::Error { .. }
                | RuntimeCall::InitError { .. },
            )
            | Call::Telemetry(
                TelemetryCall::Subscribe {
                    api: Api::Telemetry, ..
                }
                | TelemetryCall::Fetch { .. },
            ) => true,
        }
    }
}
