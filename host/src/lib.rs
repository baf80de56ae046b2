//! Runs AWS Lambda functions and extensions compiled to WebAssembly, in one process.

#[allow(dead_code, unused_imports, reason = "the environment's driver is what uses it")]
mod network;
#[allow(dead_code, unused_imports, reason = "the engine is what uses it")]
mod sandbox;
