//! A program's stdout and stderr: lines of the environment's log.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use lambox_lifecycle::Program;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::environment::Shared;

/// The longest line of the log; what is longer is cut into several: 256 KiB, the longest event of the service's log.
///
/// Source: documented, <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>.
const MAX_LINE_BYTES: usize = 256 << 10;

/// How much a guest may write in one call.
const MAX_WRITE_BYTES: usize = 64 << 10;

/// A program's stdout or stderr.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    program: Program,
    shared: Arc<Shared>,
    /// The beginning of a line whose end has not been written.
    rest: Arc<Mutex<BytesMut>>,
}

impl Output {
    pub(crate) fn new(program: Program, shared: Arc<Shared>) -> Self {
        Self {
            program,
            shared,
            rest: Arc::default(),
        }
    }

    /// Writes out what has no end of line yet.
    pub(crate) fn finish(&self) {
        let rest = self.rest.lock().split();
        if !rest.is_empty() {
            self.shared.log_line(self.program, rest.freeze());
        }
    }

    /// Takes what was written.
    pub(crate) fn take(&self, bytes: &[u8]) {
        let mut rest = self.rest.lock();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            rest.extend_from_slice(piece);
            while rest.len() > MAX_LINE_BYTES {
                let line = rest.split_to(MAX_LINE_BYTES).freeze();
                self.shared.log_line(self.program, line);
            }
            if rest.ends_with(b"\n") {
                let mut line = rest.split();
                line.truncate(line.len() - 1);
                self.shared.log_line(self.program, line.freeze());
            }
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE_BYTES)
    }
}

#[async_trait]
impl Pollable for Output {
    // The log takes lines at once: whoever reads it does so on the guest's time.
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
