//! Why an invocation is not taken.

/// Why an environment for several invocations at once does not take one. It is the caller's mistake: nothing is told
/// of it, and nothing changes.
///
/// [`Refusal::error_type`] and [`Refusal::message`] are the service's words.
///
/// Source: the service's own emulator (`internal/lambda-managed-instances`: `invoke/invoke_router.go`,
/// `raptor/app.go`), which answers the caller with status 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// An invocation with this request id is in flight.
    DuplicatedInvokeId,
    /// No worker is in `next`, or as many invocations are in flight as are allowed. Nothing waits within an
    /// environment.
    RuntimeUnavailable,
    /// The environment is not initialised. It is initialised ahead of its invocations, not for them.
    InitIncomplete,
    /// The environment ends or has ended.
    EnvironmentUnhealthy,
}

impl Refusal {
    /// The service's error type.
    pub const fn error_type(self) -> &'static str {
        match self {
            Self::DuplicatedInvokeId => "Client.DuplicatedInvokeId",
            Self::RuntimeUnavailable => "Runtime.Unavailable",
            Self::InitIncomplete => "Client.InitIncomplete",
            Self::EnvironmentUnhealthy => "Client.ExecutionEnvironmentUnhealthy",
        }
    }

    /// The service's message.
    pub const fn message(self) -> &'static str {
        match self {
            Self::DuplicatedInvokeId => "invoke ID already exists",
            Self::RuntimeUnavailable => "no idle runtimes",
            Self::InitIncomplete => "sandbox is not initialized",
            Self::EnvironmentUnhealthy => "environment is unhealthy",
        }
    }
}
