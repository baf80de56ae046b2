//! The service's limits, each with its source.

use std::time::Duration;

/// The largest response that is buffered: 6 MiB and 100 bytes.
///
/// Source: observed in the service's own messages, which name this number.
pub const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024 + 100;

/// How long the Init phase of an on-demand environment may take: 10 seconds.
///
/// An Init that overruns is stopped and repeated within the first invocation, under the function's own timeout.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the Init phase may take at least with provisioned concurrency or SnapStart: 130 seconds, or the function's
/// timeout where that is longer.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
pub const PROVISIONED_INIT_TIMEOUT: Duration = Duration::from_secs(130);

/// How long the Init phase may take at most, however it came about: 15 minutes.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
pub const MAX_INIT_TIMEOUT: Duration = Duration::from_mins(15);

/// How long a restore from a snapshot may take, with the hooks of the runtime: 10 seconds.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
pub const RESTORE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many extensions, external and internal, can register: 10.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>.
pub const MAX_EXTENSIONS: usize = 10;

/// How long a shutdown takes at most where an external extension is registered: 2 seconds.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
pub const SHUTDOWN_BUDGET_EXTERNAL: Duration = Duration::from_secs(2);

/// How long a shutdown takes at most where only internal extensions are registered: 500 milliseconds. Without any
/// extension there is no budget: everything is killed at once.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
pub const SHUTDOWN_BUDGET_INTERNAL: Duration = Duration::from_millis(500);

/// The part of [`SHUTDOWN_BUDGET_EXTERNAL`] after which a runtime that has not ended is killed, in percent: 30.
///
/// Source: documented as 300 ms and implemented as 30 % of the budget in the service's own emulator
/// (`rapid/shutdown.go`); the implementation is followed. Assumed; a recording of a runtime that ignores SIGTERM would
/// settle it.
pub const RUNTIME_SHUTDOWN_SHARE_PERCENT: u32 = 30;

/// How many `next` calls of a runtime can be blocked at once: 1,024, the file descriptors that an environment has.
///
/// Source: assumed; the service documents the file descriptors and no limit of its own on calls.
pub const MAX_BLOCKED_NEXT: usize = 1024;

/// How many `next` calls can wait at once in an environment that serves several invocations at once: 10,000.
///
/// Source: the service's own emulator (`internal/lambda-managed-instances/rapid/sandbox.go`). The documentation asks
/// runtimes for as many as the configured concurrency and states no limit.
pub const MAX_IDLE_WORKERS: usize = 10_000;

/// How many invocations that timed out are remembered, so that their late answers are told apart from unknown ones:
/// 1,000.
///
/// Source: the service's own emulator (`internal/lambda-managed-instances/invoke/timeout/timeout_cache.go`).
pub const MAX_REMEMBERED_TIMEOUTS: usize = 1_000;

/// The longest error that a runtime can report of one of several invocations at once: 1 MiB.
///
/// Source: the service's own emulator (`internal/lambda-managed-instances/rapi/server.go`).
pub const MAX_MANAGED_ERROR_BYTES: usize = 1024 * 1024;

/// How long the shutdown of an environment that serves several invocations at once takes at most: 2 seconds. Without
/// any extension there is no budget: everything is killed at once.
///
/// Source: the service's own emulator (`internal/lambda-managed-instances/rapid/shutdown.go`).
pub const MANAGED_SHUTDOWN_BUDGET: Duration = Duration::from_secs(2);

/// The part of [`MANAGED_SHUTDOWN_BUDGET`] after which a runtime that has not ended is killed: 600 milliseconds.
///
/// Source: the service's own emulator (`internal/lambda-managed-instances/rapid/shutdown.go`).
pub const MANAGED_RUNTIME_SHUTDOWN: Duration = Duration::from_millis(600);

/// The longest error type that is told on; a longer one counts as unknown. 1,024 bytes.
///
/// Source: assumed, as a bound; the service documents none.
pub const MAX_ERROR_TYPE_BYTES: usize = 1024;

/// The largest response that is streamed: 200 MiB.
///
/// A longer one is delivered up to one byte beyond, and ends there as if it were complete.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>; the byte beyond and the
/// end without a word were observed.
pub const MAX_STREAMED_RESPONSE_BYTES: u64 = 200 * 1024 * 1024;

/// How much of a streamed response goes to its caller without being held back: 6 MiB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>.
pub const STREAM_BURST_BYTES: u64 = 6 * 1024 * 1024;

/// How much of a streamed response goes to its caller each second after that: 2 MiB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>.
pub const STREAM_BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;

/// How often a second what may go is topped up.
///
/// Source: observed, the service's own emulator.
pub const STREAM_REFILLS_PER_SECOND: u64 = 8;

/// The time between two of them: 125 milliseconds.
pub const STREAM_REFILL_INTERVAL: Duration = Duration::from_millis(1000 / STREAM_REFILLS_PER_SECOND);

/// The smallest burst and rate that can be set: 32 KiB.
///
/// Source: observed, the service's own emulator.
pub const MIN_STREAM_RATE_BYTES: u64 = 32 * 1024;

/// The largest burst and rate that can be set: 64 MiB.
///
/// Source: observed, the service's own emulator.
pub const MAX_STREAM_RATE_BYTES: u64 = 64 * 1024 * 1024;

/// The longest X-Ray cause that is kept: 64 KiB. Of a longer one, exceptions and paths are left out until it fits.
///
/// Source: observed, the service's own emulator (`rapi/model/error_cause.go`).
pub const MAX_XRAY_CAUSE_BYTES: usize = 64 * 1024;
/// The port of the Runtime API, on which no subscriber can listen: 9001.
///
/// Source: documented as reserved, <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html>.
pub const RESERVED_PORT: u16 = 9001;

/// How many subscriptions to telemetry an environment has at most, over all its extensions: 20, two for each extension.
///
/// Source: assumed, as a bound; the service documents none.
pub const MAX_SUBSCRIPTIONS: usize = 2 * MAX_EXTENSIONS;

/// How much of the events is kept for one subscriber: 2 MiB, two batches of the largest kind. What comes beyond is dropped
/// and told of with `platform.logsDropped`.
///
/// Source: documented that there is a bound; its size is assumed.
pub const MAX_BUFFERED_BYTES: usize = 2 << 20;

/// How much more is kept of the platform's events: 256 KiB. They are few, and extensions wait for them.
///
/// Source: assumed.
pub const MAX_BUFFERED_PLATFORM_BYTES: usize = 256 << 10;

/// How much of what was told before the subscriptions is kept for subscribers to come: 512 KiB.
///
/// Source: observed that there is a replay; its bound is assumed.
pub const MAX_REPLAYED_BYTES: usize = 512 << 10;

/// How long after a failed delivery it is repeated: 100 milliseconds, and twice as long after each further one.
///
/// Source: documented that deliveries are repeated; times and counts are assumed.
pub const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The longest pause between two attempts to deliver: 5 seconds.
///
/// Source: assumed, as for [`FIRST_RETRY_DELAY`].
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

/// How often a batch is sent to a subscriber that answers with anything but 2xx, before it is dropped: 8 times. A
/// subscriber that is not there, or does not answer, is tried without end.
///
/// Source: assumed, as for [`FIRST_RETRY_DELAY`].
pub const MAX_REFUSED_ATTEMPTS: u32 = 8;

/// How long a subscriber may take to answer a request, as long as it is not frozen: 5 seconds.
///
/// Source: assumed; a recording of a subscriber that does not answer would settle it.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);
