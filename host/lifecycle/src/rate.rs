//! How fast a streamed response goes to its caller.

use crate::Timestamp;
use crate::limits::{
    MAX_STREAM_RATE_BYTES, MIN_STREAM_RATE_BYTES, STREAM_BURST_BYTES, STREAM_BYTES_PER_SECOND, STREAM_REFILL_INTERVAL,
    STREAM_REFILLS_PER_SECOND,
};

/// How fast a streamed response goes to its caller.
///
/// The default is the service's: [`STREAM_BURST_BYTES`] at once, [`STREAM_BYTES_PER_SECOND`] afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamRate {
    /// As fast as the runtime writes and the caller reads.
    Unlimited,
    /// A burst first, then so many bytes a second. Either is taken as the nearest of 32 KiB and 64 MiB where it lies
    /// outside, which are the bounds of the service's own emulator.
    Limited {
        /// How many bytes go at once.
        burst_bytes: u64,
        /// How many bytes a second go afterwards.
        bytes_per_second: u64,
    },
}

impl Default for StreamRate {
    fn default() -> Self {
        Self::Limited {
            burst_bytes: STREAM_BURST_BYTES,
            bytes_per_second: STREAM_BYTES_PER_SECOND,
        }
    }
}

/// A token bucket: a token a byte, refilled by steps.
///
/// Source: observed, the service's own emulator (`core/bandwidthlimiter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    capacity: u64,
    refill: u64,
    tokens: u64,
    /// When it was refilled last.
    filled: Timestamp,
}

impl Bucket {
    /// A full bucket; none where the rate has no limit.
    pub(crate) fn new(rate: StreamRate, now: Timestamp) -> Option<Self> {
        match rate {
            StreamRate::Unlimited => None,
            StreamRate::Limited {
                burst_bytes,
                bytes_per_second,
            } => {
                let within = |bytes: u64| bytes.clamp(MIN_STREAM_RATE_BYTES, MAX_STREAM_RATE_BYTES);
                Some(Self {
                    capacity: within(burst_bytes),
                    refill: within(bytes_per_second) / STREAM_REFILLS_PER_SECOND,
                    tokens: within(burst_bytes),
                    filled: now,
                })
            }
        }
    }

    /// Takes the tokens for so many bytes, and says when they are there: now, or later.
    ///
    /// Bytes that the bucket cannot hold at once go when it has brought that many in all.
    pub(crate) fn take(&mut self, now: Timestamp, bytes: u64) -> Timestamp {
        let passed = now.since(self.filled).as_nanos() / STREAM_REFILL_INTERVAL.as_nanos();
        self.fill(u64::try_from(passed).unwrap_or(u64::MAX));
        let mut wanted = bytes;
        while wanted > self.tokens {
            wanted -= self.tokens;
            self.tokens = 0;
            let steps = wanted.min(self.capacity).div_ceil(self.refill).max(1);
            self.fill(steps);
        }
        self.tokens -= wanted;
        now.max(self.filled)
    }

    /// Lets so many refills come.
    fn fill(&mut self, steps: u64) {
        let brought = steps.saturating_mul(self.refill);
        self.tokens = self.tokens.saturating_add(brought).min(self.capacity);
        let nanos = u64::try_from(STREAM_REFILL_INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        self.filled = self.filled + std::time::Duration::from_nanos(nanos.saturating_mul(steps));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// When the last of so many bytes goes that are handed over in pieces, in milliseconds.
    fn done(rate: StreamRate, bytes: u64, piece: u64) -> u64 {
        let mut now = Timestamp::from_epoch_ms(0);
        let mut bucket = Bucket::new(rate, now).expect("it has a limit");
        let mut left = bytes;
        while left > 0 {
            let taken = piece.min(left);
            now = bucket.take(now, taken);
            left -= taken;
        }
        now.as_epoch_ms()
    }

    #[test]
    fn six_megabytes_go_at_once_and_two_a_second_afterwards() {
        for (bytes, piece, ms, why) in [
            (1, 1, 0, "a byte"),
            (6 * MIB, 64 * 1024, 0, "the whole burst"),
            (6 * MIB + 1, 64 * 1024, 125, "a byte more waits for a refill"),
            (6 * MIB + MIB / 4, 64 * 1024, 125, "all that a refill brings"),
            (6 * MIB + MIB / 4 + 1, 64 * 1024, 250, "a byte more than that"),
            (8 * MIB, 64 * 1024, 1_000, "two megabytes after the burst"),
            (20 * MIB, 64 * 1024, 7_000, "twenty megabytes"),
            (200 * MIB, 64 * 1024, 97_000, "the largest stream"),
            (20 * MIB, 20 * MIB, 7_000, "one piece that is larger than the bucket"),
        ] {
            assert_eq!(done(StreamRate::default(), bytes, piece), ms, "{why}");
        }
    }

    #[test]
    fn a_bucket_fills_up_again_and_no_further() {
        let at = Timestamp::from_epoch_ms;
        let mut bucket = Bucket::new(StreamRate::default(), at(0)).expect("it has a limit");
        assert_eq!(bucket.take(at(0), 6 * MIB), at(0));
        assert_eq!(
            bucket.take(at(1_000), 2 * MIB),
            at(1_000),
            "a second brings two megabytes"
        );
        assert_eq!(bucket.take(at(60_000), 6 * MIB), at(60_000), "a minute fills it");
        assert_eq!(bucket.take(at(60_000), 1), at(60_125), "and no more than that");
    }

    #[test]
    fn rates_are_taken_within_bounds() {
        let rate = |burst_bytes, bytes_per_second| StreamRate::Limited {
            burst_bytes,
            bytes_per_second,
        };
        assert_eq!(
            done(rate(0, 0), 64 * 1024, 1_024),
            1_000,
            "32 KiB at once, 32 KiB a second"
        );
        assert_eq!(
            done(rate(u64::MAX, u64::MAX), 128 * MIB, MIB),
            1_000,
            "64 MiB of either"
        );
        assert_eq!(Bucket::new(StreamRate::Unlimited, Timestamp::default()), None);
    }
}
