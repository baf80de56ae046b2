//! A file's streams, as wasi:io has them. They are always ready.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::clock::Clock;
use crate::files::{FileError, Node};

/// The most bytes that one call moves.
pub(super) const MAX_CHUNK: usize = 64 << 10;

/// What a guest reads a file from.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) file: Node,
    pub(super) position: u64,
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self
            .file
            .read(self.position, size.min(MAX_CHUNK))
            .map_err(|error| StreamError::LastOperationFailed(error.into()))?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.position += bytes.len() as u64;
        Ok(bytes)
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {}
}

/// Where a stream writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    At(u64),
    End,
}

/// What a guest writes a file with.
#[derive(Debug)]
pub(super) struct Output {
    file: Node,
    position: Position,
    clock: Arc<dyn Clock>,
    /// What the last `check-write` permitted and has not been used.
    permit: usize,
    /// After an error nothing more is written.
    failed: bool,
}

impl Output {
    pub(super) fn new(file: Node, position: Position, clock: Arc<dyn Clock>) -> Self {
        Self {
            file,
            position,
            clock,
            permit: 0,
            failed: false,
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), FileError> {
        while !bytes.is_empty() {
            let now = self.clock.now();
            let written = match &mut self.position {
                Position::End => self.file.append(bytes, now)?,
                Position::At(position) => {
                    let written = self.file.write(*position, bytes, now)?;
                    *position += written as u64;
                    written
                }
            };
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        let Some(left) = self.permit.checked_sub(bytes.len()) else {
            return Err(StreamError::trap("a write of more bytes than check-write permitted"));
        };
        self.permit = left;
        self.write_all(&bytes).map_err(|error| {
            self.failed = true;
            StreamError::LastOperationFailed(error.into())
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        if self.failed { Err(StreamError::Closed) } else { Ok(()) }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        self.permit = MAX_CHUNK;
        Ok(self.permit)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}
