//! How a refusal of the network is called in wasi:sockets.

use wasmtime::component::ResourceTableError;

use super::bindings::network::ErrorCode;
use crate::network::NetworkError;

/// Why a call failed: with a code for the guest, or with a trap.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum SocketError {
    /// The guest is told.
    Code(ErrorCode),
    /// The guest broke the rules of the interface, or has no room for another resource: it ends.
    Trap(wasmtime::Error),
}

impl SocketError {
    /// A trap with a sentence.
    pub(super) fn trap(sentence: &'static str) -> Self {
        SocketError::Trap(wasmtime::Error::msg(sentence))
    }

    /// The code, or the error that is to trap.
    pub(super) fn into_code(self) -> wasmtime::Result<ErrorCode> {
        match self {
            SocketError::Code(code) => Ok(code),
            SocketError::Trap(error) => Err(error),
        }
    }
}

impl From<ErrorCode> for SocketError {
    fn from(code: ErrorCode) -> Self {
        SocketError::Code(code)
    }
}

impl From<NetworkError> for SocketError {
    fn from(error: NetworkError) -> Self {
        SocketError::Code(error.into())
    }
}

impl From<ResourceTableError> for SocketError {
    fn from(error: ResourceTableError) -> Self {
        SocketError::Trap(error.into())
    }
}

impl From<NetworkError> for ErrorCode {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::AccessDenied => ErrorCode::AccessDenied,
            NetworkError::Refused => ErrorCode::ConnectionRefused,
            NetworkError::AddressInUse => ErrorCode::AddressInUse,
            NetworkError::NotBindable => ErrorCode::AddressNotBindable,
            NetworkError::InvalidArgument => ErrorCode::InvalidArgument,
            // A closed direction is an end of stream to a guest; as a code it can only be a matter of state.
            NetworkError::InvalidState | NetworkError::Closed => ErrorCode::InvalidState,
            NetworkError::Reset => ErrorCode::ConnectionReset,
            NetworkError::TooManySockets => ErrorCode::NewSocketLimit,
            NetworkError::OutOfBuffers => ErrorCode::OutOfMemory,
            NetworkError::NameUnresolvable => ErrorCode::NameUnresolvable,
            NetworkError::DatagramTooLarge => ErrorCode::DatagramTooLarge,
            NetworkError::Unreachable => ErrorCode::RemoteUnreachable,
            NetworkError::TimedOut => ErrorCode::Timeout,
        }
    }
}
