//! What can be set: of a function's asynchronous invocations, and of the queue as a whole.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most bytes that an event may have: 1 MiB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub const MAX_EVENT_BYTES: usize = 1_048_576;

/// How often a function that fails is tried again: 0 to 2 times, 2 by default.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html>.
///
/// ```
/// use lambox_lifecycle::queue::MaximumRetryAttempts;
///
/// assert_eq!(MaximumRetryAttempts::default().get(), 2);
/// assert_eq!("0".parse::<MaximumRetryAttempts>()?.get(), 0);
/// assert!(MaximumRetryAttempts::new(3).is_err());
/// # Ok::<(), lambox_lifecycle::queue::SettingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaximumRetryAttempts(u8);

impl MaximumRetryAttempts {
    /// The most: 2.
    pub const MAX: Self = Self(2);

    /// So many retries.
    ///
    /// # Errors
    ///
    /// Where there are more than 2.
    pub fn new(retries: u8) -> Result<Self, SettingError> {
        if retries <= Self::MAX.0 {
            Ok(Self(retries))
        } else {
            Err(SettingError::RetryAttempts(retries.to_string()))
        }
    }

    /// How many.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for MaximumRetryAttempts {
    fn default() -> Self {
        Self::MAX
    }
}

impl FromStr for MaximumRetryAttempts {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .ok()
            .and_then(|retries| Self::new(retries).ok())
            .ok_or_else(|| SettingError::RetryAttempts(text.to_owned()))
    }
}

/// How old an event may become before it is given up: 60 to 21,600 whole seconds, 21,600 (6 hours) by default.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html>.
///
/// ```
/// use lambox_lifecycle::queue::MaximumEventAge;
///
/// assert_eq!(MaximumEventAge::default().as_secs(), 21_600);
/// assert_eq!("60".parse::<MaximumEventAge>()?.as_secs(), 60);
/// assert!(MaximumEventAge::from_secs(59).is_err());
/// # Ok::<(), lambox_lifecycle::queue::SettingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaximumEventAge(u16);

impl MaximumEventAge {
    /// The least: 60 seconds.
    pub const MIN: Self = Self(60);
    /// The most: 21,600 seconds.
    pub const MAX: Self = Self(21_600);

    /// So many seconds.
    ///
    /// # Errors
    ///
    /// Where they are fewer than 60 or more than 21,600.
    pub fn from_secs(seconds: u64) -> Result<Self, SettingError> {
        u16::try_from(seconds)
            .ok()
            .map(Self)
            .filter(|age| (Self::MIN..=Self::MAX).contains(age))
            .ok_or_else(|| SettingError::EventAge(seconds.to_string()))
    }

    /// It in seconds.
    pub const fn as_secs(self) -> u64 {
        self.0 as u64
    }

    /// It as a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.as_secs())
    }
}

impl Default for MaximumEventAge {
    fn default() -> Self {
        Self::MAX
    }
}

impl FromStr for MaximumEventAge {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .ok()
            .and_then(|seconds| Self::from_secs(seconds).ok())
            .ok_or_else(|| SettingError::EventAge(text.to_owned()))
    }
}

/// A setting that is out of bounds or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Of [`MaximumRetryAttempts`].
    #[error("a maximum of retry attempts is 0, 1 or 2, not `{0}`")]
    RetryAttempts(String),
    /// Of [`MaximumEventAge`].
    #[error("a maximum event age is 60 to 21600 whole seconds, not `{0}`")]
    EventAge(String),
}

/// Where something is sent that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The destination on success.
    OnSuccess,
    /// The destination on failure.
    OnFailure,
    /// The dead-letter queue.
    DeadLetterQueue,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnSuccess => "on-success destination",
            Self::OnFailure => "on-failure destination",
            Self::DeadLetterQueue => "dead-letter queue",
        })
    }
}

/// What a function's configuration says of its asynchronous invocations: the service's `EventInvokeConfig`, and which
/// of the places there are that something is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventInvokeConfig {
    /// How often it is tried again.
    pub maximum_retry_attempts: MaximumRetryAttempts,
    /// How old an event may become.
    pub maximum_event_age: MaximumEventAge,
    /// Whether there is a destination on success.
    pub on_success: bool,
    /// Whether there is a destination on failure.
    pub on_failure: bool,
    /// Whether there is a dead-letter queue.
    pub dead_letter_queue: bool,
}

/// What the queue as a whole may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many events, those that are being tried and delivered included. 100,000 by default.
    pub max_events: usize,
    /// How many bytes the events have, with the responses that are kept for a record. 256 MiB by default.
    pub max_bytes: usize,
    /// How many invocations and deliveries are under way at once; at least 1 is taken. 1,000 by default: as many
    /// invocations as an account has at once, so that a slow function takes no more from the others than it does
    /// anyway.
    pub max_in_flight: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_events: 100_000,
            max_bytes: 256 << 20,
            max_in_flight: 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_within_the_services_bounds_only() {
        for (text, seconds) in [
            ("60", Some(60)),
            ("21600", Some(21_600)),
            ("59", None),
            ("21601", None),
            ("", None),
        ] {
            let age = text.parse::<MaximumEventAge>();
            assert_eq!(age.clone().ok().map(MaximumEventAge::as_secs), seconds, "{text}");
            if let Err(error) = age {
                assert!(error.to_string().ends_with(&format!("not `{text}`")), "{error}");
            }
        }
        assert!(
            MaximumEventAge::from_secs(u64::from(u16::MAX) + 61).is_err(),
            "no wrapping"
        );
        for (text, retries) in [("0", Some(0)), ("2", Some(2)), ("3", None), ("-1", None), ("one", None)] {
            let attempts = text.parse::<MaximumRetryAttempts>();
            assert_eq!(attempts.ok().map(MaximumRetryAttempts::get), retries, "{text}");
        }
    }
}
