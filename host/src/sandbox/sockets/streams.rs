//! A connection's two streams, as wasi:io has them.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::StopSockets;
use crate::network::{MAX_CHUNK, NetworkError, TcpStream};

/// A guest's end of a connection, shared by its socket and both streams. The last of them to go closes it.
#[derive(Debug)]
pub(super) struct GuestEnd {
    stream: TcpStream,
    stop: StopSockets,
}

impl GuestEnd {
    pub(super) fn new(stream: TcpStream, stop: StopSockets) -> Arc<Self> {
        Arc::new(Self { stream, stop })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for GuestEnd {
    fn drop(&mut self) {
        if self.stop.is_stopped() {
            self.stream.abort();
        }
    }
}

fn stream_error(error: NetworkError) -> StreamError {
    match error {
        NetworkError::Closed => StreamError::Closed,
        error => StreamError::LastOperationFailed(error.into()),
    }
}

/// What a guest reads from.
///
/// Dropping it changes nothing yet: what stays unread resets the connection when the socket goes too.
#[derive(Debug)]
pub(super) struct Input(pub(super) Arc<GuestEnd>);

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.0.stream.try_read(size).map_err(stream_error)
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        poll_fn(|context| self.0.stream.poll_readable(context)).await;
    }
}

/// What a guest writes to. Dropping it ends the stream, as a shutdown does.
#[derive(Debug)]
pub(super) struct Output {
    end: Arc<GuestEnd>,
    /// What the last `check-write` permitted and has not been used.
    permit: usize,
    /// Whether the last operation was a write, which arrives even where the other end is closed before the guest asks
    /// whether it did: it is the next write that fails, as with any kernel.
    has_written: bool,
}

impl Output {
    pub(super) fn new(end: Arc<GuestEnd>) -> Self {
        Self {
            end,
            permit: 0,
            has_written: false,
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // A guest that was stopped has not finished what it was writing: the reset must come first.
        if self.end.stop.is_stopped() {
            self.end.stream.abort();
        } else {
            self.end.stream.shutdown_write();
        }
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // A stream that has ended says so, whatever was permitted before.
        self.end.stream.try_writable().map_err(stream_error)?;
        let Some(left) = self.permit.checked_sub(bytes.len()) else {
            return Err(StreamError::trap("a write of more bytes than check-write permitted"));
        };
        self.permit = left;
        self.end.stream.try_write(bytes).map_err(stream_error)?;
        self.has_written = true;
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What was written is on its way already.
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let has_written = std::mem::take(&mut self.has_written);
        self.permit = match self.end.stream.try_writable() {
            Ok(free) => free.min(MAX_CHUNK),
            // A guest that waits for its flush to be done comes here.
            Err(_) if has_written => MAX_CHUNK,
            Err(error) => return Err(stream_error(error)),
        };
        Ok(self.permit)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        poll_fn(|context| self.end.stream.poll_writable(context)).await;
    }
}
