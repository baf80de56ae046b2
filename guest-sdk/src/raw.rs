//! The host functions as generated from the WIT package `lambox:lambda`, for guests that mind the protocol's details.
//!
//! Outside a guest every one of them panics.

/// Bindings of the worlds `runtime-guest` and, of which it is a superset, `extension-guest`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
mod imports {
    wit_bindgen::generate!({ path: "../host/wit", world: "runtime-guest", generate_all });
}

/// Bindings of the world `handler-guest`, public for [`export_handler!`](crate::export_handler).
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
#[doc(hidden)]
pub mod handler_guest {
    wit_bindgen::generate!({
        path: "../host/wit",
        world: "handler-guest",
        with: { "lambox:lambda/types@0.1.0": super::types },
        pub_export_macro: true,
        export_macro_name: "__export_handler_guest",
        default_bindings_module: "lambox_guest::raw::handler_guest",
    });
}

pub use imports::lambox::lambda::{extension, metadata, runtime, telemetry, types};
