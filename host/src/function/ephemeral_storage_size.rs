//! The size of a function's `/tmp`.

use std::fmt;
use std::str::FromStr;

/// How much an execution environment's `/tmp` holds: 512 to 10,240 MB.
///
/// A MB is 1,048,576 bytes. It is memory of the host's, taken as files are written, and does not count to the function's
/// own [memory size](crate::MemorySize): in the service it is disk.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
///
/// ```
/// use lambox::EphemeralStorageSize;
///
/// assert_eq!(EphemeralStorageSize::try_from(1024)?.as_mb(), 1024);
/// assert!(EphemeralStorageSize::try_from(256).is_err());
/// # Ok::<(), lambox::EphemeralStorageSizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EphemeralStorageSize(u32);

/// What a `/tmp` of 512 MB offers in the service, in pages of 4,096 bytes: 538,333,184 bytes.
///
/// Source: observed.
const OBSERVED_PAGES: u64 = 131_429;

impl EphemeralStorageSize {
    /// 512 MB.
    pub const MIN: Self = Self(512);
    /// 10,240 MB.
    pub const MAX: Self = Self(10_240);
    /// 512 MB.
    pub const DEFAULT: Self = Self::MIN;

    /// The size in MB.
    pub const fn as_mb(self) -> u32 {
        self.0
    }

    /// The bytes that `/tmp` really offers, a multiple of 4,096: a little more than its name says, in the proportion that
    /// was observed for 512 MB. (For other sizes the proportion is assumed.)
    pub const fn capacity_bytes(self) -> u64 {
        self.0 as u64 * OBSERVED_PAGES / Self::MIN.0 as u64 * 4_096
    }
}

impl Default for EphemeralStorageSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for EphemeralStorageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB", self.0)
    }
}

/// A size of `/tmp` that is out of bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the size of /tmp is a whole number of MB from {} to {}, not {given}",
    EphemeralStorageSize::MIN.0,
    EphemeralStorageSize::MAX.0
)]
pub struct EphemeralStorageSizeError {
    given: String,
}

impl TryFrom<u32> for EphemeralStorageSize {
    type Error = EphemeralStorageSizeError;

    fn try_from(mb: u32) -> Result<Self, Self::Error> {
        let size = Self(mb);
        if (Self::MIN..=Self::MAX).contains(&size) {
            Ok(size)
        } else {
            Err(EphemeralStorageSizeError { given: mb.to_string() })
        }
    }
}

impl FromStr for EphemeralStorageSize {
    type Err = EphemeralStorageSizeError;

    /// Reads a whole number of MB.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mb: u32 = text.parse().map_err(|_| EphemeralStorageSizeError {
            given: format!("`{text}`"),
        })?;
        mb.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_the_first_and_last_that_are_taken() {
        for (text, taken) in [
            ("511", false),
            ("512", true),
            ("10240", true),
            ("10241", false),
            ("-1", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<EphemeralStorageSize>().is_ok(), taken, "{text}");
        }
    }

    #[test]
    fn the_smallest_offers_what_was_observed() {
        assert_eq!(EphemeralStorageSize::MIN.capacity_bytes(), 538_333_184);
        assert_eq!(EphemeralStorageSize::MAX.capacity_bytes(), 20 * 538_333_184);
    }
}
