//! How many invocations a function's environment serves at once.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// How many invocations one execution environment serves at once, at most: 1 to 1,600.
///
/// A runtime is told in `AWS_LAMBDA_MAX_CONCURRENCY`.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-execution-environment.html>;
/// the bounds are those of the service's API.
///
/// ```
/// use lambox::MaxConcurrency;
///
/// assert_eq!(MaxConcurrency::try_from(16)?.get(), 16);
/// assert!(MaxConcurrency::try_from(0).is_err());
/// # Ok::<(), lambox::MaxConcurrencyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxConcurrency(NonZeroU16);

impl MaxConcurrency {
    /// 1.
    pub const MIN: Self = Self(NonZeroU16::MIN);
    /// 1,600.
    pub const MAX: Self = match NonZeroU16::new(1_600) {
        Some(max) => Self(max),
        None => Self::MIN,
    };

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    pub(crate) const fn as_non_zero(self) -> NonZeroU16 {
        self.0
    }
}

impl fmt::Display for MaxConcurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A concurrency that is out of bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a concurrency is a whole number from {} to {}, not {given}",
    MaxConcurrency::MIN,
    MaxConcurrency::MAX
)]
pub struct MaxConcurrencyError {
    given: String,
}

impl TryFrom<u16> for MaxConcurrency {
    type Error = MaxConcurrencyError;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        NonZeroU16::new(number)
            .map(Self)
            .filter(|number| *number <= Self::MAX)
            .ok_or_else(|| MaxConcurrencyError {
                given: number.to_string(),
            })
    }
}

impl FromStr for MaxConcurrency {
    type Err = MaxConcurrencyError;

    /// Reads a whole number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: u16 = text.parse().map_err(|_| MaxConcurrencyError {
            given: format!("`{text}`"),
        })?;
        number.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_the_first_and_last_that_are_taken() {
        for (text, taken) in [
            ("0", false),
            ("1", true),
            ("1600", true),
            ("1601", false),
            ("70000", false),
            ("-1", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<MaxConcurrency>().is_ok(), taken, "{text}");
        }
        insta::assert_snapshot!(
            "many".parse::<MaxConcurrency>().expect_err("no number"),
            @"a concurrency is a whole number from 1 to 1600, not `many`"
        );
    }
}
