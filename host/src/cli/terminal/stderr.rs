//! Standard error, written by a thread of its own: where its reader pauses, what is to be written waits, and functions go on.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::thread;

use parking_lot::{Condvar, Mutex};

/// How many bytes wait at most; who has more waits too.
const MAX_WAITING_BYTES: usize = 16 << 20;

static STDERR: Queue = Queue {
    state: Mutex::new(State {
        pieces: VecDeque::new(),
        bytes: 0,
        writer: Writer::None,
    }),
    changed: Condvar::new(),
};

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Each is written in one go, so that lines of processes that share a standard error are not mixed.
    pieces: VecDeque<Vec<u8>>,
    /// Those of the pieces, and of the one that is being written.
    bytes: usize,
    writer: Writer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// It has yet to be started.
    None,
    Runs,
    /// It could not be: everybody writes on their own.
    Absent,
}

/// Has this written to standard error. That nobody reads it is no reason to stop.
pub(super) fn write(piece: Vec<u8>) {
    let mut state = STDERR.state.lock();
    if state.writer == Writer::None {
        let writer = thread::Builder::new().name("lambox-stderr".to_owned()).spawn(run);
        state.writer = if writer.is_ok() { Writer::Runs } else { Writer::Absent };
    }
    if state.writer == Writer::Absent {
        let _ = io::stderr().write_all(&piece);
        return;
    }
    // One that is larger than that goes alone.
    while state.bytes > 0 && state.bytes + piece.len() > MAX_WAITING_BYTES {
        STDERR.changed.wait(&mut state);
    }
    state.bytes += piece.len();
    state.pieces.push_back(piece);
    STDERR.changed.notify_all();
}

/// Returns when all is written.
pub(super) fn flush() {
    let mut state = STDERR.state.lock();
    while state.bytes > 0 {
        STDERR.changed.wait(&mut state);
    }
}

fn run() {
    let mut state = STDERR.state.lock();
    loop {
        let Some(piece) = state.pieces.pop_front() else {
            STDERR.changed.wait(&mut state);
            continue;
        };
        parking_lot::MutexGuard::unlocked(&mut state, || {
            // Where it is closed there is nobody to tell.
            let _ = io::stderr().write_all(&piece);
        });
        state.bytes -= piece.len();
        STDERR.changed.notify_all();
    }
}

/// As a writer: each write is a piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        write(piece.to_vec());
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
