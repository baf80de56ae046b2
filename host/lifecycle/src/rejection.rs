//! Why a call is refused.

use std::borrow::Cow;
use std::sync::Arc;

use crate::SubscriptionFault;
use crate::limits::{MAX_EXTENSIONS, MAX_RESPONSE_BYTES, MAX_STREAMED_RESPONSE_BYTES};

/// A refused call. It changed nothing.
///
/// [`Rejection::error_type`] and [`Rejection::message`] are the service's words; what status code or value carries
/// them is the transport's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The request id is not the current invocation's.
    InvalidRequestId,
    /// The runtime is in a state that does not allow the call.
    RuntimeStateTransition {
        /// The state it is in.
        from: &'static str,
        /// The state that the call would have led to.
        to: &'static str,
    },
    /// The response mode header is neither absent nor `streaming`.
    InvalidResponseMode,
    /// The body is over the limit.
    TooLarge,
    /// The streamed response is over its limit. The caller has it up to there.
    StreamTooLarge,
    /// The body was cut short.
    Truncated,
    /// The extension gave no name.
    EmptyExtensionName,
    /// The registration's body cannot be read.
    InvalidRequestFormat {
        /// What is wrong.
        message: String,
    },
    /// The extension asked for an event that does not exist.
    UnknownEventType {
        /// The event.
        event: String,
    },
    /// An internal extension asked for SHUTDOWN.
    ShutdownForInternalExtension,
    /// The runtime has called `next` already.
    RegistrationClosed,
    /// The extension is in a state that does not allow the call.
    ExtensionStateTransition {
        /// The extension.
        name: Arc<str>,
        /// The state it is in.
        from: &'static str,
        /// The state that the call would have led to.
        to: &'static str,
    },
    /// An internal extension of this name is registered already.
    AlreadyRegistered,
    /// There are [`limits::MAX_EXTENSIONS`](crate::limits::MAX_EXTENSIONS) already.
    TooManyExtensions,
    /// The identifier is missing.
    MissingIdentifier,
    /// The identifier is no UUID.
    MalformedIdentifier,
    /// The identifier is nobody's; for a `next` the service's message names it.
    UnknownIdentifier {
        /// The identifier, where the message names it.
        named: Option<crate::ExtensionIdentifier>,
    },
    /// The error type header is missing.
    MissingErrorType,
    /// The invocation had timed out when its answer came, which environments that serve several at once say once for each
    /// invocation; or the answer says to be for another attempt at it than the one under way.
    InvokeTimeout,
    /// There are [`limits::MAX_IDLE_WORKERS`](crate::limits::MAX_IDLE_WORKERS) calls in `next` already.
    TooManyIdleRuntimes,
    /// An internal extension asked for events, and the environment serves several invocations at once.
    EventsForInternalExtension,
    /// The environment has no such resource.
    NotFound,
    /// Something is wrong with a subscription to telemetry.
    Subscription {
        /// The API.
        api: crate::telemetry::Api,
        /// What is wrong.
        fault: SubscriptionFault,
    },
    /// Events are fetched of a subscription that is not the extension's, or goes elsewhere. Only over host functions.
    UnknownSubscription,
    /// The execution environment is gone.
    Ended,
}

impl Rejection {
    /// The service's error type, such as `InvalidStateTransition`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::InvalidRequestId => "InvalidRequestID",
            Self::RuntimeStateTransition { .. } => "InvalidStateTransition",
            Self::InvalidResponseMode => "InvalidFunctionResponseMode",
            Self::TooLarge | Self::StreamTooLarge => "RequestEntityTooLarge",
            Self::Truncated => "TruncatedHTTPRequest",
            Self::EmptyExtensionName => "Extension.InvalidExtensionName",
            Self::InvalidRequestFormat { .. } => "InvalidRequestFormat",
            Self::UnknownEventType { .. } | Self::ShutdownForInternalExtension | Self::EventsForInternalExtension => {
                "Extension.InvalidEventType"
            }
            Self::InvokeTimeout => "InvokeTimeout",
            Self::RegistrationClosed => "Extension.RegistrationClosed",
            Self::ExtensionStateTransition { .. } | Self::AlreadyRegistered => "Extension.InvalidExtensionState",
            Self::TooManyExtensions => "Extension.TooManyExtensions",
            Self::MissingIdentifier => "Extension.MissingExtensionIdentifier",
            Self::MalformedIdentifier => "Extension.InvalidExtensionIdentifier",
            Self::UnknownIdentifier { .. } => "Extension.UnknownExtensionIdentifier",
            Self::MissingErrorType => "Extension.MissingHeader",
            Self::NotFound => "NotFound",
            Self::Subscription { api, fault } => fault.error_type(*api),
            Self::UnknownSubscription => "Telemetry.UnknownSubscription",
            // The service names `Runtime.TooManyIdleRuntimes` in its own records only.
            Self::TooManyIdleRuntimes | Self::Ended => "InternalServerError",
        }
    }

    /// The service's message.
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Self::InvalidRequestId => "Invalid request ID".into(),
            Self::RuntimeStateTransition { from, to } => format!(
                "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
            )
            .into(),
            Self::InvalidResponseMode => "Invalid function response mode".into(),
            Self::TooLarge => format!("Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).").into(),
            Self::StreamTooLarge => {
                format!("Exceeded maximum allowed payload size ({MAX_STREAMED_RESPONSE_BYTES} bytes).").into()
            }
            Self::Truncated => "HTTP request detected as truncated".into(),
            Self::EmptyExtensionName => "Empty extension name".into(),
            Self::InvalidRequestFormat { message } => message.clone().into(),
            Self::UnknownEventType { event } => format!("{event}: ErrorInvalidEventType").into(),
            Self::ShutdownForInternalExtension => "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension".into(),
            Self::RegistrationClosed => "Extension registration closed already".into(),
            Self::ExtensionStateTransition { name, from, to } => format!(
                "State transition from {from} to {to} failed for extension {name}. Error: State transition is not allowed"
            )
            .into(),
            Self::AlreadyRegistered => "Extension with this name already registered".into(),
            Self::TooManyExtensions => format!("Extension limit ({MAX_EXTENSIONS}) reached").into(),
            Self::MissingIdentifier => "Missing Lambda-Extension-Identifier header".into(),
            Self::MalformedIdentifier => "Invalid Lambda-Extension-Identifier".into(),
            Self::UnknownIdentifier { named: Some(identifier) } => format!("Unknown extension {identifier}").into(),
            Self::UnknownIdentifier { named: None } => "Unknown Lambda-Extension-Identifier".into(),
            Self::MissingErrorType => "Lambda-Extension-Function-Error-Type not found".into(),
            Self::InvokeTimeout => "Invoke timeout".into(),
            Self::NotFound => "404 page not found".into(),
            Self::EventsForInternalExtension => "No events allowed for internal extensions".into(),
            Self::Subscription { api, fault } => fault.message(*api),
            Self::UnknownSubscription => "The extension has no such subscription to be fetched".into(),
            Self::TooManyIdleRuntimes | Self::Ended => "Internal Server Error".into(),
        }
    }
}
