//! A function's timeout.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long an invocation may take, runtime and extensions together: 1 to 900 seconds, and up to 5,400 seconds for a
/// function that serves [several at once](crate::FunctionBuilder::max_concurrency).
///
/// The service takes whole seconds; Lambox also takes milliseconds from 1 on, so that a test of what happens at the
/// timeout need not last a second.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html>.
///
/// ```
/// use std::time::Duration;
/// use lambox::FunctionTimeout;
///
/// assert_eq!("1500ms".parse::<FunctionTimeout>()?.as_duration(), Duration::from_millis(1500));
/// assert_eq!("2m".parse::<FunctionTimeout>()?, FunctionTimeout::from_secs(120)?);
/// assert!("5401s".parse::<FunctionTimeout>().is_err());
/// # Ok::<(), lambox::FunctionTimeoutError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionTimeout(Duration);

impl FunctionTimeout {
    /// 1 millisecond. The service's own minimum is 1 second.
    pub const MIN: Self = Self(Duration::from_millis(1));
    /// 5,400 seconds, for a function that serves several invocations at once. The service has it for those that come
    /// from a queue or a stream, which are not told apart here.
    ///
    /// Source: documented, the service's API.
    pub const MAX_MANAGED: Self = Self(Duration::from_mins(90));
    /// 900 seconds, for any other function.
    pub const MAX: Self = Self(Duration::from_mins(15));
    /// 3 seconds.
    pub const DEFAULT: Self = Self(Duration::from_secs(3));

    /// The timeout of this many seconds.
    ///
    /// # Errors
    ///
    /// Where it is out of bounds.
    pub fn from_secs(secs: u64) -> Result<Self, FunctionTimeoutError> {
        Duration::from_secs(secs).try_into()
    }

    /// The timeout.
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl Default for FunctionTimeout {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for FunctionTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A timeout that is out of bounds or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a timeout is from 1ms to 900s (5400s with a concurrency), written like `3s`, `1500ms` or `2m`, not `{given}`")]
pub struct FunctionTimeoutError {
    given: String,
}

impl TryFrom<Duration> for FunctionTimeout {
    type Error = FunctionTimeoutError;

    fn try_from(duration: Duration) -> Result<Self, Self::Error> {
        let timeout = Self(duration);
        if (Self::MIN..=Self::MAX_MANAGED).contains(&timeout) {
            Ok(timeout)
        } else {
            Err(FunctionTimeoutError {
                given: format!("{duration:?}"),
            })
        }
    }
}

impl FromStr for FunctionTimeout {
    type Err = FunctionTimeoutError;

    /// Reads a whole number with `ms`, `s` or `m`; without a unit it is seconds, as in the service's configuration.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || FunctionTimeoutError { given: text.to_owned() };
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| error())?;
        let ms = match unit {
            "ms" => Some(number),
            "s" | "" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            _ => None,
        };
        ms.and_then(|ms| Self::try_from(Duration::from_millis(ms)).ok())
            .ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_or_is_out_of_bounds_is_told_as_given() {
        for text in [
            "",
            "0",
            "0s",
            "5401",
            "91m",
            "3h",
            "1.5s",
            "s",
            "99999999999999999999s",
            "18446744073709551615m",
        ] {
            let error = text.parse::<FunctionTimeout>().expect_err(text);
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
        for (text, ms) in [
            ("1ms", 1),
            ("3", 3_000),
            ("900s", 900_000),
            ("15m", 900_000),
            ("90m", 5_400_000),
        ] {
            assert_eq!(
                text.parse::<FunctionTimeout>().expect(text).as_duration(),
                Duration::from_millis(ms)
            );
        }
    }
}
