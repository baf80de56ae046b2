//! Why a call is refused.

use std::sync::Arc;

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
    /// The execution environment is gone.
    Ended,
}

impl Rejection {
    /// The service's error type, such as `InvalidStateTransition`.
    pub fn error_type(&self) -> &'static str {
        todo!()
    }

    /// The service's message.
    pub fn message(&self) -> std::borrow::Cow<'static, str> {
        todo!()
    }
}
