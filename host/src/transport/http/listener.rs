//! The APIs on a real port, for native programs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::connection::serve_connection;
use super::service::Apis;
use crate::transport::Api;

/// How many connections are served at once; further ones wait until one closes. As many as an execution environment
/// of the service for several invocations at once can have file descriptors.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const MAX_CONNECTIONS: usize = 4096;

/// How long to wait before accepting again where the machine has run out of something that accepting needs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener on a port of this machine. Dropping it closes it and every connection to it.
#[derive(Debug)]
pub(crate) struct RealListener {
    local_addr: SocketAddr,
    accept: AbortHandle,
}

/// Serves the APIs at `addr`; `127.0.0.1:0` is a free port that only this machine reaches.
///
/// Has to be called within a tokio runtime.
///
/// # Errors
///
/// Those of binding the address.
pub(crate) async fn listen<A: Api>(addr: SocketAddr, apis: Apis<A>) -> io::Result<RealListener> {
    listen_with(addr, move |stream, _| serve_connection(stream, apis.clone())).await
}

/// Listens at `addr`, and serves each connection, whose client is told, with what `serve` makes.
///
/// Has to be called within a tokio runtime.
///
/// # Errors
///
/// Those of binding the address.
pub(crate) async fn listen_with<F>(
    addr: SocketAddr,
    serve: impl Fn(TcpStream, SocketAddr) -> F + Send + 'static,
) -> io::Result<RealListener>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(addr).await?;
    let local_addr = listener.local_addr()?;
    let accept = tokio::spawn(accept(listener, serve)).abort_handle();
    Ok(RealListener { local_addr, accept })
}

impl RealListener {
    /// The address that it listens on.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl Drop for RealListener {
    fn drop(&mut self) {
        // The task owns the connections' tasks: they go with it.
        self.accept.abort();
    }
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        // What has ended is taken out here, so that the set stays as small as the number of open connections.
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    // It is slower then, and no less right.
                    tracing::debug!(%error, %peer, "TCP_NODELAY cannot be set");
                }
                let served = serve(stream, peer);
                connections.spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Either one client went away, or the machine has run out of descriptors. A pause is right for both.
                tracing::debug!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
