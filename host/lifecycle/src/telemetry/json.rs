//! Parts of JSON as the service writes it.

use std::fmt;
use std::time::Duration;

use crate::{Status, Timestamp};

/// Milliseconds as a JSON number with at most this many decimals, at least one and no needless zeros.
pub(crate) struct Number(pub(crate) Duration, pub(crate) usize);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(duration, decimals) = *self;
        let scale = 10_u128.pow(u32::try_from(decimals).unwrap_or(0));
        let scaled = rounded(duration, 1_000_000 / scale);
        let mut fraction = scaled % scale;
        let mut width = decimals;
        while width > 1 && fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{}.{fraction:0width$}", scaled / scale)
    }
}

/// How many units of `unit` nanoseconds, to the nearest.
pub(crate) const fn rounded(duration: Duration, unit: u128) -> u128 {
    (duration.as_nanos() + unit / 2) / unit
}

/// The inside of a JSON object.
pub(crate) struct Object<'a> {
    out: &'a mut dyn fmt::Write,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// An object of which nothing is written yet. Its braces are the caller's.
    pub(crate) fn new(out: &'a mut dyn fmt::Write) -> Self {
        Self { out, is_empty: true }
    }

    /// A member whose value is shown as JSON.
    pub(super) fn value(&mut self, key: &str, value: impl fmt::Display) -> fmt::Result {
        let separator = if self.is_empty { "" } else { "," };
        self.is_empty = false;
        write!(self.out, "{separator}\"{key}\":{value}")
    }

    pub(super) fn text(&mut self, key: &str, text: &str) -> fmt::Result {
        self.value(key, Text(text))
    }

    pub(super) fn status(&mut self, status: Status, error_type: Option<&str>) -> fmt::Result {
        self.text("status", status.as_str())?;
        match error_type {
            Some(error_type) => self.text("errorType", error_type),
            None => Ok(()),
        }
    }

    /// Spans, where there are any.
    pub(super) fn spans(&mut self, spans: &[(&str, Option<(Timestamp, Duration)>)]) -> fmt::Result {
        if spans.iter().all(|(_, span)| span.is_none()) {
            return Ok(());
        }
        self.value("spans", SpanList(spans))
    }

    /// The trace, only where it is sampled.
    pub(super) fn tracing(&mut self, trace_id: Option<&str>) -> fmt::Result {
        match trace_id.filter(|trace_id| trace_id.split(';').any(|part| part.trim() == "Sampled=1")) {
            Some(trace_id) => self.value(
                "tracing",
                format_args!("{{\"type\":\"X-Amzn-Trace-Id\",\"value\":{}}}", Text(trace_id)),
            ),
            None => Ok(()),
        }
    }
}

/// A text as JSON.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

/// Texts as a JSON array.
pub(crate) struct Texts<'a>(pub(crate) &'a [&'a str]);

impl fmt::Display for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, text) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{}", Text(text))?;
        }
        f.write_str("]")
    }
}

struct SpanList<'a>(&'a [(&'a str, Option<(Timestamp, Duration)>)]);

impl fmt::Display for SpanList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "[";
        for (name, span) in self.0 {
            if let Some((start, duration)) = span {
                write!(
                    f,
                    "{separator}{{\"name\":\"{name}\",\"start\":\"{}\",\"durationMs\":{}}}",
                    Time(*start),
                    Number(*duration, 3)
                )?;
                separator = ",";
            }
        }
        f.write_str("]")
    }
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`.
pub(crate) struct Time(pub(crate) Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0.as_epoch_ms()).map_err(|_| fmt::Error)?;
        let time = jiff::Timestamp::from_millisecond(ms).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_at_most_three_decimals_and_at_least_one() {
        for (nanos, decimals, shown) in [
            (2_000_000_000, 3, "2000.0"),
            (19_215_499, 3, "19.215"),
            (19_215_500, 3, "19.216"),
            (19_050_000, 3, "19.05"),
            (71_960_000, 2, "71.96"),
            (999_999_999, 3, "1000.0"),
            (0, 3, "0.0"),
        ] {
            assert_eq!(Number(Duration::from_nanos(nanos), decimals).to_string(), shown);
        }
    }
}
