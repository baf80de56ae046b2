//! What can be set: of an account, of a function, of a version.

use std::time::Duration;

/// How many invocations an account has at once: 1,000 by default.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub const CONCURRENT_EXECUTIONS: u32 = 1_000;

/// How many environments a function may add at once, and again within [`SCALING_INTERVAL`]: 1,000.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html>.
pub const SCALING_RATE: u32 = 1_000;

/// The time within which [`SCALING_RATE`] environments more may be added: 10 seconds. They come back continuously, and
/// those that were not used are not added up.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html>.
pub const SCALING_INTERVAL: Duration = Duration::from_secs(10);

/// How many requests a second come to an environment: 10.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>.
pub const REQUESTS_PER_SECOND: u32 = 10;

/// How many environments the tenants of all functions have, for each 1,000 of the account's concurrency: 2,500.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation.html>.
pub const TENANT_ENVIRONMENTS: u32 = 2_500;

/// How long an environment is kept without an invocation: 10 minutes.
///
/// Source: assumed; the service keeps them for as long as it likes, and does not say how long that is.
pub const IDLE_LIFETIME: Duration = Duration::from_mins(10);

/// How long an invocation that there is no environment for waits for one whose caller has been answered: 100
/// milliseconds.
///
/// Source: assumed. On the service, the way to a caller and back takes longer than a runtime that has answered takes to
/// ask for its next invocation; here, the caller may be quicker.
pub const WAIT_FOR_RELEASE: Duration = Duration::from_millis(100);

/// How long an invocation waits until another environment has made room for its own: 3 seconds, longer than the 2 that a
/// shutdown takes at most.
///
/// Source: Lambox's own; the service has no such bound.
pub const WAIT_FOR_ROOM: Duration = Duration::from_secs(3);

/// How long it takes until a provisioned environment that did not come to be is tried again: 1 second, and twice as long
/// after each failure, up to [`MAX_PROVISIONING_PAUSE`].
///
/// Source: assumed.
pub const PROVISIONING_PAUSE: Duration = Duration::from_secs(1);

/// The longest of these pauses: 5 minutes.
///
/// Source: assumed.
pub const MAX_PROVISIONING_PAUSE: Duration = Duration::from_mins(5);

/// What holds for all functions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// How many invocations there are at once. What is reserved for a function, or provisioned, is taken from them.
    pub concurrent_executions: u32,
    /// Whether a function adds at most [`SCALING_RATE`] environments within [`SCALING_INTERVAL`].
    pub limits_scaling: bool,
    /// Whether functions without a reservation have at most [`REQUESTS_PER_SECOND`] for each of the account's
    /// concurrent executions, together.
    pub limits_requests: bool,
    /// How long an environment is kept without an invocation. With no time at all, every invocation that is served on
    /// demand has a new one.
    pub idle_lifetime: Duration,
    /// How many sandboxes there is room for: where there is none for a new environment, those that have been idle for
    /// the longest time make it.
    pub max_sandboxes: u32,
}

impl Default for Account {
    /// The service's, but for [`limits_requests`](Self::limits_requests): a simulator on the caller's own machine answers
    /// more requests with fewer environments, and those who measure that are not to be throttled unasked.
    fn default() -> Self {
        Self {
            concurrent_executions: CONCURRENT_EXECUTIONS,
            limits_scaling: true,
            limits_requests: false,
            idle_lifetime: IDLE_LIFETIME,
            max_sandboxes: u32::MAX,
        }
    }
}

/// What holds for a function, over all its versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionSettings {
    /// How many invocations it has at once, which are its own; with 0, none. Nothing: it shares what the account has
    /// unreserved.
    pub reserved_concurrency: Option<u32>,
    /// Whether each tenant has environments of its own.
    pub isolates_tenants: bool,
}

/// What holds for one version of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionSettings {
    /// How many environments are initialised ahead of their invocations.
    pub provisioned_concurrency: u32,
    /// Whether its environments serve several invocations at once. There is one of them then, which decides itself how
    /// many it takes.
    pub serves_several: bool,
    /// How many sandboxes an environment has: one for each program that is no native process.
    pub sandboxes: u32,
}

impl Default for VersionSettings {
    fn default() -> Self {
        Self {
            provisioned_concurrency: 0,
            serves_several: false,
            sandboxes: 1,
        }
    }
}
