//! Runs AWS Lambda functions and extensions compiled to WebAssembly, in one process.

// Whoever calls a transport, the driver of an execution environment, is not here yet.
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "called by the environment's driver")
)]
mod transport;
