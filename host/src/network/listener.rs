//! Who waits for connections.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;

use super::limits::{MAX_BACKLOG, SocketPermit};
use super::wakers::Wakers;
use super::{NetworkError, PortLease, TcpStream};

/// A socket that accepts connections. Dropping it frees its port and resets the connections not yet accepted.
#[derive(Debug)]
pub(crate) struct TcpListener {
    queue: Arc<Backlog>,
    lease: PortLease,
    _permit: SocketPermit,
}

impl TcpListener {
    pub(super) fn new(queue: Arc<Backlog>, lease: PortLease, permit: SocketPermit) -> Self {
        Self {
            queue,
            lease,
            _permit: permit,
        }
    }

    /// The address it listens on.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.lease.address()
    }

    /// The next connection, or `None` if none waits.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Unreachable`] once the network has been stopped.
    pub(crate) fn try_accept(&self) -> Result<Option<TcpStream>, NetworkError> {
        match self.queue.poll_pop(None) {
            Poll::Ready(result) => result.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Waits until [`try_accept`](Self::try_accept) has a connection or an error to give.
    pub(crate) fn poll_acceptable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.queue.poll_ready(context)
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// As [`try_accept`](Self::try_accept).
    pub(crate) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<TcpStream, NetworkError>> {
        self.queue.poll_pop(Some(context))
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// As [`try_accept`](Self::try_accept).
    pub(crate) async fn accept(&self) -> Result<TcpStream, NetworkError> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// Changes how many connections may wait, at least one and at most [`MAX_BACKLOG`]. Those that wait already stay.
    pub(crate) fn set_backlog(&self, backlog: usize) {
        self.queue.state.lock().limit = backlog.clamp(1, MAX_BACKLOG);
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The connections that wait to be accepted.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<TcpStream>,
    limit: usize,
    closed: bool,
    acceptor: Wakers,
}

impl Backlog {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let limit = limit.clamp(1, MAX_BACKLOG);
        let state = State {
            waiting: VecDeque::new(),
            limit,
            closed: false,
            acceptor: Wakers::default(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    /// Whether a connection would be refused now. It saves making one in vain.
    pub(super) fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.closed || state.waiting.len() >= state.limit
    }

    /// Adds the accepting end of a connection.
    pub(super) fn push(&self, stream: TcpStream) -> Result<(), NetworkError> {
        let mut state = self.state.lock();
        if state.closed || state.waiting.len() >= state.limit {
            // The stream is dropped after the lock: arguments outlive locals.
            return Err(NetworkError::Refused);
        }
        state.waiting.push_back(stream);
        let acceptor = state.acceptor.take();
        drop(state);
        acceptor.wake();
        Ok(())
    }

    fn poll_pop(&self, context: Option<&mut Context<'_>>) -> Poll<Result<TcpStream, NetworkError>> {
        let mut state = self.state.lock();
        if let Some(stream) = state.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if state.closed {
            return Poll::Ready(Err(NetworkError::Unreachable));
        }
        if let Some(context) = context {
            state.acceptor.register(context.waker());
        }
        Poll::Pending
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if !state.waiting.is_empty() || state.closed {
            return Poll::Ready(());
        }
        state.acceptor.register(context.waker());
        Poll::Pending
    }

    /// Refuses all that comes and resets all that waits.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let (waiting, acceptor) = (std::mem::take(&mut state.waiting), state.acceptor.take());
        drop(state);
        waiting.iter().for_each(TcpStream::abort);
        acceptor.wake();
    }
}
