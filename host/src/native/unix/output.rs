//! What a process writes to its stdout and stderr.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::unix::pipe::Receiver;

use crate::sandbox::Output;

/// How much is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// The most that is read in one go, so that a process that writes without end keeps nobody from his work: 1 MiB, many
/// times what a pipe holds.
const MAX_GO_BYTES: usize = 1 << 20;

/// One of a process's streams.
#[derive(Debug)]
pub(super) struct Stream {
    pipe: Receiver,
    output: Output,
    /// Two may read at a time, the task that waits for output and a call that wants what was written before it: what
    /// one has read is in the log before the other reads on.
    turn: Mutex<Vec<u8>>,
}

/// Whether there will be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// There is none now.
    Later,
    /// There may be more now.
    More,
    /// There is none.
    End,
}

impl Stream {
    pub(super) fn new(pipe: OwnedFd, output: Output) -> io::Result<Self> {
        Ok(Self {
            pipe: Receiver::from_owned_fd(pipe)?,
            output,
            turn: Mutex::default(),
        })
    }

    /// Takes what has been written by now, without waiting.
    pub(super) fn read(&self) -> Rest {
        // Not through tokio, which may not have heard yet that there is something.
        self.read_by(|buffer| Ok(rustix::io::read(&self.pipe, buffer)?))
    }

    fn read_by(&self, read: impl Fn(&mut [u8]) -> io::Result<usize>) -> Rest {
        let mut buffer = self.turn.lock();
        buffer.resize(CHUNK_BYTES, 0);
        let mut taken = 0;
        while taken < MAX_GO_BYTES {
            match read(&mut buffer) {
                Ok(0) => return Rest::End,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Rest::Later,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) => {
                    self.output.take(&buffer[..count]);
                    taken += count;
                }
                Err(error) => {
                    tracing::debug!(%error, "the output of a native program cannot be read");
                    return Rest::End;
                }
            }
        }
        Rest::More
    }

    /// Takes what was begun and has no end of line.
    pub(super) fn finish(&self) {
        self.output.finish();
    }

    /// Takes what is written as it is written.
    pub(super) async fn follow(self: Arc<Self>) {
        while self.pipe.readable().await.is_ok() {
            match self.read_by(|buffer| self.pipe.try_read(buffer)) {
                Rest::Later => {}
                Rest::More => tokio::task::yield_now().await,
                Rest::End => return,
            }
        }
    }
}
