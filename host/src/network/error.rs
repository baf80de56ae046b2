//! What a call on the virtual loopback can be refused with.

use std::io;

/// Why a call on the virtual loopback failed.
///
/// The variants are those of the sockets interface a guest sees; each way in renders them in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    /// The address or name lies outside the environment and the policy grants no access to it.
    #[error("access denied by the network policy")]
    AccessDenied,
    /// Nobody listens there, or the backlog of whoever does is full.
    #[error("connection refused")]
    Refused,
    /// Another socket holds the address, or no ephemeral port is left.
    #[error("address in use")]
    AddressInUse,
    /// The address is none of this environment's.
    #[error("address not bindable")]
    NotBindable,
    /// The address has the wrong family or form, or a port of zero.
    #[error("invalid argument")]
    InvalidArgument,
    /// The call makes no sense in the state the socket is in.
    #[error("invalid state")]
    InvalidState,
    /// The peer closed the connection with data unread, or was stopped.
    #[error("connection reset by peer")]
    Reset,
    /// The direction was shut down, by this end for writing or by the peer for good.
    #[error("connection closed")]
    Closed,
    /// The environment holds as many sockets as it may.
    #[error("too many sockets in this environment")]
    TooManySockets,
    /// The environment holds as many buffered bytes as it may.
    #[error("no buffer space left in this environment")]
    OutOfBuffers,
    /// The name is none of this environment's and the policy grants no other.
    #[error("name does not resolve")]
    NameUnresolvable,
    /// The datagram is longer than [`MAX_DATAGRAM`](super::MAX_DATAGRAM).
    #[error("datagram too large")]
    DatagramTooLarge,
    /// A granted address outside could not be reached, or the environment has been stopped.
    #[error("network unreachable")]
    Unreachable,
    /// A granted address outside did not answer in time.
    #[error("connection timed out")]
    TimedOut,
}

impl From<NetworkError> for io::Error {
    fn from(error: NetworkError) -> Self {
        use io::ErrorKind as Kind;
        let kind = match error {
            NetworkError::AccessDenied => Kind::PermissionDenied,
            NetworkError::Refused => Kind::ConnectionRefused,
            NetworkError::AddressInUse => Kind::AddrInUse,
            NetworkError::NotBindable => Kind::AddrNotAvailable,
            NetworkError::InvalidArgument | NetworkError::DatagramTooLarge => Kind::InvalidInput,
            NetworkError::InvalidState => Kind::NotConnected,
            NetworkError::Reset => Kind::ConnectionReset,
            NetworkError::Closed => Kind::BrokenPipe,
            NetworkError::TooManySockets | NetworkError::OutOfBuffers => Kind::QuotaExceeded,
            NetworkError::NameUnresolvable => Kind::NotFound,
            NetworkError::Unreachable => Kind::NetworkUnreachable,
            NetworkError::TimedOut => Kind::TimedOut,
        };
        io::Error::new(kind, error)
    }
}

impl From<&io::Error> for NetworkError {
    /// What a kernel socket's failure is called inside.
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => NetworkError::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => NetworkError::Reset,
            io::ErrorKind::TimedOut => NetworkError::TimedOut,
            io::ErrorKind::PermissionDenied => NetworkError::AccessDenied,
            _ => NetworkError::Unreachable,
        }
    }
}
