//! What becomes of a request for an environment.

use std::time::Duration;

use super::environment::{EnvironmentId, Waiter};

/// Where an invocation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// To an environment that is there, and has no invocation unless it serves several at once.
    Existing(EnvironmentId),
    /// To one that is to be made.
    New(EnvironmentId),
    /// It waits until [`Effect::Placed`](super::Effect::Placed) says so: an environment's caller has been answered, and it
    /// is free in a moment.
    Soon(Waiter),
}

/// Why an invocation goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPlaced {
    /// There are too many, and it may be tried again.
    #[error("there are too many invocations: {}", .reason.as_str())]
    Throttled {
        /// What there is too much of.
        reason: ThrottleReason,
        /// After which time it may go better.
        retry_after: Duration,
    },
    /// The version is not there any more.
    #[error("the version of the function is not there any more")]
    Gone,
    /// Everything is being shut down.
    #[error("no invocation is taken any more")]
    Closed,
}

/// What there is too much of, in the service's words.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>, the names. Which of them the
/// scaling rate has, and the number of tenants' environments, is assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ThrottleReason {
    /// The account's concurrency without reservations is used up.
    ConcurrentInvocationLimitExceeded,
    /// The function's reserved concurrency is used up.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// There are more requests than the account's concurrency allows, or the function grows too fast.
    FunctionInvocationRateLimitExceeded,
    /// There are more requests than the function's reserved concurrency allows.
    ReservedFunctionInvocationRateLimitExceeded,
}

impl ThrottleReason {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::ConcurrentInvocationLimitExceeded,
        Self::ReservedFunctionConcurrentInvocationLimitExceeded,
        Self::FunctionInvocationRateLimitExceeded,
        Self::ReservedFunctionInvocationRateLimitExceeded,
    ];

    /// The service's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::FunctionInvocationRateLimitExceeded => "FunctionInvocationRateLimitExceeded",
            Self::ReservedFunctionInvocationRateLimitExceeded => "ReservedFunctionInvocationRateLimitExceeded",
        }
    }
}
