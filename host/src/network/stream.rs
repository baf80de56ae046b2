//! One end of a TCP connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Connection, Side};
use super::limits::SocketPermit;
use super::{NetworkError, PortLease};

/// The most that one call moves, so that no call keeps a lock or an allocation for long.
pub(crate) const MAX_CHUNK: usize = 64 * 1_024;

/// One end of a connection on the virtual loopback.
///
/// It has two faces. The host reads and writes through tokio's traits; the sockets of a guest use the methods that
/// take `&self`, of which those called `try_` never wait. Reading and writing may be done by different tasks; two
/// tasks writing to one end at a time may overrun its buffer by a chunk.
///
/// Dropping it closes the connection: the peer reads what is on its way and then the end of the stream, or, if this
/// end leaves data unread, a reset.
#[derive(Debug)]
pub(crate) struct TcpStream {
    connection: Arc<Connection>,
    side: Side,
    local: SocketAddr,
    peer: SocketAddr,
    /// The port of the end that connected is held as long as the connection lasts.
    _lease: Option<PortLease>,
    _permit: SocketPermit,
}

impl TcpStream {
    pub(super) fn new(
        connection: Arc<Connection>,
        side: Side,
        local: SocketAddr,
        peer: SocketAddr,
        lease: Option<PortLease>,
        permit: SocketPermit,
    ) -> Self {
        Self {
            connection,
            side,
            local,
            peer,
            _lease: lease,
            _permit: permit,
        }
    }

    /// This end's address.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end's address.
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Takes up to `max` bytes, or none if none have come yet.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Closed`] at the end of the stream, [`NetworkError::Reset`] if the peer reset the connection.
    pub(crate) fn try_read(&self, max: usize) -> Result<Bytes, NetworkError> {
        match self.connection.poll_read(self.side, None, max.min(MAX_CHUNK)) {
            Poll::Ready(Ok(Some(data))) => Ok(data),
            Poll::Ready(Ok(None)) => Err(NetworkError::Closed),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Bytes::new()),
        }
    }

    /// Waits until [`try_read`](Self::try_read) has data or an error to give.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.poll_readable(self.side, context)
    }

    /// How many bytes can be written now.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Closed`] if this direction was shut down or the peer has left, [`NetworkError::Reset`] if it
    /// reset the connection.
    pub(crate) fn try_writable(&self) -> Result<usize, NetworkError> {
        match self.connection.poll_writable(self.side, None) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(0),
        }
    }

    /// Waits until [`try_writable`](Self::try_writable) has room or an error to report.
    pub(crate) fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.poll_writable(self.side, Some(context)).map(|_| ())
    }

    /// Writes all of `data`, which must not be more than [`try_writable`](Self::try_writable) has told.
    ///
    /// # Errors
    ///
    /// As [`try_writable`](Self::try_writable).
    pub(crate) fn try_write(&self, data: Bytes) -> Result<(), NetworkError> {
        self.connection.write(self.side, data)
    }

    /// Ends this end's writing. The peer reads what is on its way and then the end of the stream.
    pub(crate) fn shutdown_write(&self) {
        self.connection.finish(self.side);
    }

    /// Ends this end's reading. What is on its way is thrown away, and what the peer writes from now on too.
    pub(crate) fn shutdown_read(&self) {
        self.connection.ignore(self.side);
    }

    /// How many bytes wait to be read.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.connection.waiting(self.side)
    }

    /// Waits until the peer has closed its end for good, or the connection was reset.
    pub(crate) fn poll_abandoned(&self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.poll_abandoned(self.side, context)
    }

    /// By which it is known whether the peer is still there, wherever this end is.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            connection: Arc::clone(&self.connection),
            side: self.side,
        }
    }

    /// Resets the connection: both ends fail from now on, but for data that is already on its way.
    pub(crate) fn abort(&self) {
        self.connection.reset();
    }
}

/// The other end of a connection. It does not keep the connection open.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    connection: Arc<Connection>,
    side: Side,
}

impl Peer {
    /// Ready when the peer has closed its end for good, or the connection was reset.
    pub(crate) async fn gone(self) {
        std::future::poll_fn(|context| self.connection.poll_abandoned(self.side, context)).await;
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.connection.close(self.side);
    }
}

impl AsyncRead for &TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut got_some = false;
        while buf.remaining() > 0 {
            // Only the first round may wait or end: after it there is something to return.
            let context = if got_some { None } else { Some(&mut *cx) };
            match self
                .connection
                .poll_read(self.side, context, buf.remaining().min(MAX_CHUNK))
            {
                Poll::Ready(Ok(Some(data))) => buf.put_slice(&data),
                Poll::Ready(Err(error)) if !got_some => return Poll::Ready(Err(error.into())),
                Poll::Pending if !got_some => return Poll::Pending,
                Poll::Ready(Ok(None) | Err(_)) | Poll::Pending => break,
            }
            got_some = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The copies are made before the lock is taken: this end is the only one that could take the room away.
        let mut room = ready!(self.connection.poll_writable(self.side, Some(cx)))?.min(MAX_CHUNK);
        let mut written = 0;
        for buf in bufs {
            let part = &buf[..buf.len().min(room)];
            if part.is_empty() {
                continue;
            }
            match self.connection.write(self.side, Bytes::copy_from_slice(part)) {
                Ok(()) => (room, written) = (room - part.len(), written + part.len()),
                Err(error) if written == 0 => return Poll::Ready(Err(error.into())),
                // What was written was written; the next call will meet the error.
                Err(_) => break,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write();
        Poll::Ready(Ok(()))
    }
}
