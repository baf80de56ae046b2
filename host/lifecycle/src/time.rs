//! Instants.

use std::ops::Add;
use std::time::Duration;

/// An instant: nanoseconds since the Unix epoch.
///
/// The lifecycle compares and adds instants, it never asks for one. Whoever drives it decides what clock they come
/// from; that clock must never run backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `nanos` nanoseconds after the Unix epoch.
    pub const fn from_epoch_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `ms` milliseconds after the Unix epoch.
    pub const fn from_epoch_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_epoch_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn as_epoch_ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to this instant; zero where `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// The instant `duration` later; the last instant that can be expressed (in the year 2554) where that is passed.
    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}
