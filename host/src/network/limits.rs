//! How much one environment's network may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::NetworkError;

/// How many sockets one environment may have open where nothing else is said, both ends of a connection counted: 1,024.
///
/// Source: documented, file descriptors, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub(crate) const MAX_SOCKETS: usize = 1_024;

/// How many bytes the sockets of one environment may hold that nobody has read yet: 32 MiB.
///
/// A socket reserves its buffers when it comes into being, so the bound holds whatever the guests do, and no transfer
/// has to ask for leave.
///
/// Source: our own choice: half of it serves 64 connections at full speed.
pub(crate) const MAX_BUFFERED_BYTES: usize = 32 * 1_024 * 1_024;

/// How many bytes each direction of a connection holds before its writer has to wait: 256 KiB.
pub(crate) const PIPE_CAPACITY: usize = 256 * 1_024;

/// The capacity of a direction once the network's buffers grow scarce: 16 KiB.
pub(crate) const SCARCE_PIPE_CAPACITY: usize = 16 * 1_024;

/// The longest datagram: what fits an IPv4 packet beside its headers.
pub(crate) const MAX_DATAGRAM: usize = 65_507;

/// How many bytes of datagrams a socket holds before it drops further ones, each datagram's keeping included.
///
/// Source: observed, Linux' default of `net.core.rmem_default`, 212,992.
pub(crate) const DATAGRAM_QUEUE_CAPACITY: usize = 212_992;

/// The same once the network's buffers grow scarce: room for one of the longest.
pub(crate) const SCARCE_DATAGRAM_QUEUE_CAPACITY: usize = 66 * 1_024;

/// How many connections may wait to be accepted if the listener does not say: 128, as in Rust's standard library.
pub(crate) const DEFAULT_BACKLOG: usize = 128;

/// How many connections may wait to be accepted, whatever the listener says.
pub(crate) const MAX_BACKLOG: usize = 512;

/// The limits of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NetworkLimits {
    /// How many sockets may be open. Default: [`MAX_SOCKETS`].
    pub(crate) max_sockets: usize,
    /// How many bytes the sockets' buffers may hold together. Default: [`MAX_BUFFERED_BYTES`].
    pub(crate) max_buffered_bytes: usize,
}

impl NetworkLimits {
    /// Those of an environment with this many file descriptors that serves `concurrency` invocations at once: each has
    /// a connection to the Runtime API, whose buffers are reserved beside those of a single one.
    pub(crate) fn of(file_descriptors: usize, concurrency: usize) -> Self {
        Self {
            max_sockets: file_descriptors,
            max_buffered_bytes: MAX_BUFFERED_BYTES + (concurrency - 1) * 2 * PIPE_CAPACITY,
        }
    }
}

#[cfg(test)]
impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            max_sockets: MAX_SOCKETS,
            max_buffered_bytes: MAX_BUFFERED_BYTES,
        }
    }
}

/// What is left of a network's limits.
#[derive(Debug)]
pub(super) struct Budget {
    sockets: AtomicUsize,
    buffers: AtomicUsize,
}

/// Takes `amount` out of `left` if there is as much.
fn withdraw(left: &AtomicUsize, amount: usize) -> bool {
    // Relaxed: the counter protects nothing but itself.
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount))
        .is_ok()
}

impl Budget {
    pub(super) fn new(limits: NetworkLimits) -> Arc<Self> {
        Arc::new(Self {
            sockets: AtomicUsize::new(limits.max_sockets),
            buffers: AtomicUsize::new(limits.max_buffered_bytes),
        })
    }

    /// Counts one more socket, until the permit is dropped.
    pub(super) fn socket(self: &Arc<Self>) -> Result<SocketPermit, NetworkError> {
        if withdraw(&self.sockets, 1) {
            Ok(SocketPermit(self.clone()))
        } else {
            Err(NetworkError::TooManySockets)
        }
    }

    /// Reserves `count` buffers of `full` bytes each, or of `scarce` bytes each if there is not as much.
    pub(super) fn buffers(
        self: &Arc<Self>,
        count: usize,
        full: usize,
        scarce: usize,
    ) -> Result<Reservation, NetworkError> {
        // What is left after the full ones must still serve some scarce ones: the first sockets of a program that
        // opens many must not lock out the last.
        let keep = scarce * 64;
        let each =
            if self.buffers.load(Ordering::Relaxed) >= count * full + keep && withdraw(&self.buffers, count * full) {
                full
            } else if withdraw(&self.buffers, count * scarce) {
                scarce
            } else {
                return Err(NetworkError::OutOfBuffers);
            };
        Ok(Reservation {
            budget: self.clone(),
            each,
            count,
        })
    }
}

/// One socket's place among the sockets an environment may have.
#[derive(Debug)]
pub(crate) struct SocketPermit(Arc<Budget>);

impl Drop for SocketPermit {
    fn drop(&mut self) {
        self.0.sockets.fetch_add(1, Ordering::Relaxed);
    }
}

/// Buffers that are set aside for one socket or connection.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    each: usize,
    count: usize,
}

impl Reservation {
    /// How many bytes each buffer may hold.
    pub(super) fn each(&self) -> usize {
        self.each
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.buffers.fetch_add(self.each * self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_shrink_before_they_are_refused_and_come_back_when_dropped() {
        let budget = Budget::new(NetworkLimits {
            max_sockets: 1,
            max_buffered_bytes: 1_000,
        });
        let scarce: Vec<_> = (0..10).map(|_| budget.buffers(1, 500, 100).unwrap()).collect();
        assert!(scarce.iter().all(|reservation| reservation.each() == 100));
        assert_eq!(budget.buffers(1, 500, 100).unwrap_err(), NetworkError::OutOfBuffers);
        drop(scarce);
        assert_eq!(budget.buffers(1, 500, 1).unwrap().each(), 500);
        assert_eq!(budget.buffers.load(Ordering::Relaxed), 1_000);

        let permit = budget.socket().unwrap();
        assert_eq!(budget.socket().unwrap_err(), NetworkError::TooManySockets);
        drop(permit);
        assert!(budget.socket().is_ok());
    }
}
