//! The APIs on a real port, for native programs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
    RealListener::new(TcpListener::bind(addr).await?, move |stream, _| {
        serve(stream, apis.clone())
    })
}

/// Serves the APIs on a free port of 127.0.0.1, without waiting for anything.
///
/// Has to be called within a tokio runtime.
///
/// # Errors
///
/// Those of binding the address.
pub(crate) fn listen_on_a_free_port<A: Api>(apis: Apis<A>) -> io::Result<RealListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    RealListener::new(TcpListener::from_std(listener)?, move |stream, _| {
        serve(stream, apis.clone())
    })
}

async fn serve<A: Api>(stream: TcpStream, apis: Apis<A>) {
    let client = Client(Arc::new(stream));
    let watched = client.clone();
    serve_connection(client, apis, move || watched.clone().gone()).await;
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
    RealListener::new(TcpListener::bind(addr).await?, serve)
}

impl RealListener {
    fn new<F>(listener: TcpListener, serve: impl Fn(TcpStream, SocketAddr) -> F + Send + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let local_addr = listener.local_addr()?;
        let accept = tokio::spawn(accept(listener, serve)).abort_handle();
        Ok(Self { local_addr, accept })
    }

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

/// A connection that can be asked whether its client is still there while its next bytes are waited for.
#[derive(Clone, Debug)]
struct Client(Arc<TcpStream>);

impl Client {
    /// Ready when the client has closed the connection. It may have closed its side alone, which cannot be told apart;
    /// but who waits for an event does not do so.
    async fn gone(self) {
        match self.0.peek(&mut [0]).await {
            Ok(0) | Err(_) => {}
            // It has sent its next request already, so it is there. What comes after that is not to be seen yet.
            Ok(_) => std::future::pending().await,
        }
    }
}

impl AsyncRead for Client {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Client {
    fn poll_write_by(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_by(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(context, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection is dropped right after, which closes both its sides.
        Poll::Ready(Ok(()))
    }
}
