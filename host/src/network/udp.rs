//! Datagrams on the virtual loopback.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;

use super::address::{is_own, source};
use super::limits::{MAX_DATAGRAM, Reservation, SocketPermit};
use super::wakers::Wakers;
use super::{Denied, Family, Network, NetworkError, Operation, PortLease};

/// What keeping a datagram costs beside its bytes, so that empty ones are bounded too.
const DATAGRAM_OVERHEAD: usize = 64;

/// A datagram that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// Its bytes.
    pub(crate) data: Bytes,
    /// Who sent it.
    pub(crate) source: SocketAddr,
}

/// A UDP socket on the virtual loopback.
///
/// A datagram to an address where nobody listens, or whose receiver has no room, is lost. As on Linux a *connected*
/// socket learns afterwards that nobody listens: its next receive fails with [`NetworkError::Refused`], once.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    network: Network,
    family: Family,
    bound: OnceLock<Bound>,
    _permit: SocketPermit,
}

#[derive(Debug)]
struct Bound {
    inbox: Arc<Inbox>,
    lease: PortLease,
}

impl UdpSocket {
    pub(super) fn new(network: Network, family: Family, permit: SocketPermit) -> Self {
        Self {
            network,
            family,
            bound: OnceLock::new(),
            _permit: permit,
        }
    }

    /// The family it was made for.
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    fn bound(&self) -> Result<&Bound, NetworkError> {
        self.bound.get().ok_or(NetworkError::InvalidState)
    }

    /// Binds it to an address of the environment; port 0 stands for one chosen here.
    ///
    /// # Errors
    ///
    /// As [`TcpSocket::bind`](super::TcpSocket::bind), and [`NetworkError::OutOfBuffers`].
    pub(crate) fn bind(&self, address: SocketAddr) -> Result<(), NetworkError> {
        if self.bound.get().is_some() {
            return Err(NetworkError::InvalidState);
        }
        if !self.family.can_bind(address.ip()) {
            return Err(NetworkError::InvalidArgument);
        }
        let lease = self.network.lease_udp(address)?;
        let inbox = Arc::new(Inbox::new(self.network.datagram_buffers()?));
        self.network.open_udp(&lease, inbox.clone())?;
        self.bound
            .set(Bound { inbox, lease })
            .map_err(|_| NetworkError::InvalidState)
    }

    /// The address it is bound to. A socket bound to the wildcard has a definite address while it is connected.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidState`] if it is not bound.
    pub(crate) fn local_addr(&self) -> Result<SocketAddr, NetworkError> {
        let bound = self.bound()?;
        let mut local = bound.lease.address();
        let remote = bound.inbox.state.lock().remote;
        if let Some(remote) = remote.filter(|remote| local.ip().is_unspecified() && is_own(remote.ip())) {
            local.set_ip(source(remote.ip()));
        }
        Ok(local)
    }

    /// The address it is connected to.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidState`] if it is not.
    pub(crate) fn remote_addr(&self) -> Result<SocketAddr, NetworkError> {
        self.bound()?
            .inbox
            .state
            .lock()
            .remote
            .ok_or(NetworkError::InvalidState)
    }

    /// Sends to, and receives from, only `remote` from now on; or whomever, if it is `None`. Datagrams from others
    /// that wait already are thrown away.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidState`] if it is not bound, [`NetworkError::InvalidArgument`] if nothing can be sent to
    /// the address, [`NetworkError::AccessDenied`] if it lies outside the environment.
    pub(crate) fn connect(&self, remote: Option<SocketAddr>) -> Result<(), NetworkError> {
        let bound = self.bound()?;
        if let Some(remote) = remote {
            self.check_remote(remote)?;
        }
        bound.inbox.connect(remote);
        Ok(())
    }

    fn check_remote(&self, remote: SocketAddr) -> Result<(), NetworkError> {
        if !self.family.can_reach(remote) {
            return Err(NetworkError::InvalidArgument);
        }
        if !is_own(remote.ip()) {
            self.network.report(Denied {
                operation: Operation::Send,
                target: remote.to_string(),
            });
            return Err(NetworkError::AccessDenied);
        }
        Ok(())
    }

