//! Runs AWS Lambda functions and extensions that were compiled to WebAssembly, in one process.

#![deny(missing_docs)]

mod clock;
mod configuration;
mod engine;
mod environment;
mod files;
mod frontdoor;
mod function;
mod http_prelude;
mod log;
mod metrics;
mod native;
mod network;
mod queue;
mod sandbox;
mod simulator;
mod traces;
mod transport;

pub use configuration::{
    AccountConfiguration, AliasConfiguration, BuildError, CodeConfiguration, Configuration, ExtensionConfiguration,
    FolderConfiguration, FunctionConfiguration, Ignored, Location, Overrides, Problem, ProvisionedConcurrency, Setting,
    UnusableConfiguration, UrlAuthType, UrlConfiguration,
};
pub use engine::{ComponentError, EngineError, MAX_COMPONENT_BYTES};
pub use environment::{
    Credentials, ExecutionEnvironment, InvokeError, InvokeRequest, InvokeResult, MAX_CLIENT_CONTEXT_BYTES,
    MAX_PAYLOAD_BYTES, MAX_QUEUED_INVOCATIONS, MAX_QUEUED_RESPONSE_BYTES, MAX_TENANT_ID_BYTES, PendingInvocation,
    RUNTIME_API_PORT, ResponseStream, StreamEnd, StreamHead, Tmp,
};
pub use files::{MAX_PACKAGE_BYTES, MAX_PACKAGE_FILES, Package, PackageError};
pub use frontdoor::{
    Cors, Deployment, DeploymentError, FrontDoor, FrontDoorBuilder, FrontDoorListener, FunctionUrl, InvokeMode,
    RuntimeListener,
};
pub use function::{
    Component, EphemeralStorageSize, EphemeralStorageSizeError, Function, FunctionBuilder,
    FunctionError as ConfigurationError, FunctionTimeout, FunctionTimeoutError, MaxConcurrency, MaxConcurrencyError,
    MemorySize, MemorySizeError,
};
pub use http_prelude::{HttpPrelude, HttpPreludeError, HttpPreludeReader};
pub use lambox_lifecycle as lifecycle;
pub use lambox_lifecycle::pool::{Route as AliasRoute, Weight as AliasWeight};
pub use lambox_lifecycle::queue::{Bounds as QueueBounds, MaximumEventAge, MaximumRetryAttempts, NotTaken, Over};
pub use lambox_lifecycle::{
    ApplicationLogLevel, Config, Exit, ExtensionState, ExtensionView, FailureCause, FunctionError, InitType, LogFormat,
    Logging, ManagedReport, Outcome, Phase, PlatformEvent, Refusal, Report, RequestId, ShutdownReason, Status,
    StreamRate, SystemLogLevel, Timestamp,
};
pub use log::{LogEntry, LogSink, LogSource, MAX_KEPT_LOG_BYTES, MAX_LOG_TAIL_BYTES};
pub use native::NativeProgram;
pub use queue::{
    AsyncConfig, AttemptError, Destination, DestinationError, EnqueueError, EventFunction, EventFunctions, EventOver,
    EventQueue, EventQueueBuilder, LoopbackUrl, MAX_EVENT_ATTRIBUTE_BYTES, PendingAttempt, QueueStartError,
    StorageError,
};
pub use simulator::{Compilation, LoadError, Simulator, SimulatorBuilder};
pub use traces::{
    MAX_QUEUED_SPANS, OtlpEndpoint, OtlpEndpointError, SamplingRatio, SamplingRatioError, Traces, TracesError,
};
