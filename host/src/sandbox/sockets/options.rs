//! Socket options. The virtual loopback has no use for them; they are kept, checked and read back.

use super::bindings::network::ErrorCode;
use crate::network::{DATAGRAM_QUEUE_CAPACITY, PIPE_CAPACITY};

const SECOND: u64 = 1_000_000_000;

/// The options of a socket. An accepted connection begins with its listener's.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) keep_alive: bool,
    pub(super) keep_alive_idle_time: u64,
    pub(super) keep_alive_interval: u64,
    pub(super) keep_alive_count: u32,
    pub(super) hop_limit: u8,
    pub(super) receive_buffer: u64,
    pub(super) send_buffer: u64,
}

impl Options {
    /// Linux' defaults, with the size of our own buffers.
    pub(super) fn tcp() -> Self {
        Self {
            keep_alive: false,
            keep_alive_idle_time: 7_200 * SECOND,
            keep_alive_interval: 75 * SECOND,
            keep_alive_count: 9,
            hop_limit: 64,
            receive_buffer: PIPE_CAPACITY as u64,
            send_buffer: PIPE_CAPACITY as u64,
        }
    }

    /// The same for datagrams.
    pub(super) fn udp() -> Self {
        let buffer = DATAGRAM_QUEUE_CAPACITY as u64;
        Self {
            receive_buffer: buffer,
            send_buffer: buffer,
            ..Self::tcp()
        }
    }
}

/// Sets an option to a value that must not be zero.
pub(super) fn set<T: Copy + Default + PartialEq>(option: &mut T, value: T) -> Result<(), ErrorCode> {
    if value == T::default() {
        return Err(ErrorCode::InvalidArgument);
    }
    *option = value;
    Ok(())
}

/// Sets a keep-alive time. Linux' bounds are kept to: whole seconds, from one to 32,767.
pub(super) fn set_time(option: &mut u64, nanoseconds: u64) -> Result<(), ErrorCode> {
    set(option, nanoseconds)?;
    *option = (nanoseconds / SECOND).clamp(1, 32_767) * SECOND;
    Ok(())
}

/// The most that a buffer size reads back as: Linux keeps it in a signed 32-bit number.
const MAX_BUFFER: u64 = i32::MAX as u64;

/// Sets a buffer size.
pub(super) fn set_buffer(option: &mut u64, bytes: u64) -> Result<(), ErrorCode> {
    set(option, bytes.min(MAX_BUFFER))
}

/// The most keep-alive probes, as on Linux.
const MAX_PROBES: u32 = 127;

/// Sets the number of keep-alive probes.
pub(super) fn set_count(option: &mut u32, probes: u32) -> Result<(), ErrorCode> {
    set(option, probes.min(MAX_PROBES))
}
