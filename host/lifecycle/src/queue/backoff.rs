//! How long an event waits for its next attempt.

use std::time::Duration;

/// The first wait of an event that was throttled or met a fault of the platform's: 1 second. Each further one is twice
/// as long, up to [`MAX_BACKOFF`].
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>: "increases
/// exponentially from 1 second after the first attempt to a maximum of 5 minutes". That it doubles is assumed.
pub const MIN_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait: 5 minutes.
///
/// Source: documented, as [`MIN_BACKOFF`].
pub const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// The wait before the second attempt at a function that failed: 1 minute.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>.
pub const FIRST_RETRY_WAIT: Duration = Duration::from_mins(1);

/// The wait before the third attempt: 2 minutes.
///
/// Source: documented, as [`FIRST_RETRY_WAIT`].
pub const SECOND_RETRY_WAIT: Duration = Duration::from_mins(2);

/// The wait after so many refusals in a row, the one just met included.
pub(super) fn after_refusals(refusals: u32) -> Duration {
    let doubled = refusals.saturating_sub(1).min(31);
    MIN_BACKOFF.saturating_mul(1 << doubled).min(MAX_BACKOFF)
}

/// The wait after so many attempts that failed.
pub(super) fn after_failures(failures: u8) -> Duration {
    if failures <= 1 {
        FIRST_RETRY_WAIT
    } else {
        SECOND_RETRY_WAIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_event_waits_from_one_second_to_five_minutes() {
        let waits: Vec<_> = (1..=11).map(|refusals| after_refusals(refusals).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(after_refusals(u32::MAX), MAX_BACKOFF);
    }
}
