//! A function's memory size.

use std::fmt;
use std::str::FromStr;

/// How much memory an execution environment has, for its runtime and its extensions together: 128 to 4,096 MB, and up to
/// 32,768 MB for a function that serves [several invocations at once](crate::FunctionBuilder::max_concurrency), which can
/// have many sandboxes.
///
/// A MB is 1,048,576 bytes. The service goes up to 10,240 MB; a 32-bit WebAssembly program cannot address more than
/// 4,096 MB, so Lambox does not pretend to give it more.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
///
/// ```
/// use lambox::MemorySize;
///
/// assert_eq!(MemorySize::try_from(256)?.as_mb(), 256);
/// assert!(MemorySize::try_from(64).is_err());
/// # Ok::<(), lambox::MemorySizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySize(u32);

impl MemorySize {
    /// 128 MB.
    pub const MIN: Self = Self(128);
    /// 4,096 MB.
    pub const MAX: Self = Self(4_096);
    /// 32,768 MB, for a function that serves several invocations at once.
    ///
    /// Source: documented, the service's API.
    pub const MAX_MANAGED: Self = Self(32_768);
    /// 128 MB.
    pub const DEFAULT: Self = Self::MIN;

    /// The size in MB.
    pub const fn as_mb(self) -> u32 {
        self.0
    }

    /// The size in bytes. 4,096 MB is one page less: the most that a 32-bit program can have.
    pub const fn as_bytes(self) -> u64 {
        (self.0 as u64) << 20
    }
}

impl Default for MemorySize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB", self.0)
    }
}

/// A memory size that is out of bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a memory size is a whole number of MB from {} to {} ({} with a concurrency), not {given}",
    MemorySize::MIN.0, MemorySize::MAX.0, MemorySize::MAX_MANAGED.0
)]
pub struct MemorySizeError {
    given: String,
}

impl TryFrom<u32> for MemorySize {
    type Error = MemorySizeError;

    fn try_from(mb: u32) -> Result<Self, Self::Error> {
        let size = Self(mb);
        if (Self::MIN..=Self::MAX_MANAGED).contains(&size) {
            Ok(size)
        } else {
            Err(MemorySizeError { given: mb.to_string() })
        }
    }
}

impl FromStr for MemorySize {
    type Err = MemorySizeError;

    /// Reads a whole number of MB.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mb: u32 = text.parse().map_err(|_| MemorySizeError {
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
            ("127", false),
            ("128", true),
            ("4096", true),
            ("32768", true),
            ("32769", false),
            ("-1", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<MemorySize>().is_ok(), taken, "{text}");
        }
        insta::assert_snapshot!(
            "12 MB".parse::<MemorySize>().expect_err("no unit is read"),
            @"a memory size is a whole number of MB from 128 to 4096 (32768 with a concurrency), not `12 MB`"
        );
    }
}
