//! The name of an environment's log stream.

use std::sync::Arc;

use lambox_lifecycle::Timestamp;
use uuid::Uuid;

/// The name of a new log stream, as the service gives each environment of a version one: `2026/01/31/[$LATEST]` and 32
/// hexadecimal digits.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html>.
pub(super) fn name(version: &str, now: Timestamp) -> Arc<str> {
    let now = i64::try_from(now.as_epoch_ms()).unwrap_or(i64::MAX);
    let date = jiff::Timestamp::from_millisecond(now)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    format!(
        "{:04}/{:02}/{:02}/[{version}]{}",
        date.year(),
        date.month(),
        date.day(),
        Uuid::new_v4().simple()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_day_and_the_version_and_is_never_the_same() {
        let at = |ms| name("7", Timestamp::from_epoch_ms(ms));
        for (ms, expected) in [
            (0, "1970/01/01/[7]"),
            (1_782_864_000_000 - 1, "2026/06/30/[7]"),
            (1_782_864_000_000, "2026/07/01/[7]"),
        ] {
            let name = at(ms);
            let digits = name.strip_prefix(expected).expect(&name);
            assert!(
                digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()),
                "{name}"
            );
        }
        assert_ne!(at(0), at(0));
        assert!(at(u64::MAX).ends_with(|c: char| c.is_ascii_hexdigit()));
    }
}
