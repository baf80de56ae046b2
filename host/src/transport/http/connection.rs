//! One connection of a client.

use std::fmt;
use std::pin::pin;

use futures_util::future::{Either, select};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::route::Route;
use super::service::Apis;
use crate::transport::Api;

/// The most that a request's line and headers take: 128 KiB, twice the one header that the service lets grow to
/// 64 KiB. It is also the largest piece in which a body is read.
const MAX_HEAD_BYTES: usize = 128 * 1024;

/// Serves one HTTP/1.1 connection, with as many requests as the client sends on it, until the client closes it.
///
/// It spawns nothing, sleeps never (a client that is frozen in the middle of a request is not late) and ends only by
/// itself or by being dropped, which is a hang-up to a call that is under way.
///
/// A client that closes its side of the connection still gets the answers to what it asked: runtimes that stream are
/// told to close the connection after the last chunk. Only a long poll is given up where `gone` says that nobody waits
/// for it any more; `gone` is asked anew for each.
pub(crate) async fn serve_connection<A, I, G>(io: I, apis: Apis<A>, gone: impl Fn() -> G + Clone)
where
    A: Api,
    I: AsyncRead + AsyncWrite + Unpin,
    G: Future<Output = ()>,
{
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (apis, gone) = (apis.clone(), gone.clone());
        async move {
            let waits = Route::of_path(request.uri().path()).is_some_and(Route::is_long_poll);
            let response = apis.respond(request);
            if !waits {
                return Ok(response.await);
            }
            match select(pin!(response), pin!(gone())).await {
                Either::Left((response, _)) => Ok(response),
                Either::Right(((), _)) => Err(Gone),
            }
        }
    });
    let connection = http1::Builder::new()
        // The clock is the environment's, not this machine's.
        .auto_date_header(false)
        .half_close(true)
        .max_buf_size(MAX_HEAD_BYTES)
        // As the service spells them. Clients must not mind, but shell scripts that read headers with grep do.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(io), service);
    if let Err(error) = connection.await {
        // Only the client can have caused it: it sent something that is not HTTP, or it went away.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The client of a long poll has gone.
#[derive(Debug)]
struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client of a long poll has gone")
    }
}

impl std::error::Error for Gone {}