    /// Sends a datagram, to `remote` or to whom the socket is connected. It never waits: what finds no room is lost.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidState`] if it is not bound; [`NetworkError::InvalidArgument`] if there is neither a
    /// `remote` nor a connection, or both and they differ; [`NetworkError::DatagramTooLarge`]; and as
    /// [`connect`](Self::connect).
    pub(crate) fn send(&self, data: Bytes, remote: Option<SocketAddr>) -> Result<(), NetworkError> {
        let bound = self.bound()?;
        let connected = bound.inbox.state.lock().remote;
        let remote = match (remote, connected) {
            (Some(remote), Some(connected)) if remote != connected => return Err(NetworkError::InvalidArgument),
            (Some(remote), _) | (None, Some(remote)) => remote,
            (None, None) => return Err(NetworkError::InvalidArgument),
        };
        self.check_remote(remote)?;
        if data.len() > MAX_DATAGRAM {
            return Err(NetworkError::DatagramTooLarge);
        }
        let mut from = bound.lease.address();
        if from.ip().is_unspecified() {
            from.set_ip(source(remote.ip()));
        }
        match self.network.inbox(remote)? {
            Some(inbox) => inbox.deliver(Datagram { data, source: from }),
            None if connected.is_some() => bound.inbox.refuse(),
            None => {}
        }
        Ok(())
    }

    /// The next datagram, or `None` if none has come.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidState`] if it is not bound; [`NetworkError::Refused`] once after a send over a
    /// connection found nobody; [`NetworkError::Unreachable`] when the network has been stopped.
    pub(crate) fn try_recv(&self) -> Result<Option<Datagram>, NetworkError> {
        match self.bound()?.inbox.poll_take(None) {
            Poll::Ready(result) => result.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Waits until [`try_recv`](Self::try_recv) has a datagram or an error to give.
    pub(crate) fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.bound() {
            Ok(bound) => bound.inbox.poll_ready(context),
            Err(_) => Poll::Ready(()),
        }
    }

    /// Waits for the next datagram.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    #[cfg(test)]
    pub(crate) async fn recv(&self) -> Result<Datagram, NetworkError> {
        let bound = self.bound()?;
        std::future::poll_fn(|context| bound.inbox.poll_take(Some(context))).await
    }
}

/// The datagrams that wait to be received by one socket.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    buffers: Reservation,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Datagram>,
    /// What `waiting` is charged for.
    size: usize,
    remote: Option<SocketAddr>,
    /// A send over the connection found nobody, and the socket has not been told yet.
    refused: bool,
    closed: bool,
    receiver: Wakers,
}

impl Inbox {
    pub(super) fn new(buffers: Reservation) -> Self {
        Self {
            state: Mutex::default(),
            buffers,
        }
    }

    fn connect(&self, remote: Option<SocketAddr>) {
        let mut state = self.state.lock();
        state.remote = remote;
        state.refused = false;
        if let Some(remote) = remote {
            state.waiting.retain(|datagram| datagram.source == remote);
            state.size = state.waiting.iter().map(charge).sum();
        }
    }

    fn deliver(&self, datagram: Datagram) {
        let mut state = self.state.lock();
        let unwanted = state.remote.is_some_and(|remote| remote != datagram.source);
        let size = state.size + charge(&datagram);
        if unwanted || state.closed || size > self.buffers.each() {
            return;
        }
        state.size = size;
        state.waiting.push_back(datagram);
        let receiver = state.receiver.take();
        drop(state);
        receiver.wake();
    }

    fn refuse(&self) {
        let mut state = self.state.lock();
        state.refused = true;
        let receiver = state.receiver.take();
        drop(state);
        receiver.wake();
    }

    /// Fails all that wait, for the network has been stopped.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let receiver = state.receiver.take();
        drop(state);
        receiver.wake();
    }

    fn poll_take(&self, context: Option<&mut Context<'_>>) -> Poll<Result<Datagram, NetworkError>> {
        let mut state = self.state.lock();
        if let Some(datagram) = state.waiting.pop_front() {
            state.size -= charge(&datagram);
            return Poll::Ready(Ok(datagram));
        }
        if std::mem::take(&mut state.refused) {
            return Poll::Ready(Err(NetworkError::Refused));
        }
        if state.closed {
            return Poll::Ready(Err(NetworkError::Unreachable));
        }
        if let Some(context) = context {
            state.receiver.register(context.waker());
        }
        Poll::Pending
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if !state.waiting.is_empty() || state.refused || state.closed {
            return Poll::Ready(());
        }
        state.receiver.register(context.waker());
        Poll::Pending
    }
}

fn charge(datagram: &Datagram) -> usize {
    datagram.data.len() + DATAGRAM_OVERHEAD
}
