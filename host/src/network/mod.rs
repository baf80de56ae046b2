//! The virtual loopback of one execution environment.
//!
//! Every environment has a [`Network`] of its own: TCP and UDP on 127.0.0.0/8, ::1 and [`SERVICE_ADDRESS`], all in
//! memory. Its guests reach each other and the Runtime API on it, the host reaches a guest's listener through it, and
//! nobody else can. Two environments can use the same port. No kernel socket is involved, no clock is read, and
//! nothing here knows WASI: `sandbox::sockets` is the face it shows to guests.
//!
//! What lies outside is denied, and the denial reported, unless a [`NetworkPolicy`] grants it.
//!
//! How ends part is what a kernel does: dropping an end with nothing left to read lets its peer read on to the end of
//! the stream; dropping it with data unread, stopping it or stopping the network resets the connection. What was
//! already on its way can still be read after a reset.
//!
//! Wake-ups follow one rule everywhere: whoever waits has registered under the lock under which it saw nothing to do,
//! and whoever changes that takes the wakers under the same lock and wakes them after releasing it.

mod address;
mod connection;
mod error;
mod limits;
mod listener;
mod names;
mod outside;
mod pipe;
mod policy;
mod ports;
mod resolve;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod udp;
mod wakers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

pub(crate) use self::address::{Family, SERVICE_ADDRESS};
pub(crate) use self::error::NetworkError;
#[cfg(test)]
pub(crate) use self::limits::MAX_DATAGRAM;
pub(crate) use self::limits::{
    DATAGRAM_QUEUE_CAPACITY, DEFAULT_BACKLOG, MAX_BACKLOG, MAX_SOCKETS, NetworkLimits, PIPE_CAPACITY,
};
pub(crate) use self::listener::TcpListener;
pub(crate) use self::policy::{Denied, Grant, NetworkPolicy, Operation};
#[cfg(test)]
pub(crate) use self::policy::{HostPattern, Ports};
pub(crate) use self::resolve::Resolving;
pub(crate) use self::socket::{Connecting, TcpSocket};
pub(crate) use self::stream::{MAX_CHUNK, TcpStream};
pub(crate) use self::udp::UdpSocket;

use self::connection::{Connection, Side};
use self::limits::{Budget, Reservation, SCARCE_DATAGRAM_QUEUE_CAPACITY, SCARCE_PIPE_CAPACITY, SocketPermit};
use self::listener::Backlog;
use self::ports::Claim;
use self::socket::Ends;
use self::udp::Inbox;

/// Who is told of an attempt to leave the environment that was denied.
pub(crate) type DenialHook = Arc<dyn Fn(Denied) + Send + Sync>;

/// The virtual loopback of one execution environment. Clones are handles to the same network.
#[derive(Clone)]
pub(crate) struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    /// Shared with the leases and connections, which take themselves off it when dropped.
    state: Arc<Mutex<State>>,
    budget: Arc<Budget>,
    policy: NetworkPolicy,
    denied: DenialHook,
}

/// What changes when sockets come and go. Data moves without this lock.
#[derive(Debug, Default)]
struct State {
    tcp: ports::Ports<Arc<Backlog>>,
    udp: ports::Ports<Arc<Inbox>>,
    connections: BTreeMap<u64, Weak<Connection>>,
    next_connection: u64,
    /// The granted names that were found to lead to an address outside.
    resolved: BTreeMap<IpAddr, BTreeSet<String>>,
    stopped: bool,
}

impl Network {
    /// A network with the default limits.
    #[cfg(test)]
    pub(crate) fn new(policy: NetworkPolicy, denied: DenialHook) -> Self {
        Self::with_limits(policy, denied, NetworkLimits::default())
    }

    /// A network with these limits.
    pub(crate) fn with_limits(policy: NetworkPolicy, denied: DenialHook, limits: NetworkLimits) -> Self {
        let inner = Inner {
            state: Arc::default(),
            budget: Budget::new(limits),
            policy,
            denied,
        };
        Self { inner: Arc::new(inner) }
    }

    /// A TCP socket.
    ///
    /// # Errors
    ///
    /// [`NetworkError::TooManySockets`].
    pub(crate) fn tcp_socket(&self, family: Family) -> Result<TcpSocket, NetworkError> {
        Ok(TcpSocket::new(self.clone(), family, self.permit()?))
    }

    /// A UDP socket.
    ///
    /// # Errors
    ///
    /// [`NetworkError::TooManySockets`].
    pub(crate) fn udp_socket(&self, family: Family) -> Result<UdpSocket, NetworkError> {
        Ok(UdpSocket::new(self.clone(), family, self.permit()?))
    }

    /// Looks up a name, or reads an address. Names of the environment are known at once.
    pub(crate) fn resolve(&self, name: &str) -> Resolving {
        resolve::start(self, name)
    }

    /// Lets the host listen on a port of 127.0.0.1, such as the Runtime API on 9001.
    ///
    /// # Errors
    ///
    /// [`NetworkError::AddressInUse`], or [`NetworkError::TooManySockets`].
    pub(crate) fn host_listener(&self, port: u16) -> Result<TcpListener, NetworkError> {
        let mut socket = self.tcp_socket(Family::V4)?;
        socket.bind(SocketAddr::new(Family::V4.loopback(), port))?;
        socket.listen(MAX_BACKLOG)
    }

