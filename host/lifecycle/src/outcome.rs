//! How an invocation went, for its caller.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Exit, RequestId};

/// Why an execution environment is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShutdownReason {
    /// It is no longer needed.
    Spindown,
    /// An invocation ran into the function's timeout.
    Timeout,
    /// The runtime or an extension crashed, exited or failed.
    Failure,
}

impl ShutdownReason {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spindown => "spindown",
            Self::Timeout => "timeout",
            Self::Failure => "failure",
        }
    }
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureCause {
    /// The runtime reported an error of the handler. The environment goes on.
    Handler,
    /// The runtime reported that its initialisation failed.
    Init,
    /// The runtime reported that a hook failed after it was restored from its snapshot.
    Restore,
    /// The runtime was not done with its hooks within [`limits::RESTORE_TIMEOUT`](crate::limits::RESTORE_TIMEOUT). On the
    /// service, the caller is answered with `SnapStartTimeoutException`.
    RestoreTimeout,
    /// The function's timeout passed.
    Timeout,
    /// The runtime ended.
    RuntimeExit(Exit),
    /// An extension ended.
    ExtensionExit {
        /// Its name.
        name: Arc<str>,
        /// How.
        exit: Exit,
    },
    /// An extension reported that its initialisation failed.
    ExtensionInit {
        /// Its name.
        name: Arc<str>,
    },
    /// An extension reported that it is about to exit.
    ExtensionError {
        /// Its name.
        name: Arc<str>,
    },
    /// The handler failed after its streamed response had begun, as trailers tell. The environment goes on, and what
    /// was sent stands.
    MidStream {
        /// The error type, as sent.
        error_type: Option<Arc<str>>,
        /// The error's body, as sent.
        body: Bytes,
    },
    /// The response is over the limit. The environment goes on.
    ResponseTooLarge,
    /// The response's mode is unknown.
    InvalidResponseMode,
    /// The response was cut short.
    TruncatedResponse,
    /// The environment was shut down under the invocation.
    Shutdown,
}

/// A failed invocation: `X-Amz-Function-Error: Unhandled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The platform's error type, such as `Runtime.ExitError` or `Sandbox.Timedout`.
    pub error_type: Cow<'static, str>,
    /// What failed.
    pub cause: FailureCause,
    /// What the runtime told X-Ray of it, as JSON text: what is kept of the header
    /// `Lambda-Runtime-Function-XRay-Error-Cause`, or of `errorCause` in a body of the type
    /// `application/vnd.aws.lambda.error.cause+json`.
    pub xray_cause: Option<Arc<str>>,
}

/// The answer to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The invocation.
    pub request_id: RequestId,
    /// The payload: the function's response, or the JSON text of an error. Of a streamed response that is complete, the
    /// caller has all of it already, and this is empty.
    pub payload: Bytes,
    /// Whether the response was streamed to the caller; with an error, its beginning was.
    pub streamed: bool,
    /// The payload's content type, where the runtime named one.
    pub content_type: Option<Arc<str>>,
    /// Present if the function failed.
    pub error: Option<FunctionError>,
}

impl Outcome {
    /// The error that the service tells of: to callers as `X-Amz-Function-Error`, to retries and destinations. A response
    /// that failed after its stream had begun is a success to all of them, and what was sent is its payload.
    ///
    /// Source: observed.
    pub fn unhandled(&self) -> Option<&FunctionError> {
        let error = self.error.as_ref();
        error.filter(|error| !matches!(error.cause, FailureCause::MidStream { .. }))
    }
}
