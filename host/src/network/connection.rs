//! A connection: two pipes and how its ends part.

use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;

use super::limits::Reservation;
use super::pipe::Pipe;
use super::wakers::Wakers;
use super::{NetworkError, State};

/// What the two ends of a connection share.
///
/// One lock for both directions: they part together, and the ends of a connection are seldom at work at one time.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Mutex<Shared>,
    _buffers: Reservation,
    id: u64,
    network: Weak<Mutex<State>>,
}

/// Which end. The end that connected is `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    A,
    B,
}

#[derive(Debug)]
struct Shared {
    a_to_b: Direction,
    b_to_a: Direction,
    /// One end was dropped with data unread, or stopped. What is already on its way may still be read.
    reset: bool,
}

#[derive(Debug)]
struct Direction {
    pipe: Pipe,
    /// The writer has said that nothing more follows.
    finished: bool,
    /// The reader has said that it wants nothing more: what is written vanishes.
    ignored: bool,
    /// The reading end is closed for good.
    abandoned: bool,
    reader: Wakers,
    writer: Wakers,
}

impl Direction {
    fn new(capacity: usize) -> Self {
        Self {
            pipe: Pipe::new(capacity),
            finished: false,
            ignored: false,
            abandoned: false,
            reader: Wakers::default(),
            writer: Wakers::default(),
        }
    }
}

impl Shared {
    fn incoming(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::A => &mut self.b_to_a,
            Side::B => &mut self.a_to_b,
        }
    }

    fn outgoing(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::A => &mut self.a_to_b,
            Side::B => &mut self.b_to_a,
        }
    }

    /// Whether `side` has something to read: data, `Some(Ok)`, the end or an error; `None` if it has to wait.
    fn readable(&mut self, side: Side) -> Option<Result<Readable, NetworkError>> {
        let reset = self.reset;
        let incoming = self.incoming(side);
        if !incoming.pipe.is_empty() {
            Some(Ok(Readable::Data))
        } else if incoming.ignored {
            Some(Ok(Readable::End))
        } else if reset {
            Some(Err(NetworkError::Reset))
        } else if incoming.finished {
            Some(Ok(Readable::End))
        } else {
            None
        }
    }

    /// How much `side` may write, or why it never can again.
    fn writable(&mut self, side: Side) -> Result<usize, NetworkError> {
        let reset = self.reset;
        let outgoing = self.outgoing(side);
        if outgoing.finished {
            Err(NetworkError::Closed)
        } else if reset {
            Err(NetworkError::Reset)
        } else if outgoing.abandoned {
            Err(NetworkError::Closed)
        } else {
            Ok(outgoing.pipe.free())
        }
    }

    fn take_all_wakers(&mut self) -> [Wakers; 4] {
        let (ab, ba) = (&mut self.a_to_b, &mut self.b_to_a);
        [ab.reader.take(), ab.writer.take(), ba.reader.take(), ba.writer.take()]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readable {
    Data,
    End,
}

impl Connection {
    pub(super) fn new(buffers: Reservation, id: u64, network: Weak<Mutex<State>>) -> Self {
        let capacity = buffers.each();
        let shared = Shared {
            a_to_b: Direction::new(capacity),
            b_to_a: Direction::new(capacity),
            reset: false,
        };
        Self {
            shared: Mutex::new(shared),
            _buffers: buffers,
            id,
            network,
        }
    }

    /// Takes up to `max` bytes; `None` is the end of the stream. With `max` zero it tells whether there is an end or
    /// an error to be seen. Without a context it does not wait.
    pub(super) fn poll_read(
        &self,
        side: Side,
        context: Option<&mut Context<'_>>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, NetworkError>> {
        let mut shared = self.shared.lock();
        match shared.readable(side) {
            Some(Ok(Readable::Data)) => {
                let incoming = shared.incoming(side);
                let data = incoming.pipe.pop(max);
                let writer = incoming.writer.take();
                drop(shared);
                writer.wake();
                Poll::Ready(Ok(Some(data)))
            }
            Some(Ok(Readable::End)) => Poll::Ready(Ok(None)),
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => {
                if let Some(context) = context {
                    shared.incoming(side).reader.register(context.waker());
                }
                Poll::Pending
            }
        }
    }

    /// Waits until a read will bring data, the end or an error.
    pub(super) fn poll_readable(&self, side: Side, context: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared.lock();
        if shared.readable(side).is_some() {
            return Poll::Ready(());
        }
        shared.incoming(side).reader.register(context.waker());
        Poll::Pending
    }

    /// How many bytes may be written, waiting until it is at least one. Without a context it does not wait.
    pub(super) fn poll_writable(
        &self,
        side: Side,
        context: Option<&mut Context<'_>>,
    ) -> Poll<Result<usize, NetworkError>> {
        let mut shared = self.shared.lock();
        match shared.writable(side) {
            Ok(0) => {
                if let Some(context) = context {
                    shared.outgoing(side).writer.register(context.waker());
                }
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self, side: Side) -> usize {
        self.shared.lock().incoming(side).pipe.len()
    }

    /// Waits until the peer of `side` is gone, or the connection reset.
    pub(super) fn poll_abandoned(&self, side: Side, context: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared.lock();
        if shared.reset || shared.outgoing(side).abandoned {
            return Poll::Ready(());
        }
        shared.outgoing(side).writer.register(context.waker());
        Poll::Pending
    }

    /// Writes all of `data`, of which the caller knows that it fits: only this end can take the room away.
    pub(super) fn write(&self, side: Side, data: Bytes) -> Result<(), NetworkError> {
        let mut shared = self.shared.lock();
        shared.writable(side)?;
        let outgoing = shared.outgoing(side);
        if data.is_empty() || outgoing.ignored {
            return Ok(());
        }
        outgoing.pipe.push(data);
        let reader = outgoing.reader.take();
        drop(shared);
        reader.wake();
        Ok(())
    }

    /// This end writes no more: the peer reads what is on its way and then the end.
    pub(super) fn finish(&self, side: Side) {
        let mut shared = self.shared.lock();
        let outgoing = shared.outgoing(side);
        outgoing.finished = true;
        let (reader, writer) = (outgoing.reader.take(), outgoing.writer.take());
        drop(shared);
        reader.wake();
        writer.wake();
    }

    /// This end reads no more: what is on its way, and whatever follows, is thrown away.
    pub(super) fn ignore(&self, side: Side) {
        let mut shared = self.shared.lock();
        let incoming = shared.incoming(side);
        incoming.ignored = true;
        incoming.pipe.clear();
        let (reader, writer) = (incoming.reader.take(), incoming.writer.take());
        drop(shared);
        reader.wake();
        writer.wake();
    }

    /// This end is gone. With data unread it is a reset, as from any kernel: the peer must not believe that it was
    /// heard.
    pub(super) fn close(&self, side: Side) {
        let mut shared = self.shared.lock();
        if !shared.incoming(side).pipe.is_empty() {
            shared.reset = true;
        }
        shared.outgoing(side).finished = true;
        let incoming = shared.incoming(side);
        incoming.abandoned = true;
        incoming.pipe.clear();
        let wakers = shared.take_all_wakers();
        drop(shared);
        wakers.into_iter().for_each(Wakers::wake);
    }

    /// Both ends see a reset.
    pub(super) fn reset(&self) {
        let mut shared = self.shared.lock();
        shared.reset = true;
        let wakers = shared.take_all_wakers();
        drop(shared);
        wakers.into_iter().for_each(Wakers::wake);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(state) = self.network.upgrade() {
            state.lock().connections.remove(&self.id);
        }
    }
}
