//! Runs AWS Lambda functions and extensions compiled to WebAssembly, in one process.

#[allow(dead_code, reason = "the environment's driver is what uses it")]
mod network;
