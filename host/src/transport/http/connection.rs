//! One connection of a client.

use std::convert::Infallible;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

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
/// told to close the connection after the last chunk. That it has gone altogether cannot be told from this, so a long
/// poll stays until it is answered; whoever knows that the client is gone drops the future.
pub(crate) async fn serve_connection<A, I>(io: I, apis: Apis<A>)
where
    A: Api,
    I: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let apis = apis.clone();
        async move { Ok::<_, Infallible>(apis.respond(request).await) }
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
