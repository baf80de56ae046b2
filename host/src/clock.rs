//! The one source of time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambox_lifecycle::Timestamp;

/// Ready at an instant.
pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Where time comes from: deadlines, guests' clocks and timers, and the instants of events all follow it.
///
/// It never runs backwards.
pub(crate) trait Clock: Send + Sync + fmt::Debug {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Ready at this instant.
    fn sleep_until(&self, instant: Timestamp) -> Sleep;
}

/// The machine's time, which follows tokio's: where a test has paused that, it stands still and leaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealClock {
    /// One instant by both clocks. The calendar's time is read once: it can be set back, and this clock must not be.
    origin: tokio::time::Instant,
    origin_epoch: Timestamp,
}

impl RealClock {
    /// A clock that agrees with the calendar's time now.
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            origin: tokio::time::Instant::now(),
            origin_epoch: Timestamp::default() + since_epoch,
        }
    }
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        self.origin_epoch + self.origin.elapsed()
    }

    fn sleep_until(&self, instant: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep_until(self.origin + instant.since(self.origin_epoch)))
    }
}
