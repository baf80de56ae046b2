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

/// How many extensions, external and internal, can register: 10.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>.
pub const MAX_EXTENSIONS: usize = 10;
