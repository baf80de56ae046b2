//! The function that runs when no component is named, so that a first try needs no toolchain.

/// Its name.
pub(crate) const NAME: &str = "hello";

/// Its component: the example `hello`, on the official `lambda_runtime` crate. Answers `{"name":"Ada"}` with
/// `{"message":"Hello, Ada!"}`.
pub(crate) const COMPONENT: &[u8] = include_bytes!("../../../examples/hello/hello.wasm");
