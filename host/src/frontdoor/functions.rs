//! What the front door asks of those who have the functions.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::error::{ApiError, Exception};
use crate::environment::{InvokeError, InvokeRequest, MAX_PAYLOAD_BYTES, PendingInvocation, ResponseStream};
use crate::function::Function;

/// A version of a function, by the ARN that a request names.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) function: Function,
    /// With the qualifier that the request has, if it has one.
    pub(super) arn: Arc<str>,
    pub(super) reserved_concurrency: Option<u32>,
}

/// How many invocations an account may have at once, and how many of them are left for functions without a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountConcurrency {
    pub(super) limit: u32,
    pub(super) unreserved: u32,
}

/// Who has the functions: knows them by name, and finds an environment for each invocation or says why there is none.
pub(super) trait Functions: Send + Sync + fmt::Debug {
    /// The version that a name and a qualifier mean.
    fn find(&self, name: &str, qualifier: Option<&str>) -> Option<Version>;

    /// All functions, each in its `$LATEST`, by name.
    fn all(&self) -> Vec<Version>;

    fn concurrency(&self) -> AccountConcurrency;

    /// Invokes a function.
    fn invoke(&self, version: &Version, request: InvokeRequest) -> Result<PendingInvocation, Refusal>;

    /// Invokes a function for its response as it comes.
    fn invoke_with_response_stream(&self, version: &Version, request: InvokeRequest)
    -> Result<ResponseStream, Refusal>;

    /// Shuts every environment down by the rules, and takes no invocation any more.
    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Why an invocation is not taken, or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too many at once: the reason that the service gives.
    Throttled(&'static str),
    Environment(InvokeError),
    /// Everything is being shut down.
    ShuttingDown,
}

/// After how many seconds a throttled caller is to try again.
///
/// Source: assumed; the service's model has the header, and no recording its value.
const RETRY_AFTER_SECONDS: u64 = 1;

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        Self::Environment(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Throttled(reason) => Self::throttled(reason, RETRY_AFTER_SECONDS),
            Refusal::Environment(InvokeError::PayloadTooLarge { .. }) => Self::too_large(),
            // Both were looked at before it came so far.
            Refusal::Environment(error @ (InvokeError::ClientContextTooLong { .. } | InvokeError::TenantId)) => {
                Self::invalid_content(error.to_string())
            }
            Refusal::Environment(InvokeError::QueueFull | InvokeError::Refused(_)) => {
                Self::throttled("ConcurrentInvocationLimitExceeded", RETRY_AFTER_SECONDS)
            }
            Refusal::Environment(InvokeError::Ended) | Refusal::ShuttingDown => {
                Self::new(Exception::Service, "Lambox is shutting down.")
            }
        }
    }
}

impl ApiError {
    /// A request over the limit of a synchronous invocation.
    pub(super) fn too_large() -> Self {
        Self::new(
            Exception::RequestTooLarge,
            format!("Request must be smaller than {MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation"),
        )
    }
}