    /// Connects the host to a guest's listener: on 127.0.0.1 or, if nobody listens there, on ::1. (A program that binds
    /// `[::]` expects to be reached over IPv4 too, which WASI's IPv6 sockets are not.)
    ///
    /// # Errors
    ///
    /// [`NetworkError::Refused`] if nobody listens or the backlog is full, and those of the limits.
    pub(crate) fn dial(&self, port: u16) -> Result<TcpStream, NetworkError> {
        let dial = |family: Family| {
            self.tcp_socket(family)?
                .connect_inside(SocketAddr::new(family.loopback(), port))
        };
        match dial(Family::V4) {
            Err(NetworkError::Refused) => dial(Family::V6),
            result => result,
        }
    }

    /// Whether this name is the environment's own.
    pub(crate) fn is_own_name(name: &str) -> bool {
        names::own_addresses(name).is_some()
    }

    /// Ends the network together with its environment: listeners close, connections are reset, datagram sockets fail,
    /// and nothing can be bound or connected any more.
    pub(crate) fn stop(&self) {
        let (backlogs, inboxes, connections) = {
            let mut state = self.inner.state.lock();
            state.stopped = true;
            let connections: Vec<_> = state.connections.values().filter_map(Weak::upgrade).collect();
            (state.tcp.all_open(), state.udp.all_open(), connections)
        };
        // Outside the lock: what is dropped on the way takes itself off the state.
        for backlog in backlogs {
            backlog.close();
        }
        for inbox in inboxes {
            inbox.close();
        }
        for connection in connections {
            connection.reset();
        }
    }

    fn report(&self, denied: Denied) {
        (self.inner.denied)(denied);
    }

    fn permit(&self) -> Result<SocketPermit, NetworkError> {
        self.inner.budget.socket()
    }

    fn datagram_buffers(&self) -> Result<Reservation, NetworkError> {
        self.inner
            .budget
            .buffers(1, DATAGRAM_QUEUE_CAPACITY, SCARCE_DATAGRAM_QUEUE_CAPACITY)
    }

    /// Whether the policy grants a connection to an address outside.
    fn grants(&self, remote: SocketAddr) -> bool {
        let names: Vec<String> = match self.inner.state.lock().resolved.get(&remote.ip()) {
            Some(names) => names.iter().cloned().collect(),
            None => Vec::new(),
        };
        self.inner.policy.allows(remote.ip(), &names, remote.port())
    }

    fn lease_tcp(&self, address: SocketAddr) -> Result<PortLease, NetworkError> {
        let claim = self.running()?.tcp.bind(address)?;
        Ok(PortLease {
            state: self.inner.state.clone(),
            protocol: Protocol::Tcp,
            claim,
        })
    }

    fn lease_udp(&self, address: SocketAddr) -> Result<PortLease, NetworkError> {
        let claim = self.running()?.udp.bind(address)?;
        Ok(PortLease {
            state: self.inner.state.clone(),
            protocol: Protocol::Udp,
            claim,
        })
    }

    fn open_tcp(&self, lease: &PortLease, backlog: Arc<Backlog>) -> Result<(), NetworkError> {
        self.running()?.tcp.open(&lease.claim, backlog);
        Ok(())
    }

    fn open_udp(&self, lease: &PortLease, inbox: Arc<Inbox>) -> Result<(), NetworkError> {
        self.running()?.udp.open(&lease.claim, inbox);
        Ok(())
    }

    /// Who listens at an address.
    fn listener(&self, address: SocketAddr) -> Result<Arc<Backlog>, NetworkError> {
        self.running()?.tcp.find(address).ok_or(NetworkError::Refused)
    }

    /// Who receives datagrams at an address, if anybody does.
    fn inbox(&self, address: SocketAddr) -> Result<Option<Arc<Inbox>>, NetworkError> {
        Ok(self.running()?.udp.find(address))
    }

    /// Makes a connection: the end that connects and the end that accepts.
    fn connection(&self, ends: Ends, accepting: SocketPermit) -> Result<(TcpStream, TcpStream), NetworkError> {
        let buffers = self.inner.budget.buffers(2, PIPE_CAPACITY, SCARCE_PIPE_CAPACITY)?;
        let connection = {
            let mut state = self.running()?;
            let id = state.next_connection;
            state.next_connection += 1;
            let connection = Arc::new(Connection::new(buffers, id, Arc::downgrade(&self.inner.state)));
            state.connections.insert(id, Arc::downgrade(&connection));
            connection
        };
        let Ends {
            local,
            remote,
            lease,
            permit,
        } = ends;
        let a = TcpStream::new(connection.clone(), Side::A, local, remote, Some(lease), permit);
        let b = TcpStream::new(connection, Side::B, remote, local, None, accepting);
        Ok((a, b))
    }

    fn running(&self) -> Result<parking_lot::MutexGuard<'_, State>, NetworkError> {
        let state = self.inner.state.lock();
        if state.stopped {
            Err(NetworkError::Unreachable)
        } else {
            Ok(state)
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("policy", &self.inner.policy)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Tcp,
    Udp,
}

/// A socket's hold on a port, which ends when it is dropped.
#[derive(Debug)]
struct PortLease {
    state: Arc<Mutex<State>>,
    protocol: Protocol,
    claim: Claim,
}

impl PortLease {
    fn address(&self) -> SocketAddr {
        self.claim.address
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        match self.protocol {
            Protocol::Tcp => state.tcp.release(&self.claim),
            Protocol::Udp => state.udp.release(&self.claim),
        }
    }
}
