//! The Runtime API (2018-06-01), the Extensions API (2020-01-01), the Telemetry API (2022-07-01) and the Logs API
//! (2020-08-15), as HTTP/1.1.
//!
//! Nothing here judges a call. A request becomes a [`Call`](lambox_lifecycle::Call), what comes back becomes a
//! response; the one thing this module knows better than the lifecycle is when a body has to be read.

mod body;
mod connection;
mod listener;
mod request;
mod response;
mod route;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use body::RequestBody;
pub(crate) use connection::serve_connection;
pub(crate) use listener::{RealListener, listen, listen_on_a_free_port, listen_with};
pub(crate) use service::{Apis, router};

/// Whether a path is that of a runtime's next invocation.
pub(crate) fn is_invocation_next(path: &str) -> bool {
    route::Route::of_path(path) == Some(route::Route::InvocationNext)
}
