//! How often something may be, and how often at once.

use std::time::Duration;

use crate::Timestamp;

/// A token bucket that is refilled continuously, and never holds more than its burst.
///
/// It keeps one instant: when it would be full again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    burst: Duration,
    period: Duration,
    full_at: Timestamp,
}

impl Bucket {
    /// A full bucket of `burst` tokens, each of which comes back after `refill / burst`. One without tokens never has any.
    pub(super) fn new(burst: u32, refill: Duration) -> Self {
        Self {
            burst: if burst == 0 { Duration::ZERO } else { refill },
            period: refill / burst.max(1),
            full_at: Timestamp::default(),
        }
    }

    /// When there is a token: now, or later.
    pub(super) fn due(&self, now: Timestamp) -> Timestamp {
        let missing = (self.full_at.max(now) + self.period).since(now);
        now + missing.saturating_sub(self.burst)
    }

    /// Takes a token, which has to be there.
    pub(super) fn take(&mut self, now: Timestamp) {
        debug_assert!(self.due(now) <= now, "there is a token");
        self.full_at = self.full_at.max(now) + self.period;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_as_it_comes_back_without_accrual() {
        let at = Timestamp::from_epoch_ms;
        let mut bucket = Bucket::new(1_000, Duration::from_secs(10));
        let mut taken = 0;
        let mut now = at(5_000);
        while bucket.due(now) <= now {
            bucket.take(now);
            taken += 1;
        }
        assert_eq!(taken, 1_000);
        assert_eq!(bucket.due(now), at(5_010), "a hundred a second");
        now = at(6_000);
        for _ in 0..100 {
            assert!(bucket.due(now) <= now);
            bucket.take(now);
        }
        assert!(bucket.due(now) > now, "a second brings a hundred");
        now = at(3_600_000);
        taken = 0;
        while bucket.due(now) <= now {
            bucket.take(now);
            taken += 1;
        }
        assert_eq!(taken, 1_000, "an hour brings no more than the burst");
    }

    #[test]
    fn without_a_burst_there_is_never_a_token() {
        let bucket = Bucket::new(0, Duration::from_secs(1));
        for ms in [0, 1, 1_000, 1_000_000] {
            let now = Timestamp::from_epoch_ms(ms);
            assert!(bucket.due(now) > now);
        }
    }
}
