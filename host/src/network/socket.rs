//! A TCP socket before it has become a listener or a connection.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::address::{is_own, source};
use super::limits::SocketPermit;
use super::listener::Backlog;
use super::{Denied, Family, Network, NetworkError, Operation, PortLease, TcpListener, TcpStream, outside};

/// A TCP socket that is neither listening nor connected yet.
#[derive(Debug)]
pub(crate) struct TcpSocket {
    network: Network,
    family: Family,
    permit: SocketPermit,
    lease: Option<PortLease>,
}

impl TcpSocket {
    pub(super) fn new(network: Network, family: Family, permit: SocketPermit) -> Self {
        Self {
            network,
            family,
            permit,
            lease: None,
        }
    }

    /// The address it is bound to, if it is.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.lease.as_ref().map(PortLease::address)
    }

    /// Binds it to an address of the environment. Port 0 stands for one chosen here: the lowest ephemeral port not
    /// used before, so that a run can be repeated.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidState`] if it is bound already, [`NetworkError::InvalidArgument`] if the address is not
    /// unicast or of the other family, [`NetworkError::NotBindable`] if it is not the environment's, and
    /// [`NetworkError::AddressInUse`].
    pub(crate) fn bind(&mut self, address: SocketAddr) -> Result<(), NetworkError> {
        if self.lease.is_some() {
            return Err(NetworkError::InvalidState);
        }
        if !self.family.can_bind(address.ip()) {
            return Err(NetworkError::InvalidArgument);
        }
        self.lease = Some(self.network.lease_tcp(address)?);
        Ok(())
    }

    /// Starts to listen. At least one and at most [`MAX_BACKLOG`](super::MAX_BACKLOG) connections may wait.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidState`] if it is not bound.
    pub(crate) fn listen(self, backlog: usize) -> Result<TcpListener, NetworkError> {
        let lease = self.lease.ok_or(NetworkError::InvalidState)?;
        let queue = Backlog::new(backlog);
        self.network.open_tcp(&lease, queue.clone())?;
        Ok(TcpListener::new(queue, lease, self.permit))
    }

    /// Whether [`connect`](Self::connect) to the address makes sense at all.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidArgument`] if it is not unicast, not specified or of the other family, or its port zero.
    pub(crate) fn check_remote(&self, remote: SocketAddr) -> Result<(), NetworkError> {
        if self.family.can_reach(remote) {
            Ok(())
        } else {
            Err(NetworkError::InvalidArgument)
        }
    }

    /// Connects to an address of the environment at once, or starts to connect to a granted one outside.
    pub(crate) fn connect(self, remote: SocketAddr) -> Connecting {
        if let Err(error) = self.check_remote(remote) {
            return Connecting::done(Err(error));
        }
        if is_own(remote.ip()) {
            return Connecting::done(self.connect_inside(remote));
        }
        if self.network.grants(remote) {
            return outside::connect(self, remote);
        }
        self.network.report(Denied {
            operation: Operation::Connect,
            target: remote.to_string(),
        });
        Connecting::done(Err(NetworkError::AccessDenied))
    }

    /// Connects to an address of the environment.
    pub(super) fn connect_inside(mut self, remote: SocketAddr) -> Result<TcpStream, NetworkError> {
        let queue = self.network.listener(remote)?;
        if queue.is_full() {
            return Err(NetworkError::Refused);
        }
        let accepting_permit = self.network.permit()?;
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.network.lease_tcp(SocketAddr::new(source(remote.ip()), 0))?,
        };
        let mut local = lease.address();
        if local.ip().is_unspecified() {
            local.set_ip(source(remote.ip()));
        }
        let ends = Ends {
            local,
            remote,
            lease,
            permit: self.permit,
        };
        let (connecting, accepting) = self.network.connection(ends, accepting_permit)?;
        queue.push(accepting)?;
        Ok(connecting)
    }

    /// What is needed to make the connecting end, with `remote` as its peer.
    pub(super) fn into_ends(mut self, remote: SocketAddr) -> Result<(Network, Ends), NetworkError> {
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.network.lease_tcp(SocketAddr::new(self.family.loopback(), 0))?,
        };
        let ends = Ends {
            local: lease.address(),
            remote,
            lease,
            permit: self.permit,
        };
        Ok((self.network, ends))
    }
}

/// The connecting end of a connection to be made.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) lease: PortLease,
    pub(super) permit: SocketPermit,
}

/// A connection that is being made. To an address inside the environment it is ready from the beginning.
#[derive(Debug)]
pub(crate) struct Connecting(State);

#[derive(Debug)]
enum State {
    Done(Option<Result<TcpStream, NetworkError>>),
    Pending(oneshot::Receiver<Result<TcpStream, NetworkError>>),
}

impl Connecting {
    pub(super) fn done(result: Result<TcpStream, NetworkError>) -> Self {
        Self(State::Done(Some(result)))
    }

    pub(super) fn pending(result: oneshot::Receiver<Result<TcpStream, NetworkError>>) -> Self {
        Self(State::Pending(result))
    }

    /// Waits until [`poll`](Self::poll) is ready.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Pending(receiver) = &mut self.0 {
            // The sender vanishes only together with the runtime it ran on.
            let result = ready!(std::pin::Pin::new(receiver).poll(context)).unwrap_or(Err(NetworkError::Unreachable));
            self.0 = State::Done(Some(result));
        }
        Poll::Ready(())
    }

    /// Waits for the connection. It is given once; a further call finds [`NetworkError::InvalidState`].
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<TcpStream, NetworkError>> {
        ready!(self.poll_ready(context));
        match &mut self.0 {
            State::Done(result) => Poll::Ready(result.take().unwrap_or(Err(NetworkError::InvalidState))),
            State::Pending(_) => Poll::Pending,
        }
    }

    /// Waits for the connection.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Refused`], [`NetworkError::AccessDenied`], [`NetworkError::AddressInUse`] and those of the
    /// limits; for a granted address outside also [`NetworkError::Unreachable`] and [`NetworkError::TimedOut`].
    pub(crate) async fn wait(mut self) -> Result<TcpStream, NetworkError> {
        poll_fn(|context| self.poll(context)).await
    }
}
