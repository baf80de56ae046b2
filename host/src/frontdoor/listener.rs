//! The front door on a port.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Ends, FrontDoor};
use crate::transport::http::{RealListener, listen_with};

/// The most that a request's line and headers take: 1 MiB. It is also the largest piece in which a body is read.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const MAX_HEAD_BYTES: usize = 1 << 20;

/// How long requests have that are not answered when it closes: 2 seconds, as long as a shutdown takes.
const GRACE: Duration = Duration::from_secs(2);

/// How long a connection is kept without a request, or without the rest of its line and headers: 5 minutes.
///
/// Source: Lambox's own. The service closes what is idle, too, and does not say when.
const IDLE_LIFETIME: Duration = Duration::from_mins(5);

/// A listener of a [`FrontDoor`]'s. Dropping it closes it and every connection to it.
#[derive(Debug)]
pub struct FrontDoorListener {
    listener: RealListener,
    /// Whether it is closing. Each connection has a receiver.
    closing: Arc<watch::Sender<bool>>,
}

impl FrontDoorListener {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Closes it when the requests that have come are answered, or after two seconds: a client may never send the rest of
    /// its request, nor read its answer.
    pub async fn close(self) {
        self.closing.send_replace(true);
        let _ = tokio::time::timeout(GRACE, self.closing.closed()).await;
    }
}

pub(super) async fn listen(address: SocketAddr, door: FrontDoor) -> io::Result<FrontDoorListener> {
    let closing = Arc::new(watch::Sender::new(false));
    let of_connections = Arc::clone(&closing);
    let listener = listen_with(address, move |stream, client| {
        serve(stream, client, door.clone(), of_connections.subscribe())
    })
    .await?;
    Ok(FrontDoorListener { listener, closing })
}

/// Serves a connection until its client closes it, or the listener is closing and it has no request.
async fn serve(stream: TcpStream, client: SocketAddr, door: FrontDoor, mut closing: watch::Receiver<bool>) {
    let port = stream.local_addr().map_or(0, |address| address.port());
    let ends = Ends { client, port };
    let service = service_fn(|request| {
        let door = &door;
        async move { Ok::<_, Infallible>(door.respond(request, ends).await) }
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_LIFETIME)
        // As the service spells them. Clients must not mind, but shell scripts that read headers with grep do.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = is_closing(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Only the client can have caused it: it sent something that is not HTTP, or it went away.
        tracing::debug!(%error, %client, "a connection ended early");
    }
}

async fn is_closing(closing: &mut watch::Receiver<bool>) {
    // The sender lives as long as the listener, with which the connections' tasks end.
    let _ = closing.wait_for(|closing| *closing).await;
}
