//! Functions and extensions for AWS Lambda as WebAssembly guests of Lambox.
//!
//! A guest built with this crate calls its host directly, where one built with the official `lambda_runtime` crate speaks
//! HTTP over a socket. It is smaller and faster; Lambda's rules are the same.
//!
//! ```no_run
//! use lambox_guest::{Error, LambdaEvent};
//! use serde_json::{Value, json};
//!
//! fn greet(event: LambdaEvent<Value>) -> Result<Value, Error> {
//!     let name = event.payload["name"].as_str().ok_or("the event has no name")?;
//!     Ok(json!({ "message": format!("Hello, {name}!") }))
//! }
//!
//! fn main() -> Result<(), Error> {
//!     lambox_guest::run(greet)
//! }
//! ```
//!
//! A handler is a function from a [`LambdaEvent`] to a `Result`, or an `async fn` of the same. [`run`] decodes and
//! encodes JSON, [`run_raw`] hands over bytes, [`run_streaming`] sends a response as it comes. [`export_handler!`] makes a component without a `main` of the same
//! handler, and [`extension::run`] an extension of a function over lifecycle events.
//!
//! # Two targets, one source
//!
//! AWS runs no WebAssembly. On every target other than WebAssembly, and with the feature `native` (it is on by default),
//! [`run`] and [`extension::run`] are those of the official `lambda_runtime` and `lambda-extension` crates: built for Linux,
//! the program above is the one to deploy.
//!
//! # Asynchronous handlers
//!
//! In a guest, an `async fn` is polled by a small executor that knows no timers and no sockets: every host call blocks
//! the guest, and a guest has one thread. A future that waits for what only a reactor could bring (tokio's
//! `sleep`, for instance) can never be woken; its invocation fails with `Runtime.StuckFuture`. Programs that need a
//! reactor use `lambda_runtime` with tokio, which runs in Lambox as it is.

#![deny(missing_docs)]

pub mod extension;
pub mod raw;
pub mod telemetry;

mod context;
mod diagnostic;
mod executor;
mod export;
mod handler;
mod runtime;
mod streaming;

#[doc(hidden)]
pub use export::__private;
pub use {
    context::{ClientApplication, ClientContext, CognitoIdentity, Config, Context, LambdaEvent},
    diagnostic::{Diagnostic, Error},
    handler::{Async, Outcome, Plain},
    runtime::{run, run_raw, service_fn},
    streaming::{HttpPrelude, ResponseStream, run_streaming},
};
